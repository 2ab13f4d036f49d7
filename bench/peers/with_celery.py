"""Celery: prefork, a process a core, 64 tasks fetched ahead for each as its guide advises for short tasks."""

from __future__ import annotations

import os
from collections.abc import Sequence

import celery
import enqueue
import tally

app = celery.Celery("peers", broker=os.environ["PEERS_REDIS"])
app.conf.update(worker_prefetch_multiplier=64, task_ignore_result=True, worker_hijack_root_logger=False)


@app.task(name="noop")
def noop(number: int, text: str) -> None:
    tally.ran(number)


def many(numbers: Sequence[int]) -> None:
    """There is no call for it; one producer for all is what can be saved."""
    with app.producer_pool.acquire(block=True) as producer:
        for number in numbers:
            noop.apply_async((number, enqueue.TEXT), producer=producer)


if __name__ == "__main__":
    enqueue.main(lambda number: noop.delay(number, enqueue.TEXT), many)
