"""LeaderActor's hand for the dead: declares those dead whose lease is over, and takes back what they held. There is one
for nodes, and one for the leases of workers from outside.

State: whom the store has judged, and which of them have been emptied. Nothing of it is lost with the actor: who is
fenced stands in the store.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from actors.messages import Address, Wake
from cluster.incarnation import Incarnation
from storage import verbs as v
from storage.store import Verb
from taskqueue.core.clock import SECOND
from taskqueue.core.events import Code

log = logging.getLogger("taskqueue.leader")

FENCE, REAP = "fence ", "reap "
LAPSE, EMPTY = "lapse ", "empty "
"""Duties, with the incarnation that they are about: of nodes, and of leases."""

AGAIN = 30 * SECOND
"""Who was emptied so long ago is looked at again: a failover may have brought back what the dead held."""


class Mortal(Protocol):
    """What is to be known of a member."""

    @property
    def owner(self) -> str: ...

    @property
    def fenced(self) -> bool: ...


class Reaping:
    """See the module.

    Args:
        lost: whose lease is over at a moment, each with the count at which it stood still.
        duties: the names of fencing and reaping.
        dead: what the log says of one who was fenced.
        ask: sends a verb of a duty, unless it is under way already.
    """

    def __init__(
        self,
        *,
        incarnation: Incarnation,
        max_crashes: int,
        lost: Callable[[int], dict[str, int]],
        scheduler: Address,
        ask: Callable[[str, Verb, int], None],
        duties: tuple[str, str] = (FENCE, REAP),
        dead: str = "the node %s has not beaten for a lease and is declared dead",
        taken: str = "took back %d tasks that the dead node %s held",
    ) -> None:
        self._me = incarnation
        self._max_crashes = max_crashes
        self._lost = lost
        self._scheduler = scheduler
        self._ask = ask
        self._fence_duty, self._reap_duty = duties
        self._dead, self._taken = dead, taken
        self._asked: dict[str, int] = {}
        self._judged: dict[str, int] = {}
        self._emptied: dict[str, int] = {}

    def fence(self, epoch: int, now: int) -> None:
        """Declare dead who has stood still for a lease. The store looks at the count again."""
        lost = self._lost(now)
        self._judged = {owner: beat for owner, beat in self._judged.items() if lost.get(owner) == beat}
        for owner, beat in lost.items():
            if owner not in self._judged:
                self._asked[owner] = beat
                fence = v.Fence(leader=self._me.owner, epoch=epoch, owner=owner, beat=beat)
                self._ask(self._fence_duty + owner, fence, now)

    def fenced(self, owner: str, code: Code, epoch: int | None, now: int) -> None:
        """The store's answer, which the next beat will show: who has beaten since (`STALE`) is alive."""
        self._judged[owner] = self._asked.pop(owner, -1)
        if code is Code.OK:
            log.warning(self._dead, owner, extra={"event": "fenced"})
            if epoch is not None:
                self._reap(owner, epoch, now)

    def seen(self, members: Sequence[Mortal], epoch: int, now: int) -> None:
        """Empty everyone who is fenced and may hold something still."""
        known = {member.owner for member in members}
        self._emptied = {name: at for name, at in self._emptied.items() if name in known and now - at < AGAIN}
        for member in members:
            if member.fenced and member.owner not in self._emptied:
                self._reap(member.owner, epoch, now)

    def reaped(self, owner: str, moved: v.Moved, epoch: int | None, now: int) -> None:
        """The store's answer to a bite."""
        if moved.count:
            log.warning(self._taken, moved.count, owner)
            self._scheduler.tell(Wake())
        if not moved.more:
            self._emptied[owner] = now
        elif epoch is not None:
            self._reap(owner, epoch, now)

    def _reap(self, owner: str, epoch: int, now: int) -> None:
        reap = v.Reap(leader=self._me.owner, epoch=epoch, owner=owner, max_crashes=self._max_crashes)
        self._ask(self._reap_duty + owner, reap, now)
