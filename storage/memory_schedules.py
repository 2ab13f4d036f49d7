"""The schedules of the memory backend.

State: the stored schedules, how often they were changed, and the last generation of every id that there ever was, so
that a schedule that is deleted and made anew never makes the same tick ids twice. Not locked: `MemoryStore` does that.
"""

from __future__ import annotations

from collections import Counter

from msgspec.structs import replace

from storage import verbs as v
from taskqueue.core.events import Code
from taskqueue.core.task import Draft


class Schedules:
    """Every schedule, by id. `revision` grows with every put and drop, and never comes back (see `lua/lib.lua`)."""

    def __init__(self) -> None:
        self.stored: dict[str, v.Schedule] = {}
        self.revision = 0
        self._generations: Counter[str] = Counter()

    def put(self, verb: v.PutSchedule, now: int) -> v.Schedule | v.Answer:
        """Create one, or change the one that the writer saw."""
        new, old = verb.schedule, self.stored.get(verb.schedule.id)
        if verb.expect is None:
            if old is not None:
                return v.Answer(Code.CONFLICT)
        elif old is None:
            return v.Answer(Code.NOT_FOUND)
        elif (old.generation, old.cursor) != verb.expect:
            return v.Answer(Code.STALE)
        if old is None or old.spec != new.spec:
            self._generations[new.id] += 1
        self.revision = max(self.revision + 1, now)
        self.stored[new.id] = replace(new, generation=self._generations[new.id], skipped=dict(new.skipped))
        return self.stored[new.id]

    def drop(self, verb: v.DropSchedule, now: int) -> v.Answer:
        """Delete one; its tasks stay."""
        if self.stored.pop(verb.id, None) is None:
            return v.Answer(Code.NOT_FOUND)
        self.revision = max(self.revision + 1, now)
        return v.Answer(Code.OK)

    def tick(self, verb: v.Tick, now: int, busy: bool) -> tuple[v.Answer, tuple[Draft, ...]]:
        """Move its cursor and count what was skipped; the drafts that are left are for the caller to store.

        `busy`: a task of the schedule is not finished.
        """
        schedule = self.stored.get(verb.schedule)
        if schedule is None:
            return v.Answer(Code.NOT_FOUND), ()
        if (schedule.generation, schedule.cursor) != (verb.generation, verb.cursor):
            return v.Answer(Code.STALE), ()
        if schedule.paused and verb.drafts:
            return v.Answer(Code.REFUSED), ()
        drafts = verb.drafts
        if verb.alone:
            drafts = () if busy else drafts[:1]
        skipped = Counter(schedule.skipped) + Counter(verb.skipped)
        self.stored[schedule.id] = replace(
            schedule,
            cursor=verb.upto,
            last_run_at=now if drafts else schedule.last_run_at,
            skipped=dict(skipped + Counter(overlap=len(verb.drafts) - len(drafts))),
        )
        return v.Answer(Code.OK), drafts
