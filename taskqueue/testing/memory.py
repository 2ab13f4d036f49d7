"""The queue in memory, and the door to it. State: the store, the clock, and the handlers met so far."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

import msgspec

from taskqueue.client.bodies import Body, Submittable
from taskqueue.client.client import Client
from taskqueue.client.direct import DirectDoor, open_store
from taskqueue.client.steps import Item, Look, LookAll, Send, Step
from taskqueue.context import Span, micros
from taskqueue.core.clock import SECOND, ManualClock
from taskqueue.core.config import Config
from taskqueue.core.ids import CountingIds
from taskqueue.core.task import TERMINAL, Status, Task
from taskqueue.core.views import Declaration, Filter
from taskqueue.errors import NotFinished
from taskqueue.handlers import TaskFunction
from taskqueue.modules import collect
from taskqueue.testing.attempt import attempt

OWNER = "test"
STANDSTILL = 600.0
"""Seconds of waiting, which pass at once, after which somebody waits for what does not come."""

MOST_MOVES = 1_000


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A task as a test sees it. `outcomes`: how each attempt ended, oldest first; `payload` and `result` as JSON reads.

    `wait`: seconds until it may run, 0 where it could already or has ended.
    """

    id: str
    handler: str
    queue: str
    payload: Any
    status: Status
    priority: int
    tags: tuple[str, ...]
    attempt: int
    retries_left: int
    outcomes: tuple[str, ...]
    progress: float | None
    result: Any
    error: str | None
    wait: float


class Queue:
    """See the module.

    Attributes:
        client: what `.remote()` and `connect` use.
        clock: the store's clock, which stands still until it is moved.
    """

    def __init__(
        self, handlers: tuple[ModuleType | TaskFunction[Any, Any], ...], settings: dict[str, Any], *, inline: bool
    ) -> None:
        from taskqueue import builtin

        modules = [one for one in handlers if isinstance(one, ModuleType)]
        functions = [one for one in handlers if not isinstance(one, ModuleType)]
        self._handlers = {**collect([builtin, *modules]), **{one.handler.name: one.handler for one in functions}}
        self._config = Config(**{"storage": "memory", **settings})
        self._inline = inline
        self._request = 0
        self._here = threading.local()
        self._lock = threading.Lock()
        self.clock = ManualClock()
        self._store = open_store(self._config, self.clock)
        self._store.join(OWNER, ())
        self._door = _Door(self, self._config, self._store)
        self.client: Client = _TestClient(self._door, self._learn)

    # -- what a test does ----------------------------------------------------------------------------------------------

    def advance(self, span: Span) -> None:
        """Let time pass: seconds, `"5m"`, or a timedelta. What has become due then runs at the next `run`."""
        self.clock.advance(micros(span))

    def run(self) -> int:
        """Run what is due, and what that submits, until nothing is due; how many attempts that took."""
        count = 0
        while (task := self._claim()) is not None:
            handler = self._handlers[task.handler]
            ending = attempt(
                task, handler, store=self._store, clock=self.clock, config=self._config, owner=OWNER
            )
            self._store.happen(ending)
            count += 1
        return count

    def run_all(self) -> int:
        """`run`, and move the clock to whatever is due next (delays, backoffs, snoozes) until nothing waits any more.

        Raises NotFinished where that has no end.
        """
        count = self.run()
        for _ in range(MOST_MOVES):
            now = self.clock.now()
            left = (task for task in self._all() if task.status not in TERMINAL)
            due = [task.due_at for task in left if task.handler in self._handlers]
            if not due:
                return count
            self.clock.advance(max(1, min(due) - now))
            count += self.run()
        raise NotFinished(f"after {MOST_MOVES:,} moves of the clock there still are tasks that wait", "")

    def tasks(self, handler: str | None = None, status: str | None = None) -> list[Seen]:
        """The tasks there are, oldest first; those of a handler, or in a state, if it is given."""
        now = self.clock.now()
        wanted = (task for task in self._all() if handler in (None, task.handler) and status in (None, task.status))
        return [_seen(task, now) for task in wanted]

    def task(self, id: str) -> Seen:
        """One of them. Raises KeyError."""
        task = self._store.get(id)
        if task is None:
            raise KeyError(id)
        return _seen(task, self.clock.now())

    # -- how -----------------------------------------------------------------------------------------------------------

    def _all(self) -> list[Task]:
        found: list[Task] = []
        cursor: str | None = None
        while True:
            page = self._store.find(Filter(), 1_000, cursor)
            found += page.tasks
            cursor = page.cursor
            if cursor is None:
                return found[::-1]

    def _learn(self, body: Body[Any]) -> None:
        if body.function is not None:
            self._handlers.setdefault(body.handler, body.function.handler)

    def _claim(self) -> Task | None:
        with self._lock:
            self._request += 1
            taken: Task | None = self._store.claim(OWNER, self._request, tuple(self._handlers))
            return taken

    def submitted(self) -> None:
        """Somebody has submitted something; for the door."""
        if self._inline and not getattr(self._here, "running", False):
            # What a handler submits runs after it, by the run that goes on in this thread.
            self._here.running = True
            try:
                self.run()
            finally:
                self._here.running = False

    def declarations(self) -> dict[str, Declaration]:
        """What the handlers declare; for the door."""
        return {name: handler.declaration() for name, handler in self._handlers.items()}


