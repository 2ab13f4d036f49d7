"""Coordination for a node that is alone with its store: it leads from its first campaign on, and never has to renew."""

from __future__ import annotations

from collections.abc import Mapping

from cluster.members import Watch
from storage.verbs import Campaign, Elected, Term
from taskqueue.core.clock import SECOND
from taskqueue.core.events import Code


class SoloCoordinator:
    """See `Coordinator`. State: the term as the store last told it, and when this node last beat."""

    mode = "standalone"
    alone = True
    beats_locally = True
    answer_within = 10 * SECOND

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._seen = (0, 0)
        self._epoch: int | None = None
        self._members = Watch()

    def wants_look(self, now: int) -> bool:
        """Never: a refused campaign tells the term."""
        return False

    def looked(self, term: Term, now: int) -> None:
        self._seen = (term.epoch, term.beat)

    def campaign(self, now: int) -> Campaign | None:
        """Only until it is won: the first try learns the stored term, the second takes it over."""
        return Campaign(self._owner, *self._seen) if self._epoch is None else None

    def elected(self, answer: Elected, sent: int, now: int) -> None:
        self._seen = (answer.term.epoch, answer.term.beat)
        if answer.code is Code.OK:
            self._epoch = answer.term.epoch

    def epoch(self, now: int) -> int | None:
        return self._epoch

    def resigned(self) -> None:
        self._epoch = None

    def observe(self, beats: Mapping[str, int], now: int) -> None:
        self._members.observe(beats, now)

    def since(self) -> dict[str, int]:
        return self._members.since()

    def lost(self, now: int) -> dict[str, int]:
        """Nobody: whoever was there before was fenced at the start."""
        return {}
