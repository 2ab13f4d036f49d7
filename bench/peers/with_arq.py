"""arq: one process with 10 jobs at a time, as by default, which looks for work every 10 ms rather than every 500."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Any

import enqueue
import tally
from arq import create_pool
from arq.connections import RedisSettings

SETTINGS = RedisSettings.from_dsn(os.environ["PEERS_REDIS"])
AT_ONCE = 100


async def noop(_: Any, number: int, text: str) -> None:
    tally.ran(number)


class WorkerSettings:
    """Of `arq with_arq.WorkerSettings`."""

    functions = (noop,)
    redis_settings = SETTINGS
    poll_delay = 0.01


async def main() -> None:
    pool = await create_pool(SETTINGS)

    async def one(number: int) -> object:
        return await pool.enqueue_job("noop", number, enqueue.TEXT)

    async def many(numbers: Sequence[int]) -> None:
        for at in range(0, len(numbers), AT_ONCE):
            await asyncio.gather(*map(one, numbers[at : at + AT_ONCE]))

    await enqueue.run(one, many)
    await pool.aclose()


if __name__ == "__main__":
    asyncio.run(main())
