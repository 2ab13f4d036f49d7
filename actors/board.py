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

    def liveness(self, owner: str, now: int) -> Liveness:
        """How `owner` looks at monotonic time `now`: also when nobody has looked for long."""
        since = self.snapshot.since.get(owner) if self.snapshot is not None else None
        return liveness(since, now, self._heartbeat, self._lease)
