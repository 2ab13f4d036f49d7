"""Time comes in from outside, as a `Clock`, so that tests and the simulator can move it.

Every time inside taskqueue is an `int` of microseconds: wall time since the Unix epoch (UTC), or a span.
"""

from __future__ import annotations

import time
from typing import Protocol

MILLISECOND = 1_000
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Clock(Protocol):
    """What may be asked of time."""

    def now(self) -> int:
        """Wall time, microseconds since the Unix epoch. May jump."""

    def monotonic(self) -> int:
        """Microseconds since some fixed moment. Never goes back; use it to measure spans."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> int:
        return time.time_ns() // 1_000

    def monotonic(self) -> int:
        return time.monotonic_ns() // 1_000


class FollowingClock:
    """Keeps the wall time that another one is heard to have, and carries it on by this machine's monotonic clock: so
    that all nodes of a cluster go by their store's time, however their own clocks are set.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead = clock.now() - clock.monotonic()

    def now(self) -> int:
        return self._clock.monotonic() + self._ahead

    def monotonic(self) -> int:
        return self._clock.monotonic()

    def heard(self, now: int, sent: int, came: int) -> None:
        """The other one's time was `now` at some moment between `sent` and `came` (monotonic). Corrects no more than is
        certain, so that answers that take longer or shorter do not make the time tremble.
        """
        self._ahead = min(max(self._ahead, now - came), now - sent)


class ManualClock:
    """A clock that only its owner moves: for tests and simulations."""

    def __init__(self, now: int = 1_790_000_000 * SECOND) -> None:
        self._now = now
        self._monotonic = 0

    def now(self) -> int:
        return self._now

    def monotonic(self) -> int:
        return self._monotonic

    def advance(self, span: int) -> None:
        """Let `span` microseconds pass on both clocks."""
        self._now += span
        self._monotonic += span

    def jump(self, span: int) -> None:
        """Set the wall clock ahead (or back) by `span`; the monotonic clock does not notice."""
        self._now += span
