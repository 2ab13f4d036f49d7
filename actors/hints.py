"""Hints of the store, on their way to the actors that they concern: there is work in a lane, there are orders for a
node.

State: none. Called from the store's thread. A hint that is lost costs a poll interval or a heartbeat; one too many
costs a claim that finds nothing. Who has no free slot in that lane asks for nothing, so only idle nodes are woken; and
where many are, each waits a moment of its own, so that they do not all ask at once for a single task.
"""

from __future__ import annotations

from collections.abc import Callable, Container

from actors.board import Board
from actors.callers import Callers
from actors.messages import Address, OrdersFiled, TermOver, Wake, WorkHinted
from actors.ticker import Ticker
from cluster.incarnation import Incarnation

SPREAD = 100
"""Microseconds for each node beyond `FEW`, within which the nodes ask one after the other."""

FEW = 4


class Hints:
    """See the module. `handlers`, `queues`: what this node serves."""

    def __init__(
        self,
        *,
        incarnation: Incarnation,
        handlers: Container[str],
        queues: tuple[str, ...],
        board: Board,
        callers: Callers,
        random: Callable[[], float],
        ticker: Ticker,
        scheduler: Address,
        leader: Address,
        health: Address,
    ) -> None:
        self._me = incarnation
        self._handlers = handlers
        self._queues = queues
        self._board = board
        self._callers = callers
        self._random = random
        self._ticker = ticker
        self._scheduler = scheduler
        self._leader = leader
        self._health = health

    def __call__(self, hint: str) -> None:
        """`queue/handler`: there is work; `queue/`: in any lane of it; `@owner`: orders; `!`: the leader
        resigned; empty: anything was missed.
        """
        if not hint:
            self._callers.call()
            self._scheduler.tell(Wake())
            self._health.tell(OrdersFiled())
        elif hint == "!":
            self._leader.tell(TermOver())
        elif hint.startswith("@"):
            if hint[1:] == self._me.owner:
                self._health.tell(OrdersFiled())
        else:
            queue, _, handler = hint.partition("/")
            self._callers.call(queue, handler)
            if self._serves(queue, handler):
                self._wake(WorkHinted(handler=handler))

    def _serves(self, queue: str, handler: str) -> bool:
        return (queue in self._queues or self._queues == ("*",)) and (not handler or handler in self._handlers)

    def _wake(self, hinted: WorkHinted) -> None:
        snapshot = self._board.snapshot
        others = 0 if snapshot is None else len(snapshot.since) - FEW
        if others > 0:
            self._ticker.after(round(self._random() * others * SPREAD), self._scheduler, hinted)
        else:
            self._scheduler.tell(hinted)
