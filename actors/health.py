"""HealthActor: makes the node known to the store, beats, times every other node by its beats, and carries out the
orders that beats bring. Publishes what it sees as a snapshot for those who look, and says in the log when the wall
clock was set.

State: the watch over all members, and which orders are done and not yet acknowledged. If it dies, nobody beats: the
node looks late, then dead; its successor goes on beating for the same incarnation.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from actors.base import NodeActor, OnDeath
from actors.board import Board, Snapshot
from actors.messages import (
    Address,
    Leave,
    Left,
    Message,
    OrdersFiled,
    Registered,
    Revoke,
    SetClaiming,
    TakePulse,
    Write,
    Written,
)
from actors.pool import Pool
from cluster.coordinator import Coordinator
from cluster.members import Watch
from storage import verbs as v
from taskqueue.core.clock import SECOND, Clock
from taskqueue.core.events import Code

log = logging.getLogger("taskqueue.health")

ANSWER_WITHIN = 5 * SECOND
"""What the store has not answered for so long is asked again."""
JUMP = 1 * SECOND
"""A wall clock that differs from the monotonic one by more than this since the last pulse was set (or the machine
slept).
"""


class HealthActor(NodeActor):
    """See the module."""

    def __init__(
        self,
        on_death: OnDeath,
        *,
        register: v.Register,
        clock: Clock,
        coordinator: Coordinator,
        address: Address,
        storage: Address,
        scheduler: Address,
        leader: Address,
        pool: Pool,
        board: Board,
        on_refused: Callable[[str], None],
    ) -> None:
        super().__init__(on_death)
        self._register = register
        self._owner = register.owner
        self._clock = clock
        self._coordinator = coordinator
        self._address = address
        self._storage = storage
        self._scheduler = scheduler
        self._leader = leader
        self._pool = pool
        self._board = board
        self._on_refused = on_refused
        self._watch = Watch()
        self._count = 0
        self._hint = True
        self._done: tuple[int, ...] = ()
        self._asked_at: int | None = None
        self._leaving: Address | None = None
        self._offset = clock.now() - clock.monotonic()

    def receivers(self) -> dict[type[Message], Callable[[Any], None]]:
        return {
            TakePulse: self._take_pulse,
            OrdersFiled: self._orders_filed,
            Written: self._written,
            Leave: self._leave,
        }

    def begin(self) -> None:
        self._take_pulse(TakePulse())

    def _take_pulse(self, _: TakePulse) -> None:
        if self._leaving is not None:
            return
        self._watch_clock()
        if not self._board.registered:
            self._write(self._register)
            return
        if self._coordinator.beats_locally:
            self._count += 1
            self._seen({self._owner: self._count})
            if not self._hint and not self._done and self._asked_at is None:
                return
        self._beat()

    def _watch_clock(self) -> None:
        """Schedules and delays follow the wall clock, so who looks into them later wants to know when it was set."""
        offset = self._clock.now() - self._clock.monotonic()
        jump, self._offset = offset - self._offset, offset
        if abs(jump) > JUMP:
            way = "ahead" if jump > 0 else "back"
            log.warning("the clock was set %s by %.1f s", way, abs(jump) / SECOND, extra={"event": "clock_jump"})

    def _orders_filed(self, _: OrdersFiled) -> None:
        self._hint = True
        if self._board.registered and self._leaving is None:
            self._beat()

    def _beat(self) -> None:
        busy = sum(self._pool.busy(kind) for kind in self._pool.channels)
        self._write(v.Beat(self._owner, busy, self._done))

    def _write(self, verb: v.Register | v.Beat | v.Deregister) -> None:
        now = self._clock.monotonic()
        if self._asked_at is not None and now - self._asked_at < ANSWER_WITHIN:
            return
        self._asked_at = now
        if isinstance(verb, v.Beat):
            self._hint = False
        self._storage.tell(Write(verbs=(verb,), reply_to=self._address, ticket=verb))

    def _written(self, written: Written) -> None:
        self._asked_at = None
        (result,) = written.results
        verb = written.ticket
        if isinstance(result, v.Beaten):
            if self._leaving is None:
                self._beaten(result, verb)
        elif isinstance(verb, v.Beat):
            self._hint = True  # the store could not say what it has for this node
        elif isinstance(verb, v.Deregister) and self._leaving is not None:
            holding = not isinstance(result, v.Answer) or result.code is Code.REFUSED
            self._leaving.tell(Left(holding=holding))
        elif isinstance(verb, v.Register) and isinstance(result, v.Answer):
            self._registered(result)

    def _registered(self, answer: v.Answer) -> None:
        if answer.code is not Code.OK:
            self._on_refused(f"nodeId: a node named {self._register.node!r} is running already")
            return
        self._board.registered = True
        self._seen({self._owner: self._count})
        self._leader.tell(Registered())
        self._scheduler.tell(Registered())

    def _beaten(self, beaten: v.Beaten, verb: object) -> None:
        if isinstance(verb, v.Beat):
            self._done = tuple(n for n in self._done if n not in verb.done)
        if beaten.code is not Code.OK:
            log.error("the store says %s to this node's heartbeat", beaten.code)
            self._on_refused("this node was declared dead by the others")
            return
        self._count = beaten.beats.get(self._owner, self._count)
        self._seen(beaten.beats)
        for order in beaten.orders:
            self._carry_out(order)
        if beaten.orders or self._hint:
            self._beat()

    def _carry_out(self, order: v.Order) -> None:
        if order.kind == "cancel":
            self._scheduler.tell(Revoke(task=order.task, fence=order.fence))
        else:
            self._board.draining = order.kind == "drain"
            self._scheduler.tell(SetClaiming(on=not self._board.draining))
        self._done = (*self._done, order.number)

    def _seen(self, beats: dict[str, int]) -> None:
        self._watch.observe(beats, self._clock.monotonic())
        self._board.snapshot = Snapshot(at=self._clock.now(), since=self._watch.since())

    def _leave(self, leave: Leave) -> None:
        self._leaving = leave.reply_to
        self._asked_at = None
        self._write(v.Deregister(self._owner))
