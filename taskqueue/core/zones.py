"""Time zones: which names there are, and when a zone's clocks are set to another offset from UTC.

`zoneinfo` tells the offset at an instant but not when it changes, so the changes are looked for: a year is probed day
by day, and each change found between two probes is bisected to the second. (In all of tzdata, back to local mean time,
no two changes of a zone are less than three days apart.)

Here, times are whole seconds of UTC since the epoch. A *wall time* is what a zone's clocks show, as seconds since they
showed 1970-01-01: an instant plus the zone's offset.

State: the years that were looked at last, in a bounded cache. A zone's rules are read once and kept while the process
lives. Where they come from is up to `zoneinfo`: the system's files, else the package `tzdata`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

YEARS_AHEAD = 100
"""No stretch farther ahead than so many years is looked at."""
LAST_YEAR = 9900
"""Time ends here: later years are outside of what dates can be reckoned with."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_DAY = 86_400
_LONGEST_NAME = 64
_PRIVATE = frozenset({"localtime", "Factory"})  # names that mean something else on every machine


class Stretch(NamedTuple):
    """From `begin` until just before `end`, a zone's clocks show UTC plus `offset` (all in seconds)."""

    begin: int
    end: int
    offset: int


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset(available_timezones() - _PRIVATE)


def read_zone(value: object) -> str:
    """`value`, if it is the name of a time zone, such as `"Europe/Berlin"`.

    Raises:
        ValueError: it is none; names the nearest.
    """
    if not isinstance(value, str):
        raise ValueError('expected the name of a time zone, such as "Europe/Berlin"')
    if value in _names():
        return value
    folded = {name.casefold(): name for name in sorted(_names())}
    near = get_close_matches(value[:_LONGEST_NAME].casefold(), folded, 1)
    hint = f'did you mean "{folded[near[0]]}"?' if near else 'expected a name such as "Europe/Berlin" or "UTC"'
    raise ValueError(f"no time zone has this name; {hint}")


def stretches(zone: str, instant: int) -> Iterator[Stretch]:
    """The stretches of a zone in order, beginning with the one that holds `instant`, for `YEARS_AHEAD` years.

    They touch each other. A stretch may end without a change of offset: at the end of a (UTC) year one always does.
    """
    year = (_EPOCH + timedelta(seconds=instant)).year
    for each in range(year, min(year + YEARS_AHEAD, LAST_YEAR)):
        for stretch in _year(zone, each):
            if stretch.end > instant:
                yield stretch


@lru_cache(maxsize=2048)
def _year(zone: str, year: int) -> tuple[Stretch, ...]:
    """The stretches of one UTC year."""
    rules = ZoneInfo(zone)

    def offset_at(instant: int) -> timedelta:
        offset = (_EPOCH + timedelta(seconds=instant)).astimezone(rules).utcoffset()
        assert offset is not None
        return offset

    begin, end = _new_year(year), _new_year(year + 1)
    offset = offset_at(begin)
    found = []
    for probe in range(begin + _DAY, end + 1, _DAY):
        last = probe - 1
        if offset_at(last) == offset:
            continue
        before = last - _DAY
        while last - before > 1:
            middle = (before + last) // 2
            before, last = (middle, last) if offset_at(middle) == offset else (before, middle)
        found.append((begin, last, offset))
        begin, offset = last, offset_at(last)
    found.append((begin, end, offset))
    return tuple(Stretch(begin, end, offset // _SECOND) for begin, end, offset in found)


def _new_year(year: int) -> int:
    return (datetime(year, 1, 1, tzinfo=UTC) - _EPOCH) // _SECOND
