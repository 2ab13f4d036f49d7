"""RQ: two workers of the kind that does not fork for each job (its default does, and is slower); results are kept."""

from __future__ import annotations

import os
from collections.abc import Sequence

import enqueue
import redis
import rq
import tally

QUEUE = rq.Queue(connection=redis.Redis.from_url(os.environ["PEERS_REDIS"]))


def noop(number: int, text: str) -> None:
    tally.ran(number)


def many(numbers: Sequence[int]) -> None:
    QUEUE.enqueue_many([rq.Queue.prepare_data("with_rq.noop", (number, enqueue.TEXT)) for number in numbers])


if __name__ == "__main__":
    enqueue.main(lambda number: QUEUE.enqueue("with_rq.noop", number, enqueue.TEXT), many)
