"""Timing the leader's term, and holding one: no clock but the observer's own, and no time to live in the store.

Pure: monotonic time comes in with every call (microseconds), chance by the constructor. The leader renews its term by
raising a count; whoever sees the count stand still for `leaderTtl` may try to take over, by compare-and-set on
(epoch, count). The store lets one of them have it, and refuses all that the deposed leader still sends.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from storage.verbs import Term

LOOKS = 10
"""A candidate looks at the term so often within `leaderTtl`, give or take a quarter."""

RENEWALS = 4
"""A leader renews so often within `leaderTtl`."""

HOLDS = (2, 3)
"""So large a part of `leaderTtl` after its last confirmed renewal a leader may still take itself for one."""

STALL = 2
"""A candidate that has not looked for an n-th of `leaderTtl` starts its timer anew."""

SCATTER = 0.1
"""Candidates wait up to such a part of `leaderTtl` longer, each for itself, so that they do not come all at once."""


class TermWatch:
    """How long the term that is in force has stood still, as this candidate sees it."""

    def __init__(self, ttl: int, random: Callable[[], float]) -> None:
        self._ttl = ttl
        self._random = random
        self._looked = 0
        self._since = 0
        self._patience = 0
        self.term: Term | None = None
        """As it was last seen; None before the first look."""

    def observe(self, term: Term, now: int) -> None:
        """Take in what the store said at `now`."""
        if term != self.term or not self._fresh(now):
            self.restart(now)
        self.term = term
        self._looked = now

    def restart(self, now: int) -> None:
        """Wait a whole `leaderTtl` again."""
        self._since = now
        self._patience = self._ttl + round(self._ttl * SCATTER * self._random())

    def over(self, now: int) -> bool:
        """May somebody else take it: it is nobody's, or it stood still for so long while this candidate looked?"""
        if self.term is None or not self._fresh(now):
            return False
        return self.term.owner is None or now - self._since >= self._patience

    def _fresh(self, now: int) -> bool:
        return self.term is not None and now - self._looked <= self._ttl // STALL


class Tenure(Struct, frozen=True):
    """A term that was won by `owner`; `renewed`: when the last renewal that the store confirmed was sent."""

    owner: str
    epoch: int
    beat: int
    renewed: int

    def holds(self, now: int, ttl: int) -> bool:
        """Can it not have been taken over yet, by anybody who waits for `ttl`?"""
        part, whole = HOLDS
        return (now - self.renewed) * whole < ttl * part
