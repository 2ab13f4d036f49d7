"""Coordination for a node that is alone with its store: it leads from its first campaign on, and never has to renew."""

from __future__ import annotations

from storage.verbs import Campaign, Elected
from taskqueue.core.events import Code


class SoloCoordinator:
    """See `Coordinator`. State: the term as the store last told it."""

    mode = "standalone"
    alone = True
    beats_locally = True

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._seen = (0, 0)
        self._epoch: int | None = None

    def campaign(self, now: int) -> Campaign | None:
        """Only until it is won: the first try learns the stored term, the second takes it over."""
        return Campaign(self._owner, *self._seen) if self._epoch is None else None

    def elected(self, answer: Elected, now: int) -> None:
        self._seen = (answer.term.epoch, answer.term.beat)
        if answer.code is Code.OK:
            self._epoch = answer.term.epoch

    def epoch(self, now: int) -> int | None:
        return self._epoch

    def resigned(self) -> None:
        self._epoch = None
