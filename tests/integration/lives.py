"""Handlers of the tests of a task's life. A path in a payload is a file by which test and handler speak."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

from taskqueue import Discard, Retry, Snooze, TaskContext, task

_PAUSE = threading.Event()
_arrived = 0
_all_here = asyncio.Event()


def _say(path: str, word: str) -> None:
    with Path(path).open("a") as file:
        file.write(word + "\n")


@task("typed", priority="high", retries=5, timeout="40s", queue="posts")
def typed(to: str, count: int = 1) -> dict[str, Any]:
    """Return what it was called with."""
    return {"to": to, "count": count}


@task("flaky")
def flaky(failures: int, *, ctx: TaskContext) -> int:
    """Fail that often."""
    if ctx.attempt <= failures:
        raise ValueError(f"attempt {ctx.attempt}")
    return ctx.attempt


@task("raises")
def raises(what: str, delay: str | None = None) -> None:
    """End as told."""
    if what == "discard":
        raise Discard("nobody wants it")
    if what == "retry":
        raise Retry("not now", delay=delay)
    if what == "exit":
        raise SystemExit(3)
    raise KeyError(what)


@task("gate")
async def gate(path: str, *, ctx: TaskContext) -> str:
    """Wait for the file."""
    ctx.progress(0.5, "half way")
    while not Path(path).exists():
        await asyncio.sleep(0.01)
    return Path(path).read_text()


@task("told")
def told(path: str, *, ctx: TaskContext) -> str:
    """Work on until nobody wants it any more, and say so."""
    _say(path, "begun")
    while not ctx.cancelled:
        _PAUSE.wait(0.01)
    _say(path, "told")
    return "too late"


@task("snooze")
def snooze(path: str, *, ctx: TaskContext) -> int:
    """Come again until the file is there."""
    if not Path(path).exists():
        raise Snooze("50ms")
    return ctx.attempt


@task("line", max_running=1)
def line(path: str, word: str) -> None:
    """One at a time: write the word down."""
    _say(path, word)


@task("deaf")
def deaf(seconds: float) -> str:
    """Be in C, where no exception gets in."""
    _PAUSE.wait(seconds)
    return "late"


@task("pure")
def pure() -> None:
    """Be in Python, without end."""
    while True:
        _PAUSE.wait(0.001)


@task("endless")
async def endless() -> None:
    """Wait without end."""
    await asyncio.Event().wait()


@task("big")
def big(size: int) -> str:
    """A result of so many characters."""
    return "x" * size


@task("odd")
def odd() -> object:
    """A result that is no JSON."""
    return object()


@task("meet")
async def meet(number: int) -> int:
    """Wait until so many are here at the same time."""
    global _arrived  # noqa: PLW0603 - how many are here is the module's own affair
    _arrived += 1
    if _arrived == number:
        _all_here.set()
    await _all_here.wait()
    return _arrived
