"""One attempt at a task, here and now; its ending is judged by a node's own code."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

from taskqueue.core import events as ev
from taskqueue.core.clock import Clock
from taskqueue.core.config import Config
from taskqueue.core.retry import delay
from taskqueue.core.task import Status, Task
from taskqueue.handlers import Handler


def attempt(
    task: Task, handler: Handler, *, store: Any, clock: Clock, config: Config, owner: str
) -> ev.Event:
    """Run a claimed task once; what is to happen to it then. `store` is told of its progress meanwhile."""
    from actors.pool import Raised, Returned, Run, Snoozed
    from actors.runners import Desk

    run = Run(task, handler, clock.monotonic())
    desk = Desk(_Reports(store, owner), clock, config.max_result_bytes)  # type: ignore[arg-type]
    if run.cancelled is not None:
        run.cancelled = _Cancelled(store, task.id)  # type: ignore[assignment]
    try:
        value = handler.function(**desk.arguments(run))
        ending = desk.returned(run, _finished(value) if handler.isolation == "async" else value)
    except (Exception, SystemExit) as error:
        ending = desk.raised(run, error)
    common: dict[str, Any] = {"id": task.id, "op": str(task.fence), "owner": owner, "fence": task.fence}
    if isinstance(ending, Returned):
        return ev.Complete(result=ending.result, **common)
    if isinstance(ending, Snoozed):
        return ev.Snooze(delay=ending.delay, **common)
    assert isinstance(ending, Raised)
    wait = ending.delay
    if wait is None:
        wait = delay(handler.backoff or config.backoff, task.retries - task.retries_left + 1, lambda: 0.5)
    return ev.Fail(
        type=ending.type,
        message=ending.message,
        cause=ending.cause,
        delay=wait,
        final=ending.final,
        **common,
    )


class _Reports:
    """Takes the place of a node's pool: progress goes to the store at once."""

    def __init__(self, store: Any, owner: str) -> None:
        self._store = store
        self._owner = owner

    def report(self, run: Any, fraction: float, note: str) -> None:
        task = run.task
        self._store.happen(ev.Report(id=task.id, owner=self._owner, fence=task.fence, fraction=fraction, note=note))


class _Cancelled:
    """Set once the task was cancelled."""

    def __init__(self, store: Any, task_id: str) -> None:
        self._store = store
        self._id = task_id

    def is_set(self) -> bool:
        task = self._store.get(self._id)
        return task is None or task.status is Status.CANCELLED


def _finished(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine comes to, on an event loop of its own; in a thread of its own where a loop runs here."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    box: list[Any] = []

    def work() -> None:
        try:
            box.extend((True, asyncio.run(coroutine)))
        except BaseException as error:
            box.extend((False, error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    well, value = box
    if not well:
        raise value
    return value
