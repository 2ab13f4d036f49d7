"""What the API needs of a node. `actors/gateway.py` gives it; tests give another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from taskqueue.core.events import Update
from taskqueue.core.leases import Grant, Wish
from taskqueue.core.schedule import ScheduleView, Spec
from taskqueue.core.submission import Submission
from taskqueue.core.task import Status, Task
from taskqueue.core.views import (
    ClusterStatus,
    DeadCount,
    Filter,
    HandlerView,
    Health,
    NodeView,
    NotePage,
    Page,
    QueueStats,
    Receipt,
    Stats,
)


class Schedules(Protocol):
    """Schedules, as the API steers them. All but `all` raise NotFound for an id that there is not. `by` is as in
    `Gateway`.
    """

    def all(self) -> list[ScheduleView]:
        """Every schedule, by id."""

    def one(self, schedule_id: str) -> ScheduleView: ...

    def create(self, schedule_id: str | None, spec: Spec, paused: bool, *, by: str = "") -> ScheduleView:
        """Raises Conflict where the id exists, InvalidInput for a payload that its handler refuses."""

    def put(self, schedule_id: str, spec: Spec, paused: bool, *, by: str = "") -> tuple[ScheduleView, bool]:
        """Create or replace; whether it is new. Raises Conflict for a schedule that stands in code."""

    def delete(self, schedule_id: str, *, by: str = "") -> None:
        """Raises Conflict for a schedule that stands in code."""

    def pause(self, schedule_id: str, *, by: str = "") -> ScheduleView: ...

    def resume(self, schedule_id: str, *, by: str = "") -> ScheduleView: ...

    def trigger(self, schedule_id: str, *, by: str = "") -> Task:
        """Submit its task now, beside its due times."""

    def preview(self, schedule_id: str, count: int) -> list[int]:
        """The next due times."""


class Leases(Protocol):
    """What workers from outside may do. All but `claim` answer the task's id and its state now, and raise Conflict
    where the token's run is over, or nobody was given it; a repeat of what ended it is answered as the first time.
    """

    def claim(self, wish: Wish, *, by: str = "", gone: Callable[[], bool] = ...) -> list[Grant]:
        """Tasks as soon as there are any, or none after `wish.wait`; at once where too many wait, or the node stops.
        `gone` says whether the client is still there. Raises Conflict where what its `request` claimed is over.
        """

    def renew(self, token: str) -> tuple[str, Status]:
        """The worker lives, and so do all runs of the same claim."""

    def complete(self, token: str, result: bytes) -> tuple[str, Status]:
        """`result` is JSON."""

    def fail(self, token: str, type: str, message: str, *, retry: bool) -> tuple[str, Status]:
        """It is retried as any task, unless it is not to be."""

    def release(self, token: str) -> tuple[str, Status]:
        """It goes back, uncharged."""


class Awaited(Protocol):
    """A submit on its way. `within`: microseconds after which nobody should wait for it any more."""

    @property
    def within(self) -> int: ...

    def receipt(self) -> Receipt:
        """What became of it; `Unavailable`, its outcome unknown, where that is not known."""


class Gateway(Protocol):
    """A node, as the API sees it. Every method may be called by any thread, blocks for a bounded time, and raises
    `Unavailable` where the node's actors or its store do not answer in that time.

    `by` is the name of the token that asks for a change, empty where there are none. What took effect is in the audit
    log, with that name, when the method returns.
    """

    @property
    def schedules(self) -> Schedules: ...

    @property
    def leases(self) -> Leases: ...

    def submit(self, submissions: Iterable[Submission], *, atomic: bool = False) -> list[Receipt]:
        """Store tasks; one receipt each, in order; unless `atomic`, the first may be stored before the last is looked
        at. What is wrong with one is in its receipt (`InvalidInput` with paths
        that begin at the task's own `$`, `Conflict`, `QueueFull`, `TooLarge`, `Unavailable`). `atomic`: all or none;
        the receipts of the innocent ones then hold a `Conflict`, too.
        """

    def submit_soon(self, submission: Submission, ready: Callable[[], None]) -> Awaited | None:
        """Store one task without waiting: `ready` is called in any thread when its receipt is there, unless it never
        is. None, and nothing is done, where it would take time to begin. Raises InvalidInput.
        """

    def get(self, task_id: str) -> Task:
        """Raises NotFound."""

    def wait(self, task_id: str, seconds: float) -> Task:
        """The task as soon as it is terminal, or as it is after `seconds`; at once where too many wait. Raises
        NotFound.
        """

    def find(self, filter: Filter, limit: int, cursor: str | None) -> Page:
        """Raises InvalidInput with path `?cursor` for a cursor that no page gave."""

    def dead(self) -> list[DeadCount]:
        """Dead letters by handler and cause."""

    def update(self, change: Update, *, by: str = "") -> Task:
        """Raises NotFound, Conflict."""

    def act(self, action: str, task_id: str, *, by: str = "") -> Task | None:
        """`cancel`, `retry`, `replay`, `delete` one task (None: deleted). Raises NotFound, Conflict."""

    def bulk(
        self, action: str, filter: Filter, ids: Sequence[str] | None, *, dry_run: bool, by: str = "", target: str = ""
    ) -> int:
        """The same for all that match the filter (and are among `ids`, if given) and whose state allows it; how many.

        `target` says in the audit log what was asked for.
        """

    def queues(self) -> list[QueueStats]:
        """Every queue that holds a task, is served or is paused."""

    def pause(self, queue: str, *, by: str = "") -> None:
        """Durable, for all nodes."""

    def resume(self, queue: str, *, by: str = "") -> None:
        """Durable, for all nodes."""

    def purge(self, queue: str, *, by: str = "") -> int:
        """Cancel all that waits in the queue; how many."""

    def handlers(self) -> list[HandlerView]:
        """What live nodes declare."""

    def status(self) -> ClusterStatus:
        """The deployment in one look."""

    def nodes(self) -> list[NodeView]:
        """Every member, those that died within the last hour included."""

    def drain(self, node: str, on: bool, *, by: str = "") -> None:
        """Raises NotFound where no live node has that name."""

    def notes(self, limit: int, cursor: str | None) -> NotePage:
        """The audit log, newest first. Raises InvalidInput with path `?cursor` for a cursor that no page gave."""

    def stats(self, minutes: int) -> Stats:
        """Rates and percentiles of all nodes, and a point for each of the last minutes."""

    def metrics(self) -> bytes:
        """This node's metrics, in Prometheus' text format 0.0.4."""

    def answered(self, route: str, status: int) -> None:
        """Count an answer; `route` is the template of its path in the table of routes."""

    def alive(self) -> Health:
        """Is this process worth keeping?"""

    def ready(self) -> Health:
        """Does this node take work now?"""
