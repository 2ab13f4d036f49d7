"""Coordination among many nodes: who leads is fought out by compare-and-set, who is dead is timed by everybody.

Safety is the store's, which checks the epoch with every leader's verb and the count with every fence. What is decided
here is when to try, so that the living are left in peace and the dead are not waited for too long.

The term is LeaderActor's thread's alone; the members are told by HealthActor's and read by others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cluster.incarnation import Incarnation
from cluster.members import Watch
from cluster.term import LOOKS, RENEWALS, Tenure, TermWatch
from storage.verbs import Campaign, Elected, Term
from taskqueue.core.events import Code


class ClusterCoordinator:
    """See `Coordinator`. State: the term as it was last seen, the tenure of this node, a timer for each member.

    Args:
        lease_ttl, leader_ttl: microseconds.
        random: of [0, 1), so that many candidates do not come at once.
    """

    mode = "cluster"
    alone = False
    beats_locally = False

    def __init__(
        self, incarnation: Incarnation, *, lease_ttl: int, leader_ttl: int, random: Callable[[], float]
    ) -> None:
        self._me = incarnation
        self._lease = lease_ttl
        self._ttl = leader_ttl
        self._random = random
        self._watch = TermWatch(leader_ttl, random)
        self._tenure: Tenure | None = None
        self._campaigned: int | None = None
        self._look_after = 0
        self._members = Watch(stall=lease_ttl // 2)
        self.answer_within = leader_ttl // RENEWALS

    # -- the term ------------------------------------------------------------------------------------------------------

    def wants_look(self, now: int) -> bool:
        """See `Coordinator`; leaders need not look, since their renewals tell."""
        if self._held() is not None or now < self._look_after:
            return False
        self._look_after = now + round(self._ttl / LOOKS * (0.75 + self._random() / 2))
        return True

    def looked(self, term: Term, now: int) -> None:
        """See `Coordinator`."""
        self._watch.observe(term, now)

    def campaign(self, now: int) -> Campaign | None:
        """See `Coordinator`: a renewal, or a try to take over a term that is over."""
        if self._campaigned is not None and now - self._campaigned < self.answer_within:
            return None
        me, tenure, term = self._me.owner, self._held(), self._watch.term
        if tenure is not None:
            self._campaigned = now
            return Campaign(me, tenure.epoch, tenure.beat)
        if term is not None and (term.owner == me or self._watch.over(now)):
            self._campaigned = now
            return Campaign(me, term.epoch, term.beat)
        return None

    def elected(self, answer: Elected, sent: int, now: int) -> None:
        """See `Coordinator`."""
        me, tenure, term = self._me.owner, self._held(), answer.term
        if tenure is not None and sent < tenure.renewed:
            return  # news of before: what was heard since is later
        if answer.code is Code.OK:
            self._watch.observe(term, now)
            if term.owner == me:
                self._tenure = Tenure(me, term.epoch, term.beat, sent)
            return
        if term == self._watch.term:
            self._watch.restart(now)  # the term is over, but this node may not have it: let others come first
        self._watch.observe(term, now)
        if tenure is not None and (term.owner, term.epoch) == (me, tenure.epoch):
            return  # an earlier try has won it, and its answer came first
        self._tenure = None
        if term.owner == me:
            self._campaigned = None  # an earlier try has won it, and its answer was lost: renewing tells since when

    def epoch(self, now: int) -> int | None:
        """See `Coordinator`."""
        tenure = self._held()
        return tenure.epoch if tenure is not None and tenure.holds(now, self._ttl) else None

    def resigned(self) -> None:
        """See `Coordinator`."""
        self._tenure = None
        self._look_after = 0

    def _held(self) -> Tenure | None:
        """What was won under the present name; an incarnation that is over leads nothing."""
        tenure = self._tenure
        return tenure if tenure is not None and tenure.owner == self._me.owner else None

    # -- the members ---------------------------------------------------------------------------------------------------

    def observe(self, beats: Mapping[str, int], now: int) -> None:
        """See `Coordinator`."""
        self._members.observe(beats, now)

    def since(self) -> dict[str, int]:
        """See `Coordinator`."""
        return self._members.since()

    def lost(self, now: int) -> dict[str, int]:
        """See `Coordinator`."""
        still = self._members.still(self._lease, now)
        still.pop(self._me.owner, None)
        return still
