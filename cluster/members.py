"""Timing nodes without clocks of theirs: each heartbeat raises a count, and the observer times how long it stood still.

Pure: the observer's monotonic time comes in with every call (microseconds).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct


class Liveness(StrEnum):
    """How a node looks to this observer."""

    ALIVE = "alive"
    LATE = "late"  # three heartbeats missed
    DEAD = "dead"  # its lease is over


def liveness(since: int | None, now: int, heartbeat: int, lease: int) -> Liveness:
    """How a node looks at `now` whose count last moved at `since` (None: it was never seen)."""
    if since is None or now - since > lease:
        return Liveness.DEAD
    return Liveness.LATE if now - since > 3 * heartbeat else Liveness.ALIVE


class Standing(Struct, frozen=True):
    """A count, and since when this observer sees it."""

    beat: int
    since: int


class Watch:
    """When this observer last saw each incarnation's count move.

    `stall`: an observer that has not looked for longer than that cannot tell who stood still meanwhile (it was stopped
    itself, or the store was away for all), so it starts every timer anew. None: it never does.
    """

    def __init__(self, stall: int | None = None) -> None:
        self._stall = stall
        self._looked: int | None = None
        self._seen: dict[str, Standing] = {}

    def observe(self, beats: Mapping[str, int], now: int) -> None:
        """Take in what the store said at `now`; who is no longer named is forgotten."""
        known = self._seen if self.fresh(now) else {}
        self._looked = now
        self._seen = {
            owner: known[owner] if owner in known and known[owner].beat == beat else Standing(beat, now)
            for owner, beat in beats.items()
        }

    def fresh(self, now: int) -> bool:
        """Was the last look so short a while ago that nothing can have been missed?"""
        return self._stall is None or (self._looked is not None and now - self._looked <= self._stall)

    def since(self) -> dict[str, int]:
        """For every member: when its count last moved, on this observer's monotonic clock."""
        return {owner: standing.since for owner, standing in self._seen.items()}

    def still(self, span: int, now: int) -> dict[str, int]:
        """Those whose count stood still for `span` at least, with it; nobody while this observer has not looked."""
        if not self.fresh(now):
            return {}
        return {owner: standing.beat for owner, standing in self._seen.items() if now - standing.since >= span}
