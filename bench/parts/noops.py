"""Handlers of the benchmarks: ten that do nothing, one that says when it began, two that wait."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from taskqueue import task


def _nothing(payload: Any) -> Any:
    return payload


for _number in range(10):
    globals()[f"noop{_number}"] = task(f"noop{_number}")(_nothing)


@task("clock")
def clock() -> int:
    """The moment at which the handler runs, nanoseconds of the clock that all processes of a machine share."""
    return time.monotonic_ns()


@task("nap")
def nap(seconds: float) -> None:
    """Waits so long."""
    time.sleep(seconds)


@task("gate")
def gate(path: str) -> None:
    """Runs until there is such a file."""
    while not Path(path).exists():
        time.sleep(0.02)
