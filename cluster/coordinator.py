"""What a node asks of coordination: am I alone, do I lead, should I campaign, how do I beat?

`solo.py` answers for a node that has its store for itself. Who lives in a cluster gets an answerer of its own.
"""

from __future__ import annotations

from typing import Protocol

from storage.verbs import Campaign, Elected


class Coordinator(Protocol):
    """Decides; never waits, never reads the time by itself. `now` is monotonic, microseconds."""

    mode: str
    """`standalone` or `cluster`."""

    alone: bool
    """No other node can live on this store: whoever is found in it at start is dead."""

    beats_locally: bool
    """Heartbeats need not go through the store (a lock proves that the node lives)."""

    def campaign(self, now: int) -> Campaign | None:
        """The campaign that is due now, or None."""

    def elected(self, answer: Elected, now: int) -> None:
        """What came of the last campaign."""

    def epoch(self, now: int) -> int | None:
        """The epoch that this node leads in, or None where it does not (or cannot be sure any more)."""

    def resigned(self) -> None:
        """This node leads no more, by its own will."""
