"""HealthActor's hand for becoming a member: under the node's own name, which another may have.

State: what is known of another holder of the name. Nothing of it has to outlive the actor.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from msgspec.structs import replace

from actors.messages import Address, LookAtMembers, MembersSeen
from cluster.incarnation import Incarnation
from cluster.succession import Lives, Over, Succession, Waits
from storage.verbs import Register
from taskqueue.core.clock import SECOND

log = logging.getLogger("taskqueue.health")


class Enrolment:
    """See the module.

    Args:
        register: how the node makes itself known; its owner is filled in from `incarnation`.
        lease: microseconds.
        on_refused: told why the node cannot be one of them.
    """

    def __init__(
        self,
        *,
        register: Register,
        incarnation: Incarnation,
        lease: int,
        address: Address,
        storage: Address,
        on_refused: Callable[[str], None],
    ) -> None:
        self._register = register
        self._me = incarnation
        self._lease = lease
        self._address = address
        self._storage = storage
        self._on_refused = on_refused
        self._succession: Succession | None = None
        self._instead_of: tuple[str, int] | None = None
        self._told = False

    @property
    def node(self) -> str:
        """The node's name."""
        return self._register.node

    def next(self) -> Register | None:
        """The registration to send; None where it is asked first who has the name."""
        if self._succession is not None and self._instead_of is None:
            self._storage.tell(LookAtMembers(reply_to=self._address))
            return None
        return replace(self._register, owner=self._me.owner, instead_of=self._instead_of)

    def done(self) -> None:
        """The node is a member."""
        self._succession = self._instead_of = None
        self._told = False

    def name_taken(self, alone: bool) -> None:
        """The store refuses it, since another holds the name. Who is alone cannot have met its like: it ends."""
        if alone:
            self._on_refused(f"nodeId: a node named {self.node!r} is running already")
        else:
            self._instead_of = None
            self._succession = self._succession or Succession(self._me, self.node, self._lease)

    def seen(self, members: MembersSeen, now: int) -> bool:
        """What the store says of the holder; is the registration to be sent again at once?"""
        if self._succession is None:
            return False
        found = self._succession.judge(members.members, now)
        if isinstance(found, Lives):
            self._succession = None
            where = f"host {found.holder.host}, pid {found.holder.pid}"
            self._on_refused(f"nodeId: a node named {self.node!r} is running already ({where})")
            return False
        if isinstance(found, Waits):
            if not self._told:
                self._told = True
                log.warning(
                    "a node named %r was here (host %s, pid %d): waiting for %.1f s whether it lives",
                    *(self.node, found.holder.host, found.holder.pid, self._lease / SECOND),
                )
            return False
        if isinstance(found, Over):
            self._instead_of = (found.owner, found.beat)
        else:
            self._succession = None
        return True
