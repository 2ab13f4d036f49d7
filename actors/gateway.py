"""The door between threads and actors. Reads go straight to the store, in the calling thread; all else is asked of
QueueActor (`asking.py`). See `api/gateway.py` for what each method promises; this class fits that protocol. State: a
cap on threads that wait for tasks to finish.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from queue import Empty

from msgspec.structs import replace

from actors.asking import Results, ask
from actors.callers import Callers
from actors.handle import Handle
from actors.leases import Leases
from actors.messages import Lend, Operate
from actors.schedules import Schedules
from actors.submits import Submits
from actors.views import Views
from actors.watchers import Watchers
from storage import verbs as v
from storage.store import Store, Verb
from taskqueue.core import errors
from taskqueue.core import events as ev
from taskqueue.core.clock import SECOND, Clock
from taskqueue.core.config import Config
from taskqueue.core.ids import Ids
from taskqueue.core.states import TRANSITIONS, VERBS
from taskqueue.core.task import TERMINAL, WAITING, Status, Task
from taskqueue.core.views import DeadCount, Filter, Page, matches
from taskqueue.handlers import Handler

ACTIONS: dict[str, type[ev.Cancel] | type[ev.Retry] | type[ev.Replay] | type[ev.Delete]] = {
    "cancel": ev.Cancel,
    "retry": ev.Retry,
    "replay": ev.Replay,
    "delete": ev.Delete,
}
BULK_STEP = 500
FIRST_LOOK = 0.02
"""Seconds after which who waits for a task looks whether another node has finished it; then ever more rarely."""


class NodeGateway:
    """See the module. What only looks is in `views`, and answered there."""

    def __init__(
        self,
        *,
        config: Config,
        clock: Clock,
        ids: Ids,
        store: Store,
        queue: Handle,
        handlers: Mapping[str, Handler],
        watchers: Watchers,
        callers: Callers,
        views: Views,
        open_doors: Callable[[], bool],
    ) -> None:
        self._config = config
        self._clock = clock
        self._ids = ids
        self._store = store
        self._queue = queue
        self._watchers = watchers
        self._seats = threading.BoundedSemaphore(max(1, config.api_threads // 2))
        self.queues = views.queues
        self.handlers = views.handlers
        self.status = views.status
        self.nodes = views.nodes
        self.alive = views.alive
        self.ready = views.ready
        self.stats = views.stats
        self.notes = views.notes
        self.metrics = views.metrics
        self.answered = views.answered

        submits = Submits(config=config, clock=clock, ids=ids, store=store, queue=queue, handlers=handlers)
        self.submit = submits.submit
        self.submit_soon = submits.submit_soon
        self.schedules = Schedules(
            clock=clock,
            ids=ids,
            store=store,
            handlers=handlers,
            declared=views.scheduled,
            ask=self._do,
            submit=self.submit,
            get=self.get,
        )

        self.leases = Leases(
            config=config,
            clock=clock,
            store=store,
            handlers=handlers,
            callers=callers,
            seats=self._seats,
            ask=lambda verbs, task: ask(queue, lambda waiter: Lend(verbs=verbs, task=task, reply_to=waiter)),
            open_doors=open_doors,
        )

    # -- tasks seen ----------------------------------------------------------------------------------------------------

    def get(self, task_id: str) -> Task:
        task = self._store.get(task_id)
        if task is None:
            raise errors.NotFound(f"no task has the id {task_id}")
        return task

    def wait(self, task_id: str, seconds: float) -> Task:
        task = self.get(task_id)
        if task.status in TERMINAL or not self._seats.acquire(blocking=False):
            return task
        bell = self._watchers.watch(task_id)
        try:
            deadline = self._clock.monotonic() + round(seconds * SECOND)
            longest = self._config.poll_interval / SECOND
            pause = min(longest, FIRST_LOOK) if self._config.cluster_enabled else longest
            while (task := self.get(task_id)).status not in TERMINAL and not self._watchers.closed:
                left = (deadline - self._clock.monotonic()) / SECOND
                if left <= 0:
                    break
                try:
                    bell.get(timeout=min(left, pause * random.uniform(0.5, 1.0)))
                except Empty:
                    pause = min(longest, pause * 1.5)  # it may have finished elsewhere: look again
            return task
        finally:
            self._watchers.leave(task_id, bell)
            self._seats.release()

    def find(self, filter: Filter, limit: int, cursor: str | None) -> Page:
        try:
            return self._store.find(filter, limit, cursor)
        except errors.UnknownCursor:
            raise errors.InvalidInput([("?cursor", "expected a cursor from a page's nextCursor")]) from None

    def dead(self) -> list[DeadCount]:
        return self._store.dead()

    # -- tasks steered -------------------------------------------------------------------------------------------------

    def update(self, change: ev.Update, *, by: str = "") -> Task:
        answer = self._operate(change, v.Note(by, "update", change.id))
        assert answer.task is not None
        return answer.task

    def act(self, action: str, task_id: str, *, by: str = "") -> Task | None:
        answer = self._operate(ACTIONS[action](id=task_id, op=self._ids.new()), v.Note(by, str(action), task_id))
        return None if action == "delete" else answer.task

    def _operate(self, event: ev.Event, note: v.Note) -> v.Answer:
        (answer,) = self._do((event,), note)
        assert isinstance(answer, v.Answer)
        if answer.code is ev.Code.NOT_FOUND:
            raise errors.NotFound(f"no task has the id {event.id}")
        if answer.code not in (ev.Code.OK, ev.Code.DUP):
            status = answer.status or (answer.task.status if answer.task else "gone")
            raise errors.Conflict(f"a task that is {status} does not allow {VERBS[type(event)]}")
        return answer

    def bulk(
        self, action: str, filter: Filter, ids: Sequence[str] | None, *, dry_run: bool, by: str = "", target: str = ""
    ) -> int:
        return self._bulk(action, filter, ids, dry_run, v.Note(by, str(action), target))

    def _bulk(self, action: str, filter: Filter, ids: Sequence[str] | None, dry_run: bool, note: v.Note) -> int:
        """Step by step; each step that changed something has its entry in the audit log."""
        allowed = TRANSITIONS[action]
        statuses = [s for s in Status if s in allowed and filter.status in (None, s)]
        done = 0
        for step in self._listed(filter, ids, statuses) if ids is not None else self._found(filter, statuses):
            if dry_run:
                done += len(step)
                continue
            verbs = tuple(ACTIONS[action](id=task_id, op=self._ids.new()) for task_id in step)
            answers = self._do(verbs, note)
            done += sum(isinstance(answer, v.Answer) and answer.code is ev.Code.OK for answer in answers)
        return done

    def _found(self, filter: Filter, statuses: Sequence[Status]) -> Iterator[list[str]]:
        for status in statuses:
            cursor: str | None = None
            while True:
                page = self._store.find(replace(filter, status=status), BULK_STEP, cursor)
                if page.tasks:
                    yield [task.id for task in page.tasks]
                cursor = page.cursor
                if cursor is None:
                    break

    def _listed(self, filter: Filter, ids: Sequence[str], statuses: Sequence[Status]) -> Iterator[list[str]]:
        unique = list(dict.fromkeys(ids))
        for start in range(0, len(unique), BULK_STEP):
            tasks = (self._store.get(task_id) for task_id in unique[start : start + BULK_STEP])
            step = [task.id for task in tasks if task is not None and task.status in statuses and matches(filter, task)]
            if step:
                yield step

    # -- queues and nodes ----------------------------------------------------------------------------------------------

    def pause(self, queue: str, *, by: str = "") -> None:
        self._do((v.Pause(queue),), v.Note(by, "pause", queue))

    def resume(self, queue: str, *, by: str = "") -> None:
        self._do((v.Resume(queue),), v.Note(by, "resume", queue))

    def purge(self, queue: str, *, by: str = "") -> int:
        here = Filter(queue=queue, before=self._clock.now())
        note = v.Note(by, "purge", queue)
        return sum(self._bulk("cancel", replace(here, status=status), None, False, note) for status in sorted(WAITING))

    def drain(self, node: str, on: bool, *, by: str = "") -> None:
        (answer,) = self._do((v.Drain(node, on),), v.Note(by, "drain" if on else "undrain", node))
        if isinstance(answer, v.Answer) and answer.code is ev.Code.NOT_FOUND:
            raise errors.NotFound(f"no live node is named {node}")

    def _do(self, verbs: tuple[Verb, ...], note: v.Note | None) -> Results:
        return ask(self._queue, lambda waiter: Operate(verbs=verbs, reply_to=waiter, note=note))
