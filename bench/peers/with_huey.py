"""Huey: one process with ten threads; a task's result is not kept, since it returns nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence

import enqueue
import tally
from huey import RedisHuey

huey = RedisHuey("peers", url=os.environ["PEERS_REDIS"])


@huey.task(name="noop")
def noop(number: int, text: str) -> None:
    tally.ran(number)


def many(numbers: Sequence[int]) -> None:
    """There is no call for it."""
    for number in numbers:
        noop(number, enqueue.TEXT)


if __name__ == "__main__":
    import with_huey  # tasks bear the name of the module as the consumer knows it

    enqueue.main(lambda number: with_huey.noop(number, enqueue.TEXT), with_huey.many)
