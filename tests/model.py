"""A store of nothing but the rules: a dict of tasks, `judge` and `apply`; who is next is found by sorting everything.

Random lives are compared with it. It shares no index, no query and no code with any backend.
"""

from __future__ import annotations

from storage import verbs as v
from taskqueue.core import events as ev
from taskqueue.core.clock import Clock
from taskqueue.core.config import Config
from taskqueue.core.events import Code
from taskqueue.core.states import apply, judge
from taskqueue.core.task import WAITING, Draft, Place, Status, Task, born, place, rank


class Model:
    """Tasks in the order of their creation, idempotency keys, paused queues, incarnations that were declared dead."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.tasks: dict[str, Task] = {}
        self.keys: dict[str, tuple[bytes, str, int]] = {}
        self.paused: set[str] = set()
        self.fenced: set[str] = set()

    @property
    def now(self) -> int:
        return self._clock.now()

    def happen(self, event: ev.Event) -> Code:
        """Let `event` happen in the model, if it may."""
        task = self.tasks.get(event.id)
        if task is None:
            return Code.NOT_FOUND
        code = judge(task, event, self.now)
        if code is Code.OK and isinstance(event, ev.Owned) and event.owner in self.fenced:
            code = Code.STALE
        if code is Code.OK:
            after = apply(task, event, self.now)
            if after is None:
                del self.tasks[event.id]
            else:
                self.tasks[event.id] = after
        return code

    def admit(self, one: Draft, capacity: int | None) -> v.Submitted:
        """Submit to the model."""
        digest, first, at = self.keys.get(one.key or "", (b"", "", -v.KEY_LIFETIME))
        if one.key and self.now - at < v.KEY_LIFETIME:
            if digest != one.digest:
                return v.Submitted(Code.MISMATCH, one.id)
            return v.Submitted(Code.DUP, first, Status.PENDING, at)
        twin = self.tasks.get(one.id)
        if twin is not None:
            if twin.digest != one.digest:
                return v.Submitted(Code.CONFLICT, one.id)
            if one.key:
                self.keys[one.key] = (one.digest, one.id, self.now)
            return v.Submitted(Code.DUP, one.id, twin.status, twin.created_at)
        if capacity is not None and sum(task.status in WAITING for task in self.tasks.values()) >= capacity:
            return v.Submitted(Code.FULL, one.id)
        self.tasks[one.id] = born(one, self.now)
        if one.key:
            self.keys[one.key] = (one.digest, one.id, self.now)
        return v.Submitted(Code.OK, one.id, Status.PENDING, self.now)

    def promote(self) -> int:
        """Everything that is due (there is always less than a claim may promote)."""
        return sum(self.happen(ev.Promote(id=task_id)) is Code.OK for task_id in list(self.tasks))

    def take(self, group: v.Group, owner: str, request: int) -> tuple[Task, ...]:
        """One group of a claim."""
        where = Place.SOLO if group.solo else Place.READY
        line = sorted(
            (rank(task.priority, task.eligible_at, Config().priority_aging), task.id)
            for task in self.tasks.values()
            if place(task) is where and in_lanes(task, group) and task.queue not in self.paused
        )
        taken: list[Task] = []
        for _, task_id in line:
            if len(taken) == group.n:
                break
            if self.happen(ev.Expire(id=task_id)) is not Code.OK:
                self.tasks[task_id] = self.taken(task_id, owner, request)
                taken.append(self.tasks[task_id])
        return tuple(taken)

    def taken(self, task_id: str, owner: str, request: int) -> Task:
        event = ev.Taken(id=task_id, owner=owner, node=owner[0], request=request)
        after = apply(self.tasks[task_id], event, self.now)
        assert after is not None
        return after


def in_lanes(task: Task, group: v.Group) -> bool:
    return task.handler in group.handlers and (group.queues == ("*",) or task.queue in group.queues)