class _TestClient(Client):
    """A client whose ids are counted, and that tells what functions it meets."""

    def __init__(self, door: _Door, learn: Callable[[Body[Any]], None]) -> None:
        super().__init__(door, ids=CountingIds("task-"))
        self._learn = learn

    def item(self, body: Submittable) -> Item:
        if isinstance(body, Body):
            self._learn(body)
        return super().item(body)


class _Door(DirectDoor):
    """The door to the store in memory. Waiting for it takes no time; who waits lets what is due run first."""

    def __init__(self, queue: Queue, config: Config, store: Any) -> None:
        super().__init__("memory://", config, lambda: store)
        self._queue = queue
        self._passed = 0.0
        self._since = 0.0

    def now(self) -> float:
        return self._passed

    def pause(self, seconds: float) -> None:
        self._passed += max(seconds, 0.001)
        if self._passed - self._since > STANDSTILL:
            self._since = self._passed
            raise NotFinished("nothing more is due: the test's clock stands still; see advance() and run_all()", "")

    def do(self, step: Step) -> Any:
        if isinstance(step, Send):
            outcomes = super().do(step)
            self._queue.submitted()
            return outcomes
        if isinstance(step, LookAll) or (isinstance(step, Look) and step.wait > 0):
            self._since = self._passed if self._queue.run() else self._since
        if isinstance(step, Look) and step.wait > 0:
            task = self.look(step)
            if task.status not in TERMINAL:
                wait = max(0, task.due_at - self._queue.clock.now()) / SECOND
                when = f"due in {wait:g} s of the test's clock" if wait else "due, but nobody serves its handler"
                raise NotFinished(f"task {task.id} is {task.status}, {when}; see advance() and run_all()", task.id)
        return super().do(step)

    async def do_async(self, step: Step) -> Any:
        return await asyncio.to_thread(self.do, step)

    def close(self) -> None:
        """Nothing: the store lives as long as the test."""

    def _declarations(self) -> dict[str, Declaration]:
        return self._queue.declarations()


def _seen(task: Task, now: int) -> Seen:
    return Seen(
        id=task.id,
        handler=task.handler,
        queue=task.queue,
        payload=msgspec.json.decode(task.payload),
        status=task.status,
        priority=task.priority,
        tags=task.tags,
        attempt=task.attempt,
        retries_left=task.retries_left,
        outcomes=tuple(attempt.outcome.value for attempt in task.history),
        progress=None if task.progress is None else task.progress.fraction,
        result=None if task.result is None else msgspec.json.decode(task.result),
        error=None if task.error is None else f"{task.error.type}: {task.error.message}",
        wait=0.0 if task.status in TERMINAL else max(0, task.due_at - now) / SECOND,
    )
