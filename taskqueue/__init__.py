"""What users import: `task`, `TaskContext`, `Retry`, `Discard`, `Snooze`. Loads neither actors nor API nor a store."""

from __future__ import annotations

from taskqueue.context import Discard, Retry, Snooze, TaskContext
from taskqueue.handlers import task

__all__ = ["Discard", "Retry", "Snooze", "TaskContext", "__version__", "task"]

__version__: str


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version  # takes longer than all the rest

        return version("taskqueue")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
