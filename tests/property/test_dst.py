"""Every change of every zone's clocks from 2020 to 2035, held to the rules of daylight saving time.

The oracle knows nothing of how due times are reckoned. It writes down, minute by minute around a change, what the
clocks show (as `zoneinfo` says), and applies the rules to that list as they are told to users. The changes are found by
probing too, on another grid than the code's own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

import pytest

from taskqueue.core.clock import HOUR, SECOND
from taskqueue.core.recurrence import parse
from taskqueue.core.zones import stretches

FIRST, LAST = 2020, 2035
ZONES = sorted(available_timezones() - {"localtime", "Factory"})
PARTS = 8
MINUTE = timedelta(minutes=1)
PROBES = timedelta(days=3, hours=7)


class Change(NamedTuple):
    """The clocks of `zone` are set at `at` (UTC), from one offset to another."""

    at: datetime
    before: timedelta
    after: timedelta
    zone: str


class Rule(NamedTuple):
    """A cron expression, and what it means: minutes and hours of a day, and the one day (None: any)."""

    fixed: bool
    minutes: frozenset[int]
    hours: frozenset[int]
    day: tuple[int, int] | None
    cron: str

    def matches(self, wall: datetime) -> bool:
        return (
            wall.minute in self.minutes
            and wall.hour in self.hours
            and (self.day is None or (wall.day, wall.month) == self.day)
        )


def fixed(minutes: Iterable[int], hours: Iterable[int], day: tuple[int, int] | None = None) -> Rule:
    minutes, hours = frozenset(minutes), frozenset(hours)
    date = "* *" if day is None else f"{day[0]} {day[1]}"
    cron = f"{','.join(map(str, sorted(minutes)))} {','.join(map(str, sorted(hours)))} {date} *"
    return Rule(True, minutes, hours, day, cron)


def wildcard(minute: int, step: int) -> Rule:
    return Rule(False, frozenset({minute}), frozenset(range(0, 24, step)), None, f"{minute} */{step} * * *")


def changes_of(zone: str, begin: datetime, end: datetime) -> list[Change]:
    rules = ZoneInfo(zone)

    def offset(moment: datetime) -> timedelta:
        found = moment.astimezone(rules).utcoffset()
        assert found is not None
        return found

    found = []
    early, before = begin, offset(begin)
    while early < end:
        late = min(early + PROBES, end)
        if (after := offset(late)) != before:
            low, high = early, late
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) // 2
                low, high = (middle, high) if offset(middle) == before else (low, middle)
            found.append(Change(high.replace(microsecond=0), before, after, zone))
        early, before = late, after
    return found


@cache
def changes() -> dict[str, list[Change]]:
    begin, end = datetime(FIRST, 1, 1, tzinfo=UTC), datetime(LAST + 1, 1, 1, tzinfo=UTC)
    return {zone: changes_of(zone, begin, end) for zone in ZONES}


@cache
def distinct() -> dict[int, list[Change]]:
    """One change of each kind, by year: zones whose clocks show the same before and after it share one."""
    kinds = {change[:3]: change for found in changes().values() for change in found}
    years = defaultdict(list)
    for change in kinds.values():
        years[change.at.year].append(change)
    return years


def rules_for(change: Change) -> list[Rule]:
    """Schedules that hit what is skipped or repeated: in its middle, at its ends, beside it, and by wildcard."""
    walls = sorted((change.at + change.before, change.at + change.after))
    low, high = walls
    middle = low + (high - low) // 2
    hours = {(low + timedelta(hours=each)).hour for each in range(-1, 5)}
    return [
        fixed({middle.minute}, {middle.hour}),
        fixed({middle.minute}, {middle.hour}, (middle.day, middle.month)),
        fixed({low.minute, middle.minute}, {low.hour, middle.hour, high.hour}),
        fixed({0, 15, 30, 59}, hours),
        wildcard(middle.minute, 1),
        wildcard(low.minute, 2),
        wildcard(middle.minute, 3),
    ]


def expected(rule: Rule, change: Change, shown: list[tuple[datetime, datetime]]) -> list[datetime]:
    """The rules, as plainly as can be. `shown`: (instant, what the clock shows then), minute by minute."""
    if not rule.fixed:
        return [instant for instant, wall in shown if rule.matches(wall)]
    occurrences: dict[datetime, datetime] = {}
    for instant, wall in shown:
        occurrences.setdefault(wall, instant)  # once: the first occurrence
    due = set()
    wall, last = shown[0][1], max(wall for _, wall in shown)
    while wall <= last:
        if rule.matches(wall):
            due.add(occurrences.get(wall, change.at))  # skipped: at the gap's end, all of them together
        wall += MINUTE
    return sorted(due)


def check(change: Change) -> None:
    margin = abs(change.after - change.before) + timedelta(hours=2)
    rules = ZoneInfo(change.zone)
    begin, end = change.at - margin, change.at + margin
    instants = [begin + MINUTE * each for each in range((end - begin) // MINUTE)]
    shown = [(instant, instant.astimezone(rules).replace(tzinfo=None)) for instant in instants]
    for rule in rules_for(change):
        recurrence = parse(cron=rule.cron, timezone=change.zone)
        after, upto = micros(begin) - 1, micros(end) - 1
        due = recurrence.due(after, upto)
        wanted = expected(rule, change, shown)
        assert [moment(each) for each in due] == wanted, (rule.cron, change)
        assert recurrence.count(after, upto) == len(wanted), (rule.cron, change)
        for start in (change.at - MINUTE, change.at, change.at + MINUTE, change.at + margin / 2):
            # From a moment in the middle of things the same comes as from far away.
            later = [each for each in wanted if each > start]
            assert recurrence.due(micros(start), upto, 1) == tuple(map(micros, later[:1])), (rule.cron, change, start)


def micros(moment: datetime) -> int:
    return int(moment.timestamp()) * SECOND


def moment(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / SECOND, UTC)


@pytest.mark.parametrize("year", range(FIRST, LAST + 1))
def test_each_change_follows_the_rules(year: int) -> None:
    assert len(distinct()[year]) > 20
    for change in distinct()[year]:
        check(change)


@pytest.mark.parametrize("part", range(PARTS))
def test_the_changes_of_every_zone_are_found(part: int) -> None:
    begin, end = (micros(datetime(year, 1, 1, tzinfo=UTC)) // SECOND for year in (FIRST, LAST + 1))
    for zone in ZONES[part::PARTS]:
        found = []
        offset = None
        for stretch in stretches(zone, begin):
            if stretch.begin >= end:
                break
            if offset not in (None, stretch.offset):
                found.append((stretch.begin, offset, stretch.offset))
            offset = stretch.offset
        wanted = [
            (micros(each.at) // SECOND, each.before.total_seconds(), each.after.total_seconds())
            for each in changes()[zone]
        ]
        assert found == wanted, zone


LONG_AGO = [
    ("Pacific/Apia", 2011, timedelta(hours=24)),  # a whole day skipped
    ("Pacific/Kwajalein", 1993, timedelta(hours=24)),
    ("Pacific/Kwajalein", 1969, timedelta(hours=-23)),  # a day, almost, repeated
    ("Asia/Pyongyang", 2015, timedelta(minutes=-30)),  # another offset for good
    ("America/Caracas", 2016, timedelta(minutes=30)),
    ("Africa/Monrovia", 1972, timedelta(minutes=44, seconds=30)),
]


@pytest.mark.parametrize(("zone", "year", "size"), LONG_AGO)
def test_stranger_changes_of_the_past(zone: str, year: int, size: timedelta) -> None:
    found = changes_of(zone, datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC))
    (change,) = [each for each in found if each.after - each.before == size]
    if change.before.seconds % 60 == 0:
        check(change)
    else:  # no minute of UTC is a minute there before the change
        assert parse(cron="20 0 7 1 *", timezone=zone).due(micros(change.at) - 1, limit=1) == (micros(change.at),)


def test_intervals_do_not_notice() -> None:
    every = 90 * 60 * SECOND
    for change in distinct()[2027]:
        anchor = micros(change.at) - 5 * HOUR - 12_345
        interval = parse(every=every, timezone=change.zone, anchor=anchor)
        assert interval.due(anchor, micros(change.at) + 5 * HOUR) == tuple(anchor + k * every for k in range(1, 7))
