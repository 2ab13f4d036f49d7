"""LeaderActor's hand for the dead: declares those dead whose lease is over, and takes back what they held.

State: whom the store has judged, and which of them have been emptied. Nothing of it is lost with the actor: who is
fenced stands in the store.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from actors.messages import Address, Wake
from cluster.coordinator import Coordinator
from cluster.incarnation import Incarnation
from storage import verbs as v
from storage.store import Verb
from taskqueue.core.events import Code
from taskqueue.core.views import Member

log = logging.getLogger("taskqueue.leader")

FENCE, REAP = "fence ", "reap "
"""Duties, with the incarnation that they are about."""


class Reaping:
    """See the module.

    Args:
        ask: sends a verb of a duty, unless it is under way already.
    """

    def __init__(
        self,
        *,
        incarnation: Incarnation,
        max_crashes: int,
        coordinator: Coordinator,
        scheduler: Address,
        ask: Callable[[str, Verb, int], None],
    ) -> None:
        self._me = incarnation
        self._max_crashes = max_crashes
        self._coordinator = coordinator
        self._scheduler = scheduler
        self._ask = ask
        self._asked: dict[str, int] = {}
        self._judged: dict[str, int] = {}
        self._emptied: set[str] = set()

    def fence(self, epoch: int, now: int) -> None:
        """Declare dead who has stood still for a lease. The store looks at the count again."""
        lost = self._coordinator.lost(now)
        self._judged = {owner: beat for owner, beat in self._judged.items() if lost.get(owner) == beat}
        for owner, beat in lost.items():
            if owner not in self._judged:
                self._asked[owner] = beat
                self._ask(FENCE + owner, v.Fence(leader=self._me.owner, epoch=epoch, owner=owner, beat=beat), now)

    def fenced(self, owner: str, code: Code, epoch: int | None, now: int) -> None:
        """The store's answer, which the next beat will show: who has beaten since (`STALE`) is alive."""
        self._judged[owner] = self._asked.pop(owner, -1)
        if code is Code.OK:
            log.warning("the node %s has not beaten for a lease and is declared dead", owner, extra={"event": "fenced"})
            if epoch is not None:
                self._reap(owner, epoch, now)

    def seen(self, members: tuple[Member, ...], epoch: int, now: int) -> None:
        """Empty everyone who is fenced and may hold something still."""
        self._emptied &= {member.owner for member in members}
        for member in members:
            if member.fenced and member.owner not in self._emptied:
                self._reap(member.owner, epoch, now)

    def reaped(self, owner: str, moved: v.Moved, epoch: int | None, now: int) -> None:
        """The store's answer to a bite."""
        if moved.count:
            log.warning("took back %d tasks that the dead node %s held", moved.count, owner)
            self._scheduler.tell(Wake())
        if not moved.more:
            self._emptied.add(owner)
        elif epoch is not None:
            self._reap(owner, epoch, now)

    def _reap(self, owner: str, epoch: int, now: int) -> None:
        reap = v.Reap(leader=self._me.owner, epoch=epoch, owner=owner, max_crashes=self._max_crashes)
        self._ask(REAP + owner, reap, now)
