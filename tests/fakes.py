"""Stand-ins that are real enough: a gateway straight on the store in memory, without actors."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from threading import Thread
from typing import Any

from msgspec.structs import replace

from actors.callers import Callers
from actors.leases import Leases
from actors.notary import took_effect
from actors.schedules import Schedules
from actors.statistics import statistics
from storage import verbs as v
from storage.memory import open_memory
from taskqueue.core import events as ev
from taskqueue.core.clock import SECOND, Clock
from taskqueue.core.config import Config
from taskqueue.core.errors import (
    Bystander,
    Conflict,
    InvalidInput,
    NotFound,
    QueueFull,
    TaskqueueError,
    Unavailable,
    UnknownCursor,
)
from taskqueue.core.events import Code
from taskqueue.core.ids import CountingIds
from taskqueue.core.states import TRANSITIONS, VERBS
from taskqueue.core.submission import Submission, fill
from taskqueue.core.task import Draft, Status, Task
from taskqueue.core.views import (
    ClusterStatus,
    DeadCount,
    Declaration,
    Filter,
    HandlerView,
    Health,
    NodeView,
    NotePage,
    Page,
    QueueStats,
    Receipt,
    Stats,
    matches,
)
from taskqueue.handlers import Handler

OWNER = "node-1@1"


class Promised:
    """A receipt that is there."""

    within = 10 * SECOND

    def __init__(self, receipt: Receipt, ready: Callable[[], None]) -> None:
        self.receipt = lambda: receipt
        self.ready = ready


class FakeGateway:
    """What the API needs of a node, done at once by the store in memory.

    `failing` is raised by every call, if set; `away` makes every submit's outcome unknown; `calls` are the names and
    arguments of what was asked; `health` is what the probes say; `answers` counts what was answered; `known` are
    handlers that check payloads, `code` the schedules that stand in code; `doors`: new work is taken; `hesitant`: no
    submit is begun without waiting.
    """

    def __init__(self, clock: Clock, config: Config | None = None) -> None:
        self.clock = clock
        self.config = config or Config()
        self.store = open_memory(self.config, clock)
        self.ids = CountingIds("task")
        self.failing: BaseException | None = None
        self.away = False
        self.calls: list[tuple[object, ...]] = []
        self.health = Health(ok=True)
        self.answers: Counter[tuple[str, int]] = Counter()
        self.known: dict[str, Handler] = {}
        self.code: frozenset[str] = frozenset()
        self.callers = Callers()
        self.doors = True
        self.hesitant = False
        self.member = v.Register(
            owner=OWNER,
            node="node-1",
            host="host",
            pid=42,
            workers=5,
            queues=("default",),
            handlers=(Declaration(name="echo", schema=b'{"type":"object"}'),),
            alone=True,
        )
        self.store.execute([self.member])

    def _asked(self, *call: object) -> None:
        self.calls.append(call)
        if self.failing is not None:
            raise self.failing

    def submit(
        self, submissions: Iterable[Submission], *, atomic: bool = False, note: v.Note | None = None
    ) -> list[Receipt]:
        submissions = list(submissions)
        self._asked("submit", len(submissions), atomic)
        results: Any
        drafts = [fill(one, one.id or self.ids.new(), None, self.config) for one in submissions]
        if self.away:
            return [Receipt(id=one.id, error=Unavailable("no answer", task_id=one.id)) for one in drafts]
        if atomic:
            (results,) = self.store.execute([v.SubmitAll(tuple(drafts), self.config.queue_size)])
        else:
            results = self._noting([v.Submit(one, self.config.queue_size) for one in drafts], note)
        return [_receipt(one, result) for one, result in zip(drafts, results, strict=True)]

    def submit_soon(self, submission: Submission, ready: Callable[[], None]) -> Promised | None:
        """What `submit` would say; ready at once, by another thread."""
        if self.hesitant:
            return None
        [done] = self.submit([submission])
        Thread(target=ready).start()
        return Promised(done, ready)

    def get(self, task_id: str) -> Task:
        self._asked("get", task_id)
        task = self.store.get(task_id)
        if task is None:
            raise NotFound(f"no task has the id {task_id}")
        return task

    def wait(self, task_id: str, seconds: float) -> Task:
        self.calls.append(("wait", task_id, seconds))
        return self.get(task_id)

    def find(self, filter: Filter, limit: int, cursor: str | None) -> Page:
        self._asked("find", filter, limit, cursor)
        try:
            return self.store.find(filter, limit, cursor)
        except UnknownCursor:
            raise InvalidInput([("?cursor", "expected the nextCursor of an earlier page")]) from None

    def dead(self) -> list[DeadCount]:
        self._asked("dead")
        return self.store.dead()

    def update(self, change: ev.Update, *, by: str = "") -> Task:
        self._asked("update", change)
        task = self._do(change, v.Note(by, "update", change.id))
        assert task is not None
        return task

    def act(self, action: str, task_id: str, *, by: str = "") -> Task | None:
        self._asked("act", action, task_id)
        return self._do(_ACTIONS[action](id=task_id), v.Note(by, action, task_id))

    def _noting(self, verbs: Sequence[Any], note: v.Note | None) -> list[Any]:
        results = self.store.execute(verbs)
        count = sum(took_effect(result) for result in results)
        if note is not None and count:
            self.store.execute([replace(note, count=count)])
        return results

    def _do(self, event: ev.Event, note: v.Note | None = None) -> Task | None:
        (answer,) = self._noting([event], note)
        assert isinstance(answer, v.Answer)
        if answer.code is Code.NOT_FOUND:
            raise NotFound(f"no task has the id {event.id}")
        if answer.code is not Code.OK:
            raise Conflict(f"the task's state does not allow {VERBS[type(event)]}")
        return answer.task

    def bulk(
        self, action: str, filter: Filter, ids: Sequence[str] | None, *, dry_run: bool, by: str = "", target: str = ""
    ) -> int:
        return self._bulk(action, filter, ids, dry_run, v.Note(by, action, target))

    def _bulk(self, action: str, filter: Filter, ids: Sequence[str] | None, dry_run: bool, note: v.Note) -> int:
        self._asked("bulk", action, filter, ids, dry_run)
        found = [task for state in TRANSITIONS[action] for task in self._in(state) if matches(filter, task)]
        chosen = [task for task in found if ids is None or task.id in ids]
        if not dry_run:
            self._noting([_ACTIONS[action](id=task.id) for task in chosen], note)
        return len(chosen)

    def _in(self, state: Status) -> tuple[Task, ...]:
        return self.store.find(Filter(status=state), 1_000).tasks

    def queues(self) -> list[QueueStats]:
        self._asked("queues")
        return [
            QueueStats(view=view, submitted_per_second=1.23456, finished_per_second=0.0, unserved=("ghost",))
            for view in self.store.queues()
        ]

    def pause(self, queue: str, *, by: str = "") -> None:
        self._asked("pause", queue)
        self._noting([v.Pause(queue)], v.Note(by, "pause", queue))

    def resume(self, queue: str, *, by: str = "") -> None:
        self._asked("resume", queue)
        self._noting([v.Resume(queue)], v.Note(by, "resume", queue))

    def purge(self, queue: str, *, by: str = "") -> int:
        return sum(
            self._bulk("cancel", Filter(queue=queue, status=state), None, False, v.Note(by, "purge", queue))
            for state in (Status.PENDING, Status.FAILED)
        )

    def handlers(self) -> list[HandlerView]:
        self._asked("handlers")
        (declared,) = self.member.handlers
        view = HandlerView(
            name=declared.name,
            queues=("default",),
            nodes=("node-1",),
            schema=declared.schema,
            isolation=declared.isolation,
        )
        return [view]

    def status(self) -> ClusterStatus:
        self._asked("status")
        return ClusterStatus(
            mode="standalone",
            leader="node-1",
            term=1,
            durability="full",
            nodes={"alive": 1},
            tasks={state: n for state, n in self.store.counts().items() if n},
            uptime=1_234_567,
            version="0.1.0",
        )

    def nodes(self) -> list[NodeView]:
        self._asked("nodes")
        return [NodeView(member=one, status="alive", leader=True) for one in self.store.members()]

    def drain(self, node: str, on: bool, *, by: str = "") -> None:
        self._asked("drain", node, on)
        (answer,) = self._noting([v.Drain(node, on)], v.Note(by, "drain" if on else "undrain", node))
        assert isinstance(answer, v.Answer)
        if answer.code is Code.NOT_FOUND:
            raise NotFound(f"no live node is named {node}")

    @property
    def schedules(self) -> Schedules:
        self._asked("schedules")
        return Schedules(
            clock=self.clock,
            ids=self.ids,
            store=self.store,
            handlers=self.known,
            declared=lambda: self.code,
            ask=lambda verbs, note: tuple(self._noting(verbs, note)),
            submit=self.submit,
            get=self.get,
        )

    @property
    def leases(self) -> Leases:
        self._asked("leases")
        return Leases(
            config=self.config,
            clock=self.clock,
            store=self.store,
            handlers=self.known,
            callers=self.callers,
            seats=threading.BoundedSemaphore(1),
            ask=lambda verbs, _task: tuple(self.store.execute(verbs)),
            open_doors=lambda: self.doors,
        )

    def notes(self, limit: int, cursor: str | None) -> NotePage:
        self._asked("notes", limit, cursor)
        try:
            return self.store.notes(limit, cursor)
        except UnknownCursor:
            raise InvalidInput([("?cursor", "expected the nextCursor of an earlier page")]) from None

    def stats(self, minutes: int) -> Stats:
        self._asked("stats", minutes)
        return statistics(self.store.tallies(0), minutes, self.clock.now())

    def metrics(self) -> bytes:
        self._asked("metrics")
        return b"taskqueue_leader 1.0\n"

    def answered(self, route: str, status: int) -> None:
        self.answers[route, status] += 1

    def alive(self) -> Health:
        self._asked("alive")
        return self.health

    def ready(self) -> Health:
        self._asked("ready")
        return self.health

    # -- for tests -----------------------------------------------------------------------------------------------------

    def run(self, task_id: str, end: ev.Owned | None = None) -> Task:
        """Claim everything; then end this task's attempt by `end` (whose fence is filled in), if given."""
        group = v.Group(("echo", "email.send"), ("*",), 1_000)
        request = 1 + len([call for call in self.calls if call[0] == "run"])
        self.calls.append(("run", task_id))
        self.store.execute([v.Claim(OWNER, request, (group,))])
        if end is not None:
            task = self.store.get(task_id)
            assert task is not None
            (answer,) = self.store.execute([replace(end, id=task_id, owner=OWNER, fence=task.fence)])
            assert isinstance(answer, v.Answer)
            assert answer.code is Code.OK
        task = self.store.get(task_id)
        assert task is not None
        return task


_ACTIONS: dict[str, type[ev.Event]] = {
    "cancel": ev.Cancel,
    "retry": ev.Retry,
    "replay": ev.Replay,
    "delete": ev.Delete,
}


def _receipt(draft: Draft, result: object) -> Receipt:
    assert isinstance(result, v.Submitted)
    error: TaskqueueError | None = {
        Code.CONFLICT: Conflict(f"another task has the id {draft.id}"),
        Code.MISMATCH: InvalidInput([("$.parameters.idempotencyKey", "was used with another body")]),
        Code.FULL: QueueFull("queueSize tasks are waiting"),
        Code.WAITS: Bystander("another task of the batch was refused"),
    }.get(result.code)
    repeat = result.code is Code.DUP
    return Receipt(id=result.id, status=result.status, created_at=result.created_at, repeat=repeat, error=error)
