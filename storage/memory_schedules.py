"""The schedules of the memory backend.

State: the stored schedules, and the last generation of every id that there ever was, so that a schedule that is deleted
and made anew never makes the same tick ids twice. Not locked: `MemoryStore` does that.
"""

from __future__ import annotations

from collections import Counter

from msgspec.structs import replace

from storage import verbs as v
from taskqueue.core.events import Code


class Schedules:
    """Every schedule, by id."""

    def __init__(self) -> None:
        self.stored: dict[str, v.Schedule] = {}
        self._generations: Counter[str] = Counter()

    def put(self, verb: v.PutSchedule) -> v.Schedule | v.Answer:
        """Create or change one. Where nothing changes, the stored one stays as it is, cursor and all."""
        new, old = verb.schedule, self.stored.get(verb.schedule.id)
        if old is not None:
            if verb.create:
                return v.Answer(Code.CONFLICT)
            if (old.spec, old.paused) == (new.spec, new.paused):
                return old
            new = replace(new, last_run_at=old.last_run_at, skipped=old.skipped)
        else:
            new = replace(new, last_run_at=None, skipped={})
        self._generations[new.id] += 1
        self.stored[new.id] = replace(new, generation=self._generations[new.id])
        return self.stored[new.id]

    def drop(self, verb: v.DropSchedule) -> v.Answer:
        """Delete one; its tasks stay."""
        return v.Answer(Code.OK if self.stored.pop(verb.id, None) else Code.NOT_FOUND)

    def tick(self, verb: v.Tick, now: int) -> v.Answer:
        """Move its cursor and count what was skipped; the caller stores the drafts of a tick that was OK."""
        schedule = self.stored.get(verb.schedule)
        if schedule is None:
            return v.Answer(Code.NOT_FOUND)
        if (schedule.generation, schedule.cursor) != (verb.generation, verb.cursor):
            return v.Answer(Code.STALE)
        if schedule.paused:
            return v.Answer(Code.REFUSED)
        self.stored[schedule.id] = replace(
            schedule,
            cursor=verb.upto,
            last_run_at=now if verb.drafts else schedule.last_run_at,
            skipped=dict(Counter(schedule.skipped) + Counter(verb.skipped)),
        )
        return v.Answer(Code.OK)
