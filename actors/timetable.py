"""What is due when: the leader's picture of all schedules. Pure but for a log; LeaderActor owns it and talks to the
store.

State: every schedule with its recurrence, and a heap of the moments at which each wants to be looked at. A schedule
that is paused, or that code declared and no live node declares any more, does not fire: its due times are counted as
skipped, and that is done now and then only, since nobody waits for it; none of them fires when it is wanted again.
Until it is known who declares what, nothing fires at all.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterable, Mapping
from itertools import count

from storage import verbs as v
from taskqueue.core.clock import HOUR, MINUTE, SECOND
from taskqueue.core.config import Config
from taskqueue.core.errors import InvalidInput
from taskqueue.core.recurrence import Recurrence
from taskqueue.core.schedule import Decision, Overlap, Owner, Spec, decide, drafts
from taskqueue.core.views import Declaration

log = logging.getLogger("taskqueue.schedules")

TICKS_AT_ONCE = 100
TASKS_AT_ONCE = 1_000
IDLE_LOOK = HOUR
ORPHAN_LOOK = MINUTE
"""Nobody says when one that stands in code is wanted again, so what was due until then is counted early."""
RETRY = 1 * SECOND
ANSWER_WITHIN = 10 * SECOND


class Entry:
    """One schedule, what its spec says, and when it wants to be looked at. `undeclared_until`: it stands in code, and
    until then no live node declared it.
    """

    __slots__ = ("at", "recurrence", "schedule", "spec", "undeclared_until")

    def __init__(self, schedule: v.Schedule, spec: Spec, recurrence: Recurrence) -> None:
        self.schedule = schedule
        self.spec = spec
        self.recurrence = recurrence
        self.at = 0
        self.undeclared_until = 0

    def stands(self, schedule: v.Schedule) -> bool:
        """Is it as the store has it?"""
        mine = self.schedule
        return (mine.spec, mine.cursor, mine.paused, mine.generation) == (
            schedule.spec,
            schedule.cursor,
            schedule.paused,
            schedule.generation,
        )


class Timetable:
    """See the module."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._entries: dict[str, Entry] = {}
        self._heap: list[tuple[int, int, str]] = []
        self._order = count()
        self._declared: Mapping[str, Declaration] = {}
        self._scheduling: frozenset[str] | None = None
        self.revision: int | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def declare(self, declared: Mapping[str, Declaration], now: int) -> None:
        """What live nodes declare: the defaults of tasks, and which schedules of code are still wanted."""
        scheduling = frozenset(name for name, one in declared.items() if one.scheduled)
        before = self._scheduling
        changed = scheduling ^ (before or frozenset())
        self._declared, self._scheduling = declared, scheduling
        for name in changed & self._entries.keys():
            entry = self._entries[name]
            if before is not None and name in scheduling and entry.spec.owner is Owner.CODE:
                entry.undeclared_until = now
            self._push(name, now)

    def load(self, schedules: Iterable[v.Schedule], revision: int, now: int) -> None:
        """Take the store's word for all of them. What is unchanged is left as it is: there may be many."""
        before, self._entries, self._heap = self._entries, {}, []
        self.revision = revision
        for schedule in schedules:
            old = before.get(schedule.id)
            if old is not None and old.stands(schedule):
                self._entries[schedule.id] = old
                self._push(schedule.id, old.at)
                continue
            try:
                if old is not None and old.schedule.spec == schedule.spec:  # it need not be parsed again
                    entry = Entry(schedule, old.spec, old.recurrence)
                else:
                    spec = Spec.decode(schedule.spec)
                    entry = Entry(schedule, spec, spec.recurrence())
            except ValueError as error:
                log.error("schedule %s cannot be read and does not fire: %s", schedule.id, error)
                continue
            if old is not None:
                entry.undeclared_until = old.undeclared_until
            self._entries[schedule.id] = entry
            self._push(schedule.id, self._next(entry, now))

    def forget(self) -> None:
        """Know nothing any more."""
        self._entries, self._heap, self.revision = {}, [], None

    def next(self) -> int | None:
        """The moment at which the first of them wants to be looked at."""
        if self._scheduling is None:
            return None
        while self._heap and not self._stands(*self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _stands(self, moment: int, _: int, name: str) -> bool:
        """Is the schedule still there, and does it still want to be looked at at that moment?"""
        entry = self._entries.get(name)
        return entry is not None and entry.at == moment

    def ticks(self, leader: str, epoch: int, now: int) -> list[v.Tick]:
        """The ticks of what is due at `now`; each is answered with `settled`."""
        ticks: list[v.Tick] = []
        tasks = 0
        while len(ticks) < TICKS_AT_ONCE and tasks < TASKS_AT_ONCE:
            moment = self.next()
            if moment is None or moment > now:
                break
            name = heapq.heappop(self._heap)[2]
            entry = self._entries[name]
            try:
                tick = self._tick(entry, leader, epoch, now)
            except InvalidInput as error:
                log.error("schedule %s cannot make its task: %s", name, error)
                self._push(name, now + IDLE_LOOK)
                continue
            if tick is None:
                self._push(name, self._next(entry, now))
                continue
            self._push(name, now + ANSWER_WITHIN)
            tasks += len(tick.drafts)
            ticks.append(tick)
        return ticks

    def settled(self, tick: v.Tick, done: bool, now: int) -> None:
        """The store did the tick, or could not (then it is asked again)."""
        entry = self._entries.get(tick.schedule)
        if entry is None or entry.schedule.generation != tick.generation or entry.schedule.cursor != tick.cursor:
            return
        if done:
            schedule = entry.schedule
            entry.schedule = v.Schedule(
                id=schedule.id,
                spec=schedule.spec,
                cursor=tick.upto,
                paused=schedule.paused,
                generation=schedule.generation,
            )
        self._push(tick.schedule, self._next(entry, now) if done else now + RETRY)

    def _tick(self, entry: Entry, leader: str, epoch: int, now: int) -> v.Tick | None:
        schedule, spec = entry.schedule, entry.spec
        decision = self._decide(entry, now)
        if not decision.due and not decision.skipped:
            return None
        tasks = drafts(
            spec,
            schedule.id,
            schedule.generation,
            decision.due,
            declaration=self._declared.get(spec.handler),
            config=self._config,
        )
        return v.Tick(
            leader=leader,
            epoch=epoch,
            schedule=schedule.id,
            generation=schedule.generation,
            cursor=schedule.cursor,
            upto=decision.upto,
            drafts=tasks,
            skipped=decision.skipped,
            alone=spec.overlap is Overlap.SKIP,
        )

    def _decide(self, entry: Entry, now: int) -> Decision:
        def until(moment: int, *, paused: bool) -> Decision:
            grace = self._config.misfire_grace
            return decide(entry.spec, entry.recurrence, entry.schedule.cursor, moment, grace, paused=paused)

        decision = until(min(entry.undeclared_until, now), paused=True)
        return decision if decision.skipped else until(now, paused=self._still(entry))

    def _still(self, entry: Entry) -> bool:
        return entry.schedule.paused or self._undeclared(entry)

    def _undeclared(self, entry: Entry) -> bool:
        return entry.spec.owner is Owner.CODE and entry.schedule.id not in (self._scheduling or ())

    def _next(self, entry: Entry, now: int) -> int:
        if self._still(entry):
            return now + (ORPHAN_LOOK if self._undeclared(entry) else IDLE_LOOK)
        due = entry.recurrence.next(entry.schedule.cursor)
        return now + 24 * IDLE_LOOK if due is None else due

    def _push(self, name: str, moment: int) -> None:
        self._entries[name].at = moment
        heapq.heappush(self._heap, (moment, next(self._order), name))
