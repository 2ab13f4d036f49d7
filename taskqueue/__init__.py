"""What users import: `task`, `TaskContext`, `Retry`, `Discard`, `Snooze` for handlers; `connect`, `TaskRef`, `get`,
`wait` to submit and to ask; `errors`. Loads neither actors nor API nor a store, and the client only when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskqueue.context import Discard, Retry, Snooze, TaskContext
from taskqueue.handlers import task

if TYPE_CHECKING:
    from taskqueue import errors
    from taskqueue.client import Body, Client, TaskRef, connect, get, get_async, wait, wait_async

__all__ = [
    "Body",
    "Client",
    "Discard",
    "Retry",
    "Snooze",
    "TaskContext",
    "TaskRef",
    "__version__",
    "connect",
    "errors",
    "get",
    "get_async",
    "task",
    "wait",
    "wait_async",
]

__version__: str

_CLIENT = frozenset({"Body", "Client", "TaskRef", "connect", "get", "get_async", "wait", "wait_async"})


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # takes longer than all the rest

        return version("taskqueue")
    if name in _CLIENT:
        from taskqueue import client

        return getattr(client, name)
    if name == "errors":
        from importlib import import_module

        return import_module("taskqueue.errors")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
