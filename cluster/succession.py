"""A node starts, and another incarnation has its name: does that one live, or was it killed just now?

Pure: the observer's monotonic time comes in with every call (microseconds). Whose count moves lives, wherever it is;
who stands still for a whole lease is dead, and its name is free to take. Nobody else may be there to find that out.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from cluster.incarnation import Incarnation
from taskqueue.core.views import Member


class Free(Struct, frozen=True):
    """Nobody has the name."""


class Waits(Struct, frozen=True):
    """Somebody has it and has not shown that it lives."""

    holder: Member


class Lives(Struct, frozen=True):
    """Somebody has it and beats."""

    holder: Member


class Over(Struct, frozen=True):
    """The holder is dead, or an earlier self: it may be fenced, if its count still is `beat`."""

    owner: str
    beat: int


class Succession:
    """What to do about the holder of a name. State: since when its count stands still."""

    def __init__(self, incarnation: Incarnation, node: str, lease: int) -> None:
        self._me = incarnation
        self._node = node
        self._lease = lease
        self._holder: tuple[str, int] | None = None
        self._since = 0

    def judge(self, members: Iterable[Member], now: int) -> Free | Waits | Lives | Over:
        """What the members that were read at `now` say."""
        holder = next((one for one in members if self._holds(one)), None)
        if holder is None:
            return Free()
        seen, self._holder = self._holder, (holder.owner, holder.beat)
        if holder.owner in self._me.former:
            return Over(holder.owner, holder.beat)
        if seen is None or seen[0] != holder.owner:
            self._since = now
        elif seen != self._holder:
            return Lives(holder)
        elif now - self._since >= self._lease:
            return Over(holder.owner, holder.beat)
        return Waits(holder)

    def _holds(self, one: Member) -> bool:
        return one.node == self._node and one.owner != self._me.owner and not (one.fenced or one.left)
