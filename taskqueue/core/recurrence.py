"""When recurring work is due: cron expressions in a time zone, and intervals. Pure: the time comes in as an argument.

A cron expression names wall times. What happens where a zone's clocks are set is decided here:

- *Wildcard* schedules, whose hour field begins with `*`, follow elapsed time: they are due at every instant at which
  the wall clock matches. Wall times that are skipped bring nothing; wall times that are repeated bring both.
- *Fixed* hours are due at the first instant at which the wall clock shows the wall time *or is past it*. So wall times
  that are repeated bring only their first occurrence, and those that are skipped become one, when the clock has jumped.

Intervals are multiples of elapsed time since their anchor and know no zone.

Times are microseconds since the epoch; cron expressions are due at whole seconds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice, takewhile

from taskqueue.core.clock import MILLISECOND, SECOND
from taskqueue.core.cron import Pattern
from taskqueue.core.times import parse_span
from taskqueue.core.zones import Stretch, read_zone, stretches

SHORTEST = 100 * MILLISECOND
"""No interval is shorter."""

_FAR = 2 * 86_400
"""Offsets are less than a day: what a wall clock showed longer ago was earlier than what it shows now, for sure."""


class Recurrence(ABC):
    """Due times, none of them twice."""

    @abstractmethod
    def next(self, after: int) -> int | None:
        """The first due time later than `after`; None: there is none (within a hundred years)."""

    @abstractmethod
    def count(self, after: int, upto: int) -> int:
        """How many due times are later than `after` and not later than `upto`; reckoned, not counted one by one."""

    def due(self, after: int, upto: int | None = None, limit: int | None = None) -> tuple[int, ...]:
        """The first `limit` due times later than `after` and not later than `upto`, in order."""
        return tuple(islice(self._due(after, upto), limit))

    def latest(self, after: int, upto: int, limit: int) -> tuple[int, ...]:
        """The last `limit` due times later than `after` and not later than `upto`, in order."""
        if limit == 0:
            return ()
        total = self.count(after, upto)
        if total > limit:
            after = self._before(after, upto, limit)
        return self.due(after, upto, min(total, limit))  # it need not look for more

    def _due(self, after: int, upto: int | None) -> Iterator[int]:
        moment = self.next(after)
        while moment is not None and (upto is None or moment <= upto):
            yield moment
            moment = self.next(moment)

    def _before(self, after: int, upto: int, wanted: int) -> int:
        """The moment after which `wanted` due times are left up to `upto`, where more are left after `after`."""
        while (found := self.count(middle := (after + upto) // 2, upto)) != wanted:
            if found > wanted:
                after = middle
            else:
                wanted, upto = wanted - found, middle
        return middle


class Interval(Recurrence):
    """Due at `anchor + k * every` for k = 1, 2, … (microseconds)."""

    __slots__ = ("_anchor", "_every")

    def __init__(self, every: int, anchor: int) -> None:
        self._every = every
        self._anchor = anchor

    def next(self, after: int) -> int:
        return self._anchor + (self._passed(after) + 1) * self._every

    def count(self, after: int, upto: int) -> int:
        return max(0, self._passed(upto) - self._passed(after))

    def _passed(self, moment: int) -> int:
        return max(0, (moment - self._anchor) // self._every)


class Cron(Recurrence):
    """Due where a zone's wall clock matches a cron expression."""

    __slots__ = ("_pattern", "_zone")

    def __init__(self, expression: str, zone: str) -> None:
        self._pattern = Pattern(expression)
        self._zone = zone

    def next(self, after: int) -> int | None:
        start = after // SECOND + 1
        reached = self._reached(start)
        searched, match = 1, 0  # between these two wall times nothing matches
        for begin, end, offset in stretches(self._zone, start):
            opens = max(begin, start)
            wall = reached if self._pattern.fixed else opens + offset
            if not searched <= wall <= match:
                searched, match = wall, self._pattern.first(wall)
            moment = max(opens, match - offset)  # a fixed time that was skipped is due when the clock has jumped
            if moment < end:
                return moment * SECOND
        return None

    def count(self, after: int, upto: int) -> int:
        start, stop = after // SECOND + 1, upto // SECOND + 1
        if start >= stop:
            return 0
        reached = self._reached(start)
        total = 0
        for begin, end, offset in stretches(self._zone, start):
            if begin >= stop:
                break
            opens, closes = max(begin, start) + offset, min(end, stop) + offset
            if self._pattern.fixed:
                if self._pattern.count(reached, opens) and not self._pattern.count(opens, opens + 1):
                    total += 1  # skipped wall times, as one; it is none of its own where something is due just then
                opens, reached = max(opens, reached), max(closes, reached)
            total += self._pattern.count(opens, closes)
        return total

    def _reached(self, start: int) -> int:
        """The earliest wall time that the clock has not shown, nor been past, before the instant `start`."""

        def before(stretch: Stretch) -> bool:
            return stretch.begin < start

        recent = takewhile(before, stretches(self._zone, start - _FAR))
        return max((min(end, start) + offset for _, end, offset in recent), default=start)


def parse(*, cron: str | None = None, every: int | None = None, timezone: str = "UTC", anchor: int = 0) -> Recurrence:
    """The recurrence that is stated by either `cron` (in `timezone`) or `every` (microseconds, reckoned from `anchor`).

    Raises:
        ValueError: neither or both are given, the expression cannot be read or the zone is not known.
    """
    if cron is not None and every is None:
        return _cron(cron, read_zone(timezone))
    if every is not None and cron is None:
        return Interval(every, anchor)
    raise ValueError("give either cron or every")


_cron = lru_cache(maxsize=256)(Cron)


def read_every(value: object) -> int:
    """Microseconds of an interval, written as every duration is.

    Raises:
        ValueError: it is no duration, or one below `SHORTEST`.
    """
    span = parse_span(value)
    if span < SHORTEST:
        raise ValueError("expected a duration of at least 100ms")
    return span
