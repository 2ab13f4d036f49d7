"""The store in memory: the reference that the other backends are held to, for simulations and for users' tests.

State: tasks and indexes (`memory_table`), members and term (`memory_members`), schedules (`memory_schedules`), counts
and the audit log (`memory_past`), idempotency keys and paused queues. `memory_claim` and `memory_keeping` hold the
verbs that move many tasks. One lock makes every verb and every read atomic. Nothing outlives the process, so
`durability` is `weak`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from storage import verbs as v
from storage.memory_claim import Claims
from storage.memory_keeping import Keeping
from storage.memory_members import Members
from storage.memory_past import Past
from storage.memory_schedules import Schedules
from storage.memory_table import Table, unfinished
from storage.store import Result, Verb
from taskqueue.core import events as ev
from taskqueue.core.clock import Clock
from taskqueue.core.config import Config
from taskqueue.core.errors import StoreError
from taskqueue.core.states import judge
from taskqueue.core.task import Draft, Status, Task, born
from taskqueue.core.views import DeadCount, Filter, Held, LeaseView, Member, NotePage, Page, QueueView

HOT = (ev.Complete, ev.Fail, ev.Release, ev.Snooze, ev.Report)
EVENTS = (*HOT, ev.Cancel, ev.Retry, ev.Replay, ev.Update, ev.Delete)
"""The events that may come from outside; all others happen inside a claim or a leader's verb."""


class Key(NamedTuple):
    """An idempotency key that was used: for which body, and what the first answer was."""

    digest: bytes
    id: str
    at: int


def open_memory(config: Config, clock: Clock) -> MemoryStore:
    """An empty store (the entry point `memory`)."""
    return MemoryStore(clock, config.priority_aging)


