"""Cron expressions: which wall times match. Time zones are no concern here; `recurrence.py` brings the two together.

`cronsim` reads and matches the expressions, always on wall times without a zone. Five fields, six with seconds first,
or a name such as `@hourly`. Wall times are seconds since the clock showed 1970-01-01 (see `zones.py`). State: a bounded
cache of sets of numbers, so that thousands of expressions share them.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from copy import copy
from datetime import date as Date  # noqa: N812  # `date` is what each day is called below
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from cronsim import CronSim, CronSimError

LONGEST = 256
"""No expression has more characters."""

ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

_FIELDS = ("second", "minute", "hour", "day-of-month", "month", "day-of-week")
_STEPPED_RANGE = re.compile(r"(?<![\w-])(\d+|[A-Za-z]{3})-(\d+|[A-Za-z]{3})/0*[1-9]\d*(?![\w/-])")
_NO_SUCH_DATE = "never due: there is no such date"
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # wall times have no zone
_FIRST_DAY = _EPOCH.toordinal()
_SOME_DAY = datetime(2000, 1, 1)  # noqa: DTZ001
_DAY = 86_400


class Pattern:
    """The wall times of one expression.

    `fixed`: its hour field does not begin with `*`, so it means certain hours of a day and not the passing of hours.

    Raises:
        ValueError: the expression cannot be read, or no day of any year matches it.
    """

    __slots__ = ("_hours", "_minutes", "_parsed", "_seconds", "fixed")

    def __init__(self, expression: str) -> None:
        self._parsed = _parse(expression)
        for name in ("seconds", "minutes", "hours", "days", "months", "weekdays"):
            setattr(self._parsed, name, _shared(frozenset(getattr(self._parsed, name))))
        self._hours = _ordered(frozenset(self._parsed.hours))
        self._minutes = _ordered(frozenset(self._parsed.minutes))
        self._seconds = _ordered(frozenset(self._parsed.seconds))
        self.fixed = not self._parsed.parts[2].startswith("*")

    def first(self, wall: int) -> int:
        """The first wall time that matches, `wall` itself or later."""
        search = copy(self._parsed)
        search.dt = _EPOCH + timedelta(seconds=wall - 1)
        return (next(search) - _EPOCH) // timedelta(seconds=1)

    def count(self, begin: int, end: int) -> int:
        """How many wall times match from `begin` until before `end`; none where `end` is the earlier one."""
        if end <= begin:
            return 0
        total = 0
        for day in range(begin // _DAY, -(-end // _DAY)):
            date = Date.fromordinal(_FIRST_DAY + day)
            if date.month in self._parsed.months and self._parsed.match_day(date):
                midnight = day * _DAY
                total += self._earlier(min(end - midnight, _DAY)) - self._earlier(max(begin - midnight, 0))
        return total

    def _earlier(self, second: int) -> int:
        """How many times of a day match before its `second`."""
        hour, minute, second = second // 3600, second // 60 % 60, second % 60
        found = bisect_left(self._hours, hour) * len(self._minutes) * len(self._seconds)
        if hour in self._parsed.hours:
            found += bisect_left(self._minutes, minute) * len(self._seconds)
            if minute in self._parsed.minutes:
                found += bisect_left(self._seconds, second)
        return found


def read_cron(value: object) -> str:
    """`value`, if it is a cron expression.

    Raises:
        ValueError: it is none, or no day of any year matches it.
    """
    if not isinstance(value, str):
        raise ValueError('expected a cron expression, such as "*/5 * * * *"')
    _parse(value)
    return value


def _parse(text: str) -> CronSim:
    text = ALIASES.get(text.lower(), text)
    fields = text.split()
    if len(text) > LONGEST or not text.isascii() or len(fields) not in (5, 6):
        raise ValueError(
            f"expected five fields ({' '.join(_FIELDS[1:])}), six with seconds first, or {', '.join(ALIASES)}"
        )
    try:
        parsed = CronSim(_STEPPED_RANGE.sub(_unstepped, text), _SOME_DAY)
    except CronSimError as error:
        name = str(error).removeprefix("Bad ")
        if name == "day-of-month" and _readable([*fields[:-2], "*", fields[-1]]):
            raise ValueError(_NO_SUCH_DATE) from None  # cronsim says the same of both
        wrong = fields[_FIELDS.index(name) - len(_FIELDS)]
        raise ValueError(f"the {name} field cannot be read: {wrong}") from None
    # A date comes back within 40 years, 29 February on a given weekday being the rarest; cronsim looks 50 years ahead.
    if next(copy(parsed), None) is None:
        raise ValueError(_NO_SUCH_DATE)
    return parsed


def _unstepped(found: re.Match[str]) -> str:
    """A range of one value is that value, whatever its step; cronsim takes `7-7/2` for `7/2`, which goes on to the end.
    """
    low, high = (end.upper().lstrip("0") for end in found.groups())
    return found[1] if low == high else found[0]


@lru_cache(maxsize=512)
def _shared(values: frozenset[Any]) -> frozenset[Any]:
    """One set for all equal ones: they are most of an expression's memory, and the same few come again and again."""
    return values


@lru_cache(maxsize=512)
def _ordered(values: frozenset[int]) -> tuple[int, ...]:
    return tuple(sorted(values))


def _readable(fields: list[str]) -> bool:
    try:
        CronSim(" ".join(fields), _SOME_DAY)
    except CronSimError:
        return False
    return True
