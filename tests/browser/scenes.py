"""Handlers for the browser's tests."""

from __future__ import annotations

import threading
from typing import Any

from taskqueue import Discard, TaskContext, task

_NEVER = threading.Event()


@task("scene.runs")
def runs(note: str = "", *, ctx: TaskContext) -> None:
    """Says how far it is, and goes on until nobody wants it any more."""
    ctx.progress(0.4, note)
    while not ctx.cancelled:
        _NEVER.wait(0.02)


@task("scene.ends")
def ends(note: str, result: Any, *, ctx: TaskContext) -> Any:
    """Says how far it is, and returns what it was given."""
    ctx.progress(1.0, note)
    return result


@task("scene.refuses", retries=0)
def refuses(message: str = "no") -> None:
    """Makes a dead letter at once."""
    raise Discard(message)
