"""Timing nodes without clocks of theirs: each heartbeat raises a count, and the observer times how long it stood still.

Pure: the observer's monotonic time comes in with every call (microseconds).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


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


class Watch:
    """When this observer last saw each incarnation's count move."""

    def __init__(self) -> None:
        self._moved: dict[str, tuple[int, int]] = {}

    def observe(self, beats: Mapping[str, int], now: int) -> None:
        """Take in what the store said at `now`; who is no longer named is forgotten."""
        known = self._moved
        self._moved = {
            owner: known[owner] if owner in known and known[owner][0] == beat else (beat, now)
            for owner, beat in beats.items()
        }

    def since(self) -> dict[str, int]:
        """For every member: when its count last moved, on this observer's monotonic clock."""
        return {owner: moved for owner, (_, moved) in self._moved.items()}
