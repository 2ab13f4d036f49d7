"""Taskiq: its stream broker, which acknowledges, with a process a core; no results, as by default."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

import enqueue
import tally
from taskiq_redis import RedisStreamBroker

broker = RedisStreamBroker(url=os.environ["PEERS_REDIS"])
AT_ONCE = 100


@broker.task(task_name="noop")
async def noop(number: int, text: str) -> None:
    tally.ran(number)


async def one(number: int) -> object:
    return await noop.kiq(number, enqueue.TEXT)


async def many(numbers: Sequence[int]) -> None:
    for at in range(0, len(numbers), AT_ONCE):
        await asyncio.gather(*map(one, numbers[at : at + AT_ONCE]))


async def main() -> None:
    await broker.startup()
    await enqueue.run(one, many)
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(main())
