"""Dramatiq: a process a core, its default of eight threads each; no results, as by default."""

from __future__ import annotations

import os
from collections.abc import Sequence

import dramatiq
import enqueue
import tally
from dramatiq.brokers.redis import RedisBroker

dramatiq.set_broker(RedisBroker(url=os.environ["PEERS_REDIS"]))


@dramatiq.actor(actor_name="noop")
def noop(number: int, text: str) -> None:
    tally.ran(number)


def many(numbers: Sequence[int]) -> None:
    """A group, which is what there is for it."""
    dramatiq.group([noop.message(number, enqueue.TEXT) for number in numbers]).run()


if __name__ == "__main__":
    enqueue.main(lambda number: noop.send(number, enqueue.TEXT), many)