class MemoryStore:
    """See `storage.store.Store`."""

    durability = "weak"

    def __init__(self, clock: Clock, aging: int) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._table = Table(aging)
        self._members = Members()
        self._schedules = Schedules()
        self._past = Past()
        self._keys: dict[str, Key] = {}
        self._paused: set[str] = set()
        self._keeping = keeping = Keeping(self._table, self._members)
        self._do: dict[type[Any], Callable[[Any, int], Result]] = {
            **dict.fromkeys(EVENTS, self._event),
            v.Submit: lambda verb, now: self._submit((verb.draft,), verb.capacity, now)[0],
            v.SubmitAll: lambda verb, now: self._submit(verb.drafts, verb.capacity, now),
            v.Claim: Claims(self._table, self._members, self._paused).claim,
            v.Register: self._members.register,
            v.Beat: self._members.beat,
            v.Deregister: lambda verb, now: self._members.deregister(verb, now, self._table.holds(verb.owner)),
            v.Lease: self._members.lease,
            v.Renew: self._renew,
            v.Drain: self._members.drain,
            v.Campaign: lambda verb, _now: self._members.campaign(verb),
            v.Resign: lambda verb, _now: self._members.resign(verb),
            v.Fence: self._led(self._fence, v.Answer),
            v.Tick: self._led(self._tick, v.Answer),
            v.Reap: self._led(keeping.reap),
            v.PromoteDue: self._led(keeping.promote_due),
            v.ExpireDue: self._led(keeping.expire_due),
            v.PruneOld: self._led(self._prune_old),
            v.Sweep: self._led(keeping.sweep),
            v.PutSchedule: self._schedules.put,
            v.DropSchedule: self._schedules.drop,
            v.Tally: lambda verb, _now: self._past.tally(verb),
            v.Note: self._past.note,
            v.Pause: lambda verb, _now: self._pause(verb.queue, True),
            v.Resume: lambda verb, _now: self._pause(verb.queue, False),
        }

    def execute(self, verbs: Sequence[Verb]) -> list[Result | StoreError]:
        """See `Store.execute`. Raises TypeError, before anything is done, for what is no verb."""
        for verb in verbs:
            if type(verb) not in self._do:
                raise TypeError(f"not a verb of a store: {type(verb).__name__}")
        results: list[Result | StoreError] = []
        for verb in verbs:
            with self._lock:
                results.append(self._do[type(verb)](verb, self._clock.now()))
        return results

    # -- tasks ---------------------------------------------------------------------------------------------------------

    def _submit(self, drafts: Sequence[Draft], capacity: int | None, now: int) -> tuple[v.Submitted, ...]:
        """Store all drafts or none."""
        new: dict[str, Draft] = {}
        keys: dict[str, Key] = {}
        answers = [self._admit(draft, new, keys, capacity, now) for draft in drafts]
        if any(answer.code not in (ev.Code.OK, ev.Code.DUP) for answer in answers):
            waits = (ev.Code.OK, ev.Code.DUP)
            return tuple(v.Submitted(ev.Code.WAITS, a.id) if a.code in waits else a for a in answers)
        for draft in new.values():
            self._table.put(born(draft, now))
        self._keys.update(keys)
        return tuple(answers)

    def _admit(
        self, draft: Draft, new: dict[str, Draft], keys: dict[str, Key], capacity: int | None, now: int
    ) -> v.Submitted:
        """The answer to one draft of a batch that has `new` drafts and `keys` so far; both grow if it is stored."""
        if draft.key is not None:
            known = keys.get(draft.key) or self._keys.get(draft.key)
            if known is not None and now - known.at < v.KEY_LIFETIME:
                if known.digest != draft.digest:
                    return v.Submitted(ev.Code.MISMATCH, draft.id)
                return v.Submitted(ev.Code.DUP, known.id, Status.PENDING, known.at)
        stored = self._table.tasks.get(draft.id)
        twin = stored or new.get(draft.id)
        if twin is not None:
            if twin.digest != draft.digest:
                return v.Submitted(ev.Code.CONFLICT, draft.id)
            if draft.key is not None:
                keys[draft.key] = Key(draft.digest, draft.id, now)
            if stored is None:
                return v.Submitted(ev.Code.DUP, draft.id, Status.PENDING, now)
            return v.Submitted(ev.Code.DUP, draft.id, stored.status, stored.created_at)
        if capacity is not None and self._table.waiting() + len(new) >= capacity:
            return v.Submitted(ev.Code.FULL, draft.id)
        new[draft.id] = draft
        if draft.key is not None:
            keys[draft.key] = Key(draft.digest, draft.id, now)
        return v.Submitted(ev.Code.OK, draft.id, Status.PENDING, now)

    def _event(self, event: ev.Event, now: int) -> v.Answer:
        """Something happens to one task, from outside."""
        task = self._table.tasks.get(event.id)
        if task is None:
            return v.Answer(ev.Code.NOT_FOUND)
        code = judge(task, event, now)
        if code is ev.Code.OK and isinstance(event, ev.Owned) and self._members.fenced(event.owner):
            code = ev.Code.STALE
        after = task
        if code is ev.Code.OK:
            after = self._table.move(task, event, now) or task
            if isinstance(event, ev.Cancel) and task.owner is not None:
                self._members.order_cancel(task.owner, task.id, task.fence, now)
        return v.Answer(code, after.status, None if isinstance(event, HOT) else after)

    def _renew(self, verb: v.Renew, now: int) -> v.Answer:
        task = self._table.tasks.get(verb.task)
        if task is None:
            return v.Answer(ev.Code.NOT_FOUND)
        seat = self._members.acting(verb.owner)
        held = task.status is Status.PROCESSING and (task.owner, task.fence) == (verb.owner, verb.fence)
        if not held or seat is None or seat.ttl is None:
            return v.Answer(ev.Code.STALE, task.status)
        self._members.renew(seat, now)
        return v.Answer(ev.Code.OK, task.status)

    # -- the leader's --------------------------------------------------------------------------------------------------

    def _led(
        self, do: Callable[[Any, int], Result], answer: Callable[[ev.Code], Result] = v.Moved
    ) -> Callable[[v.Led, int], Result]:
        """`do`, for the present leader only."""

        def checked(verb: v.Led, now: int) -> Result:
            return do(verb, now) if self._members.leads(verb.leader, verb.epoch) else answer(ev.Code.DEPOSED)

        return checked

    def _fence(self, verb: v.Fence, now: int) -> v.Answer:
        return self._members.fence(verb.owner, verb.beat, now)

    def _tick(self, verb: v.Tick, now: int) -> v.Answer:
        answer, drafts = self._schedules.tick(verb, now, busy=self._table.size(unfinished(verb.schedule)) > 0)
        for draft in drafts:
            if draft.id not in self._table.tasks:
                self._table.put(born(draft, now))
                answer = v.Answer(answer.code, Status.PENDING)
        return answer

    def _prune_old(self, verb: v.PruneOld, now: int) -> v.Moved:
        self._keys = {name: key for name, key in self._keys.items() if now - key.at < v.KEY_LIFETIME}
        self._past.forget(now)
        return self._keeping.prune_old(verb, now)

    def _pause(self, queue: str, on: bool) -> v.Answer:
        (self._paused.add if on else self._paused.discard)(queue)
        return v.Answer(ev.Code.OK)

    # -- reads ---------------------------------------------------------------------------------------------------------

    def get(self, task_id: str) -> Task | None:
        """See `Store.get`."""
        with self._lock:
            return self._table.tasks.get(task_id)

    def statuses(self, ids: Sequence[str]) -> dict[str, Status]:
        """See `Store.statuses`."""
        with self._lock:
            tasks = self._table.tasks
            return {name: tasks[name].status for name in ids if name in tasks}

    def find(self, filter: Filter, limit: int, cursor: str | None = None) -> Page:
        """See `Store.find`."""
        with self._lock:
            return self._table.find(filter, limit, cursor)

    def counts(self) -> dict[Status, int]:
        """See `Store.counts`."""
        with self._lock:
            return self._table.by_status()

    def dead(self) -> list[DeadCount]:
        """See `Store.dead`."""
        with self._lock:
            return self._table.dead()

    def queues(self) -> list[QueueView]:
        """See `Store.queues`."""
        with self._lock:
            return self._table.queues(self._paused)

    def members(self) -> list[Member]:
        """See `Store.members`."""
        with self._lock:
            return [seat.member for seat in self._members.nodes()]

    def leases(self) -> list[LeaseView]:
        """See `Store.leases`."""
        with self._lock:
            return self._members.leases()

    def held(self, owner: str) -> list[Held]:
        """See `Store.held`."""
        with self._lock:
            return [Held(task.id, task.fence) for task in self._table.held(owner)]

    def term(self) -> v.Term:
        """See `Store.term`."""
        with self._lock:
            return self._members.term

    def schedules(self) -> list[v.Schedule]:
        """See `Store.schedules`."""
        with self._lock:
            return [schedule for _, schedule in sorted(self._schedules.stored.items())]

    def schedule(self, schedule_id: str) -> v.Schedule | None:
        """See `Store.schedule`."""
        with self._lock:
            return self._schedules.stored.get(schedule_id)

    def revision(self) -> int:
        """See `Store.revision`."""
        with self._lock:
            return self._schedules.revision

    def tallies(self, since: int) -> dict[int, dict[str, int]]:
        """See `Store.tallies`."""
        with self._lock:
            return self._past.tallies(since)

    def notes(self, limit: int, cursor: str | None = None) -> NotePage:
        """See `Store.notes`."""
        with self._lock:
            return self._past.notes(limit, cursor)

    def check(self) -> str | None:
        """See `Store.check`."""
        return None

    def close(self) -> None:
        """Nothing to let go of."""
