"""What is known of this node's own condition, for those who look: written by HealthActor and the composition root,
read by all.
"""

from __future__ import annotations

from msgspec import Struct

from cluster.members import Liveness, liveness
from taskqueue.core.config import Config


class Snapshot(Struct, frozen=True):
    """What HealthActor last saw: `at` is wall time, `since` when each incarnation's beat count last moved
    (monotonic).
    """

    at: int
    since: dict[str, int]


class Board:
    """Single values, each replaced whole."""

    def __init__(self, config: Config, started_at: int, started: int) -> None:
        self._heartbeat = config.heartbeat_interval
        self._lease = config.lease_ttl
        self.started_at = started_at
        self.started = started
        self.registered = False
        self.draining = False
        self.closing = False
        self.snapshot: Snapshot | None = None
        self.trusted_until: int | None = None
        """Until then (monotonic) no other node can take this one for dead; None: nobody ever does."""
        self.rebirths = 0
        """How often this process began anew as another incarnation, since the store said that the last was over."""

    def may_claim(self, now: int) -> bool:
        """Is the node to take on tasks? Not after two thirds of its lease without a confirmed beat: what it claims then
        may be another's before it is done.
        """
        return self.trusted(now) and not (self.draining or self.closing)

    def trusted(self, now: int) -> bool:
        """Is it known to the store, and can no other node take it for dead yet? Who cannot say so must not lead either,
        or nobody would take its tasks from it.
        """
        return self.registered and (self.trusted_until is None or now < self.trusted_until)

    def knows(self, owner: str) -> bool:
        """Has this node timed it?"""
        return self.snapshot is not None and owner in self.snapshot.since

    def liveness(self, owner: str, now: int) -> Liveness:
        """How `owner` looks at monotonic time `now`: also when nobody has looked for long."""
        since = self.snapshot.since.get(owner) if self.snapshot is not None else None
        return liveness(since, now, self._heartbeat, self._lease)
