"""What a node asks of coordination: am I alone, do I lead, should I campaign, who is dead?

`solo.py` answers for a node that has its store for itself, `shared.py` for one of many.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from storage.verbs import Campaign, Elected, Term


class Coordinator(Protocol):
    """Decides; never waits, never reads the time by itself. `now` is monotonic, microseconds."""

    mode: str
    """`standalone` or `cluster`."""

    alone: bool
    """No other node can live on this store: whoever is found in it at start is dead."""

    beats_locally: bool
    """Heartbeats need not go through the store (a lock proves that the node lives)."""

    answer_within: int
    """A campaign that was not answered for so long may be sent again; microseconds."""

    def wants_look(self, now: int) -> bool:
        """Is a look at the term due? Whoever is told so looks, and tells `looked`; it is not said again for a while."""

    def looked(self, term: Term, now: int) -> None:
        """What the store said of the term, as it arrived at `now`."""

    def campaign(self, now: int) -> Campaign | None:
        """The campaign that is due now, or None. Whoever gets one sends it."""

    def elected(self, answer: Elected, sent: int, now: int) -> None:
        """What came, at `now`, of the campaign that was asked for at `sent`."""

    def epoch(self, now: int) -> int | None:
        """The epoch that this node leads in, or None where it does not (or cannot be sure any more)."""

    def resigned(self) -> None:
        """This node leads no more: it resigned, or the store said that its term is over."""

    def observe(self, beats: Mapping[str, int], now: int) -> None:
        """Every live incarnation's beat count, as the store's answer to a beat of this node brought them at `now`."""

    def since(self) -> dict[str, int]:
        """For every member: when its count last moved, on this node's monotonic clock."""

    def lost(self, now: int) -> dict[str, int]:
        """The others whose lease is over, each with the count at which it stood still: the leader is to fence them."""
