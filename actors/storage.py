"""StorageActor: the only one who writes to the store. Takes all writes that wait in its inbox, commits them together,
and answers when they are durable; it never waits for more to come.

State: none. If it dies, senders repeat what was not answered (verbs carry op ids). If the store's medium fails, it
says so to the node, which ends: nothing may be acknowledged any more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from queue import Empty
from typing import Any

from msgspec.structs import replace

from actors.base import NodeActor, OnDeath
from actors.messages import (
    Address,
    CountsSeen,
    HeldSeen,
    LeasesSeen,
    LookAtCounts,
    LookAtHeld,
    LookAtLeases,
    LookAtMembers,
    LookAtRuns,
    LookAtSchedules,
    LookAtTasks,
    LookAtTerm,
    MembersSeen,
    Message,
    RunsSeen,
    SchedulesSeen,
    TasksSeen,
    TermSeen,
    Write,
    Written,
)
from storage.store import Result, Store, Verb
from taskqueue.core.clock import Clock
from taskqueue.core.errors import StoreBroken, StoreError
from taskqueue.core.task import Task

log = logging.getLogger("taskqueue.storage")

MOST_VERBS = 2_000
"""In one commit; a single larger write still goes in whole."""


class StorageActor(NodeActor):
    """See the module."""

    def __init__(
        self,
        on_death: OnDeath,
        *,
        store: Store,
        clock: Clock,
        on_broken: Callable[[str], None],
        on_written: Callable[[Verb, int, int], None],
    ) -> None:
        super().__init__(on_death)
        self._store = store
        self._clock = clock
        self._on_broken = on_broken
        self._on_written = on_written

    def receivers(self) -> dict[type[Message], Callable[[Any], None]]:
        return {
            Write: self._write,
            LookAtMembers: self._look_at_members,
            LookAtTerm: lambda look: self._look(look.reply_to, lambda: TermSeen(term=self._store.term())),
            LookAtHeld: self._look_at_held,
            LookAtLeases: self._look_at_leases,
            LookAtRuns: self._look_at_runs,
            LookAtSchedules: self._look_at_schedules,
            LookAtTasks: self._look_at_tasks,
            LookAtCounts: self._look_at_counts,
        }

    def _write(self, first: Write) -> None:
        writes = [first, *self._waiting(len(first.verbs))]
        verbs: list[Verb] = [verb for write in writes for verb in write.verbs]
        results: list[Result | StoreError]
        began = self._clock.monotonic()
        try:
            results = self._store.execute(verbs)
        except StoreBroken as error:
            results = [error] * len(verbs)
            self._on_broken(str(error))
        if verbs:
            self._on_written(verbs[0], len(verbs), self._clock.monotonic() - began)
        start = 0
        for write in writes:
            end = start + len(write.verbs)
            write.reply_to.tell(Written(results=tuple(results[start:end]), ticket=write.ticket))
            start = end

    def _waiting(self, count: int) -> list[Write]:
        """The other writes in the inbox, up to the limit. What is no write stays, in order, for its own turn."""
        writes, others = [], []
        while count < MOST_VERBS:
            try:
                envelope = self.actor_inbox.get_nowait()  # type: ignore[attr-defined]  # a SimpleQueue, see NodeActor
            except Empty:
                break
            if isinstance(envelope.message, Write):
                writes.append(envelope.message)
                count += len(envelope.message.verbs)
            else:
                others.append(envelope)
        for envelope in others:
            self.actor_inbox.put(envelope)
        return writes

    def _look_at_members(self, look: LookAtMembers) -> None:
        self._look(look.reply_to, lambda: MembersSeen(members=tuple(self._store.members())))

    def _look_at_held(self, look: LookAtHeld) -> None:
        self._look(look.reply_to, lambda: HeldSeen(owner=look.owner, held=tuple(self._store.held(look.owner))))

    def _look_at_leases(self, look: LookAtLeases) -> None:
        self._look(look.reply_to, lambda: LeasesSeen(leases=tuple(self._store.leases())))

    def _look_at_runs(self, look: LookAtRuns) -> None:
        self._look(look.reply_to, lambda: RunsSeen(owner=look.owner, tasks=self._runs(look.owner)))

    def _runs(self, owner: str) -> tuple[Task, ...]:
        tasks = (self._store.get(held.id) for held in self._store.held(owner))
        mine = (task for task in tasks if task is not None and task.owner == owner)
        return tuple(replace(task, payload=b"", history=()) for task in mine)  # it is kept for as long as it runs

    def _look_at_schedules(self, look: LookAtSchedules) -> None:
        self._look(look.reply_to, lambda: self._schedules(look.revision))

    def _schedules(self, known: int | None) -> SchedulesSeen:
        revision = self._store.revision()
        schedules = None if revision == known else tuple(self._store.schedules())
        return SchedulesSeen(revision=revision, schedules=schedules)

    def _look_at_tasks(self, look: LookAtTasks) -> None:
        tasks = (self._store.get(task_id) for task_id in look.ids)
        self._look(look.reply_to, lambda: TasksSeen(tasks=tuple(filter(None, tasks)), ticket=look.ticket))

    def _look_at_counts(self, look: LookAtCounts) -> None:
        self._look(look.reply_to, lambda: CountsSeen(counts=self._store.counts()))

    def _look(self, reply_to: Address, read: Callable[[], Message]) -> None:
        try:
            seen = read()
        except StoreError as error:
            log.warning("not answered, since the store %s", error)  # who asked asks again by and by
        else:
            reply_to.tell(seen)
