"""A thousand schedules for a year, under a leader that is late, down, made anew, and whose clock is set by an hour:
every due time is exactly one task or one counted skip.
"""

from __future__ import annotations

from collections import defaultdict
from random import Random
from typing import Any

import pytest

from taskqueue.core.clock import DAY, HOUR, MILLISECOND, MINUTE, SECOND
from taskqueue.core.config import Config, Retain, Retention
from taskqueue.core.recurrence import Recurrence
from taskqueue.core.schedule import Misfire, Overlap, Spec
from tests.clockwork import Clockwork

YEAR = 365 * DAY
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Casablanca")


def timing(random: Random) -> dict[str, Any]:
    """When: about a dozen times a year."""
    minute, hour = random.randrange(60), random.randrange(24)
    crons = (
        f"{minute} {hour} {random.randint(1, 31)} * *",
        f"{minute} {hour} * {random.randint(1, 12)} MON",
        f"{minute} {random.randrange(4)} L * *",
        f"{minute} */12 1 */2 *",
        f"{random.randrange(60)} {minute} {hour} 15 * *",
        f"{minute} 1-3 * * SUN#{random.choice((1, 5))}",
    )
    every = random.randrange(10 * DAY // MILLISECOND, 60 * DAY // MILLISECOND) * MILLISECOND
    if random.random() < 0.3:
        return {"every": every}
    return {"cron": random.choice(crons), "timezone": random.choice(ZONES)}


def rules(random: Random) -> dict[str, Any]:
    overlap = Overlap.SKIP if random.random() < 0.2 else Overlap.ALLOW
    return {"misfire": random.choice(list(Misfire)), "overlap": overlap}


class Year:
    """The schedules, and which stretches of time were theirs under which rule."""

    def __init__(self, seed: int, count: int) -> None:
        self.random = Random(seed)
        kept = Retain(age=2 * YEAR, max=1_000_000)
        self.work = Clockwork(Config(retention=Retention(cancelled=kept)))
        self.begin = self.work.clock.now()
        self.names = [f"s{number}" for number in range(count)]
        self.past: defaultdict[str, list[tuple[Recurrence, int, int]]] = defaultdict(list)
        self.since: dict[str, int] = {}
        self.made: defaultdict[str, list[int]] = defaultdict(list)
        for name in self.names:
            self._put(name)
        self.work.changed()

    def _put(self, name: str) -> None:
        """Make it, or change it."""
        now = self.work.clock.now()
        old = self.work.store.schedule(name)
        fields = {**timing(self.random), **rules(self.random)}
        self.work.schedules.put(name, Spec(handler="echo", payload=b"1", anchor=now, **fields), paused=False)
        new = self.work.stored(name)
        if old is not None:  # all rules are different, so this one begins anew
            self.past[name].append((Spec.decode(old.spec).recurrence(), self.since[name], max(old.cursor, now)))
        self.since[name] = new.cursor

    def moments(self) -> list[int]:
        """When something is due, for the first rule of each."""
        specs = (Spec.decode(self.work.stored(name).spec) for name in self.names)
        end = self.begin + YEAR
        return sorted({moment for spec in specs for moment in spec.recurrence().due(self.begin, end)})

    def live(self) -> int:
        """Live it; how many due times it had at first."""
        work, random = self.work, self.random
        moments = self.moments()
        for moment in moments:
            if moment > work.clock.now():
                late = random.choice((0, random.randrange(30 * SECOND), random.randrange(3 * MINUTE)))
                work.clock.advance(moment - work.clock.now() + late)
            work.fire()
            self._happen(random.random(), random.choice(self.names))
        work.clock.advance(max(0, self.begin + YEAR - work.clock.now()))
        work.keep_house()
        for name in self.names:
            work.schedules.resume(name)
        work.changed()
        work.keep_house()
        for task in work.tasks():
            self.made[str(task.schedule)].append(task.due_at)
        return len(moments)

    def _happen(self, chance: float, name: str) -> None:
        work, random = self.work, self.random
        if chance < 0.001:
            work.clock.advance(random.randrange(3 * DAY))
            work.start()
        elif chance < 0.006:
            work.clock.jump(random.choice((-HOUR, HOUR)))
            work.keep_house()
        elif chance < 0.01:
            work.finish()
        elif chance < 0.013:
            work.schedules.pause(name)
            work.changed()
        elif chance < 0.04:
            work.schedules.resume(name)
            work.changed()
        elif chance < 0.045:
            self._put(name)
            work.changed()

    def check(self, name: str) -> tuple[int, int]:
        """Each due time is one task or one skip; how many are which."""
        stored = self.work.stored(name)
        now = Spec.decode(stored.spec).recurrence()
        stretches = [*self.past[name], (now, self.since[name], stored.cursor)]
        due = [moment for recurrence, after, upto in stretches for moment in recurrence.due(after, upto)]
        made = self.made[name]
        assert len(made) + sum(stored.skipped.values()) == len(due), (name, stored)
        coming = now.next(stored.cursor)
        assert coming is None or coming > self.work.clock.now(), "nothing is left undecided"
        left = list(due)
        for moment in made:
            left.remove(moment)
        return len(made), len(left)


@pytest.mark.timeout(600)  # half a minute of computing on a machine of its own
@pytest.mark.parametrize("seed", [11])
def test_a_thousand_schedules_for_a_year(seed: int) -> None:
    year = Year(seed, 1_000)
    moments = year.live()
    sums = [sum(column) for column in zip(*(year.check(name) for name in year.names), strict=True)]
    assert moments > 8_000
    assert sums[0] > 5_000, "most due times become tasks"
    assert sums[1] > 500, "pauses, outages and overlaps skip some"
