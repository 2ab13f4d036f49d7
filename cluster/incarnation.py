"""Under which name a process is known to the store now. One object, shared by all that speak for the node."""

from __future__ import annotations

from taskqueue.core.ids import Ids


class Incarnation:
    """`owner` is the present name. It changes in the same process when the store says that it is over (declared dead,
    or unknown to the dataset that is there now); what was claimed under an earlier name stays under that.
    """

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self.owner = ids.new()
        self.former: frozenset[str] = frozenset()
        """The names that this process had before."""

    def renew(self) -> None:
        """Begin anew. Called by one thread only; others see the old name or the new one."""
        self.former |= {self.owner}
        self.owner = self._ids.new()
