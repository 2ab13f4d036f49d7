"""taskqueue: a node of a cluster at its defaults, and its Python client straight to Redis; results are kept."""

from __future__ import annotations

import os
from collections.abc import Sequence

import enqueue
import tally

import taskqueue


@taskqueue.task("noop")
def noop(number: int, text: str) -> None:
    tally.ran(number)


def main() -> None:
    with taskqueue.connect(os.environ["PEERS_REDIS"], settings={"queueSize": 10_000_000}) as queue:

        def one(number: int) -> object:
            return queue.submit("noop", {"number": number, "text": enqueue.TEXT})

        def many(numbers: Sequence[int]) -> None:
            queue.submit_many([{"handler": "noop", "payload": {"number": n, "text": enqueue.TEXT}} for n in numbers])

        enqueue.main(one, many)


if __name__ == "__main__":
    main()
