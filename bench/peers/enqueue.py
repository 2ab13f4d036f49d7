"""What a peer's client does, the same for each: `python with_<peer>.py one|many|latency COUNT FIRST`.

Prints how many tasks a second it enqueued, from `FIRST` on; for `latency`, where each waits for the one before it, the
milliseconds of each from the call to the handler's start. The first one makes the connection, and does not count.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Sequence

import tally

TEXT = "x" * 60
"""What each task takes beside its number."""
REST = 0.02
"""Seconds between two tasks of `latency`: what the one before it has left to do is done."""
WITHIN = 30.0


def main(one: Callable[[int], object], many: Callable[[Sequence[int]], object]) -> None:
    """For a peer whose client blocks."""

    async def wait_one(number: int) -> None:
        one(number)

    async def wait_many(numbers: Sequence[int]) -> None:
        many(numbers)

    asyncio.run(run(wait_one, wait_many))


async def run(one: Callable[[int], Awaitable[object]], many: Callable[[Sequence[int]], Awaitable[object]]) -> None:
    """For a peer whose client is async."""
    how, count, first = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    numbers = range(first + 1, first + count)
    if how == "latency":
        spans = [await _latency(one, number) for number in (first, *numbers)]
        print(json.dumps(spans[1:]))
        return
    await one(first)
    began = time.monotonic()
    if how == "many":
        await many(numbers)
    else:
        for number in numbers:
            await one(number)
    print(json.dumps(len(numbers) / (time.monotonic() - began)))


async def _latency(one: Callable[[int], Awaitable[object]], number: int) -> float:
    time.sleep(REST)
    sent = time.monotonic_ns()
    await one(number)
    deadline = time.monotonic() + WITHIN
    while not (began := tally.started(number)):
        if time.monotonic() > deadline:
            raise RuntimeError(f"task {number} has not begun within {WITHIN} s")
        time.sleep(0.001)
    return (began - sent) / 1e6
