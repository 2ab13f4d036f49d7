"""Schedules as people steer them: create, change, pause, resume, trigger, preview. Part of the gateway, in the
calling thread.

Each change reads the schedule and writes by compare-and-set, again where somebody was faster. What was due before a
change of its times and was not decided yet is counted as skipped by it, so that each due time is one task or one
counted skip.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec.structs import replace

from storage import verbs as v
from storage.store import Result, Store, Verb
from taskqueue.core import errors
from taskqueue.core import events as ev
from taskqueue.core.clock import Clock
from taskqueue.core.ids import Ids
from taskqueue.core.schedule import CHANGED, PAUSED, Owner, ScheduleView, Spec, retimed, revise
from taskqueue.core.submission import Submission
from taskqueue.core.task import Task
from taskqueue.core.views import Receipt
from taskqueue.handlers import Handler

TRIES = 20
MOST_PREVIEWED = 100

Ask = Callable[[tuple[Verb, ...], v.Note | None], tuple[Result | errors.StoreError, ...]]


class Submit(Protocol):
    """How a task is stored, and a note of it."""

    def __call__(self, submissions: Sequence[Submission], *, note: v.Note | None = None) -> list[Receipt]: ...


class Schedules:
    """See the module. State: none; the store holds all."""

    def __init__(
        self,
        *,
        clock: Clock,
        ids: Ids,
        store: Store,
        handlers: Mapping[str, Handler],
        declared: Callable[[], frozenset[str]],
        ask: Ask,
        submit: Submit,
        get: Callable[[str], Task],
    ) -> None:
        self._clock = clock
        self._ids = ids
        self._store = store
        self._handlers = handlers
        self._declared = declared
        self._ask = ask
        self._submit = submit
        self._get = get

    def all(self) -> list[ScheduleView]:
        """Every schedule, by id."""
        declared = self._declared()
        return [self._view(schedule, declared) for schedule in self._store.schedules()]

    def one(self, schedule_id: str) -> ScheduleView:
        """Raises NotFound."""
        return self._view(self._find(schedule_id), self._declared())

    def create(self, schedule_id: str | None, spec: Spec, paused: bool, *, by: str = "") -> ScheduleView:
        """Raises Conflict where the id exists, InvalidInput for a payload that its handler refuses."""
        self._check(spec)
        fresh = v.Schedule(id=schedule_id or self._ids.new(), spec=spec.encode(), cursor=spec.anchor, paused=paused)
        stored = self._put(v.PutSchedule(fresh), v.Note(by, "schedule.create", fresh.id))
        if stored is None:
            raise errors.Conflict(f"a schedule with the id {fresh.id} exists already")
        return self._view(stored, self._declared())

    def put(self, schedule_id: str, spec: Spec, paused: bool, *, by: str = "") -> tuple[ScheduleView, bool]:
        """Create or replace; whether it is new. Raises Conflict for a schedule that stands in code."""
        self._check(spec)
        for _ in range(TRIES):
            try:
                old = self._find(schedule_id)
            except errors.NotFound:
                try:
                    return self.create(schedule_id, spec, paused, by=by), True
                except errors.Conflict:
                    continue  # somebody else created it meanwhile: replace that one
            self._of_api(old, "changed")
            stored = self._put(self._revised(old, spec, paused), v.Note(by, "schedule.replace", schedule_id))
            if stored is not None:
                return self._view(stored, self._declared()), False
        raise errors.Unavailable(f"schedule {schedule_id} changes too fast")

    def declare(self, schedule_id: str, spec: Spec) -> None:
        """A schedule that stands in code: created, or updated where it differs; a pause set by an operator stays."""
        for _ in range(TRIES):
            try:
                old = self._find(schedule_id)
            except errors.NotFound:
                fresh = v.Schedule(id=schedule_id, spec=spec.encode(), cursor=spec.anchor)
                if self._put(v.PutSchedule(fresh), None) is None:
                    continue
                return
            change = self._revised(old, spec, old.paused)
            if change.schedule.spec == old.spec or self._put(change, None) is not None:
                return
        raise errors.Unavailable(f"schedule {schedule_id} changes too fast")

    def delete(self, schedule_id: str, *, by: str = "") -> None:
        """Raises NotFound, and Conflict for a schedule that stands in code."""
        self._of_api(self._find(schedule_id), "deleted")
        (answer,) = self._ask((v.DropSchedule(schedule_id),), v.Note(by, "schedule.delete", schedule_id))
        if isinstance(answer, v.Answer) and answer.code is ev.Code.NOT_FOUND:
            raise errors.NotFound(f"no schedule has the id {schedule_id}")

    def pause(self, schedule_id: str, *, by: str = "") -> ScheduleView:
        """What is due from now on is skipped."""
        return self._set_paused(schedule_id, True, v.Note(by, "schedule.pause", schedule_id))

    def resume(self, schedule_id: str, *, by: str = "") -> ScheduleView:
        """What is due from now on fires; what was due in between counts as skipped."""
        return self._set_paused(schedule_id, False, v.Note(by, "schedule.resume", schedule_id))

    def trigger(self, schedule_id: str, *, by: str = "") -> Task:
        """Submit its task now, beside its due times; also while it is paused."""
        spec = Spec.decode(self._find(schedule_id).spec)
        note = v.Note(by, "schedule.trigger", schedule_id)
        (receipt,) = self._submit([replace(spec.submission(), schedule=schedule_id)], note=note)
        if receipt.error is not None:
            raise receipt.error
        return self._get(receipt.id)

    def preview(self, schedule_id: str, count: int) -> list[int]:
        """The next due times, whether or not it is paused. Raises Conflict where its zone is not known here."""
        try:
            recurrence = Spec.decode(self._find(schedule_id).spec).recurrence()
        except ValueError as error:
            raise errors.Conflict(f"schedule {schedule_id} cannot be read here: {error}") from None
        times: list[int] = []
        moment: int | None = self._clock.now()
        while len(times) < min(count, MOST_PREVIEWED) and moment is not None:
            moment = recurrence.next(moment)
            times += [] if moment is None else [moment]
        return times

    # -- within --------------------------------------------------------------------------------------------------------

    def _find(self, schedule_id: str) -> v.Schedule:
        found = self._store.schedule(schedule_id)
        if found is None:
            raise errors.NotFound(f"no schedule has the id {schedule_id}")
        return found

    def _check(self, spec: Spec) -> None:
        handler = self._handlers.get(spec.handler)
        if handler is not None:
            handler.bind(spec.payload)

    def _of_api(self, schedule: v.Schedule, verb: str) -> None:
        if Spec.decode(schedule.spec).owner is Owner.CODE and schedule.id in self._declared():
            raise errors.Conflict(f"schedule {schedule.id} stands in code, beside its handler, and is {verb} there")

    def _set_paused(self, schedule_id: str, paused: bool, note: v.Note) -> ScheduleView:
        for _ in range(TRIES):
            old = self._find(schedule_id)
            spec = Spec.decode(old.spec)  # what is due and not decided yet is counted as paused, too
            change = self._settled(old, spec, PAUSED) if old.paused and not paused else old
            stored = self._put(v.PutSchedule(replace(change, paused=paused), (old.generation, old.cursor)), note)
            if stored is not None:
                return self._view(stored, self._declared())
        raise errors.Unavailable(f"schedule {schedule_id} changes too fast")

    def _settled(self, old: v.Schedule, spec: Spec, reason: str) -> v.Schedule:
        """The same with all that was due until now and is not decided counted as skipped."""
        now = self._clock.now()
        try:
            left = {reason: spec.recurrence().count(old.cursor, now)}
        except ValueError:
            left = {}  # its zone is not known on this machine (any more)
        skipped = Counter(old.skipped) + Counter(left)
        return replace(old, cursor=max(old.cursor, now), skipped=dict(skipped))

    def _revised(self, old: v.Schedule, spec: Spec, paused: bool) -> v.PutSchedule:
        before = Spec.decode(old.spec)
        now = self._clock.now()
        settled = old
        if old.paused:
            settled = self._settled(old, before, PAUSED)
        elif retimed(before, spec):
            settled = self._settled(old, before, CHANGED)
        new, cursor = revise(before, settled.cursor, spec, now)
        changed = replace(settled, spec=new.encode(), cursor=cursor, paused=paused)
        return v.PutSchedule(changed, (old.generation, old.cursor))

    def _put(self, put: v.PutSchedule, note: v.Note | None) -> v.Schedule | None:
        """The schedule as it is stored; None where somebody else was faster."""
        (answer,) = self._ask((put,), note)
        if isinstance(answer, errors.StoreError):
            raise errors.Unavailable(str(answer))
        return answer if isinstance(answer, v.Schedule) else None

    def _view(self, schedule: v.Schedule, declared: frozenset[str]) -> ScheduleView:
        spec = Spec.decode(schedule.spec)
        orphaned = spec.owner is Owner.CODE and schedule.id not in declared
        still = schedule.paused or orphaned
        coming, skipped, now = None, Counter(schedule.skipped), self._clock.now()
        try:
            if still:  # the leader looks at it now and then only
                skipped += Counter({PAUSED: spec.recurrence().count(schedule.cursor, now)})
            else:
                coming = spec.recurrence().next(max(schedule.cursor, now))
        except ValueError:
            pass  # its zone is not known on this machine (any more), so it does not fire
        return ScheduleView(
            id=schedule.id,
            spec=spec,
            paused=still,
            orphaned=orphaned,
            next_run_at=coming,
            last_run_at=schedule.last_run_at,
            skipped=dict(skipped),
        )
