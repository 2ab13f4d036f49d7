"""HealthActor: makes the node known to the store, beats, times every other node by its beats, and carries out the
orders that beats bring. Publishes what it sees as a snapshot for those who look, and says in the log when the wall
clock was set.

A node that hears that its incarnation is over (declared dead while it was stopped or cut off, or unknown to the data
that is there now) begins anew as another one, in the same process.

State: which orders are done and not yet acknowledged, and what is known of another holder of the node's name. If it
dies, nobody beats: the node looks late, then dead; its successor goes on beating for the same incarnation.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from actors.base import NodeActor, OnDeath
from actors.beater import Beater
from actors.board import Board, Snapshot
from actors.enrolment import Enrolment
from actors.messages import (
    Address,
    Leave,
    Left,
    MembersSeen,
    Message,
    OrdersFiled,
    Registered,
    Revoke,
    SetClaiming,
    TakePulse,
    Wake,
    Write,
    Written,
)
from actors.pool import Pool
from cluster.coordinator import Coordinator
from cluster.incarnation import Incarnation
from storage import verbs as v
from taskqueue.core.clock import SECOND, Clock
from taskqueue.core.config import Config
from taskqueue.core.events import Code

log = logging.getLogger("taskqueue.health")

ANSWER_WITHIN = 5 * SECOND
"""What the store has not answered for so long is asked again; sooner where a third of the lease is less."""
JUMP = 1 * SECOND
"""A wall clock that differs from the monotonic one by more than this since the last pulse was set (or the machine
slept).
"""


class _Asked(Struct, frozen=True):
    """A ticket: what was asked, and when that was sent."""

    verb: v.Register | v.Beat | v.Deregister
    sent: int


class HealthActor(NodeActor):
    """See the module.

    Args:
        register: how the node makes itself known; its owner is filled in from `incarnation`.
        on_refused: told why the node cannot be one of them: it has to end.
        on_begun_anew: told when a new incarnation is registered: what the store knew of the node may be gone.
        on_time: told the store's time, and between which moments (monotonic) it was that.
    """

    def __init__(
        self,
        on_death: OnDeath,
        *,
        register: v.Register,
        incarnation: Incarnation,
        config: Config,
        clock: Clock,
        coordinator: Coordinator,
        beater: Beater,
        address: Address,
        storage: Address,
        scheduler: Address,
        leader: Address,
        pool: Pool,
        board: Board,
        on_refused: Callable[[str], None],
        on_begun_anew: Callable[[], None],
        on_time: Callable[[int, int, int], None] | None = None,
    ) -> None:
        super().__init__(on_death)
        self._me = incarnation
        self._lease = config.lease_ttl
        self._answer_within = min(ANSWER_WITHIN, config.lease_ttl // 3)
        self._clock = clock
        self._coordinator = coordinator
        self._beater = beater
        self._address = address
        self._storage = storage
        self._scheduler = scheduler
        self._leader = leader
        self._pool = pool
        self._board = board
        self._on_refused = on_refused
        self._on_begun_anew = on_begun_anew
        self._on_time = on_time
        self._count = 0
        self._hint = True
        self._away = False
        self._done: tuple[int, ...] = ()
        self._asked_at: int | None = None
        self._leaving: Address | None = None
        self._enrolment = Enrolment(
            register=register,
            incarnation=incarnation,
            lease=config.lease_ttl,
            address=address,
            storage=storage,
            on_refused=on_refused,
        )
        if not coordinator.beats_locally and board.trusted_until is None:
            board.trusted_until = 0
        self._offset = clock.now() - clock.monotonic()

    def receivers(self) -> dict[type[Message], Callable[[Any], None]]:
        return {
            TakePulse: self._take_pulse,
            OrdersFiled: self._orders_filed,
            MembersSeen: self._members_seen,
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
            self._enrol()
            return
        if self._coordinator.beats_locally:
            self._count += 1
            self._seen({self._me.owner: self._count})
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

    # -- asking --------------------------------------------------------------------------------------------------------

    def _orders_filed(self, _: OrdersFiled) -> None:
        self._hint = True
        if self._board.registered and self._leaving is None:
            self._beat()

    def _beat(self) -> None:
        busy = sum(self._pool.busy(kind) for kind in self._pool.channels)
        asked = self._asks(v.Beat(self._me.owner, busy, self._done))
        if asked is not None:
            self._hint = False
            self._beater.send(v.Beat(self._me.owner, busy, self._done), self._address, asked)

    def _enrol(self) -> None:
        register = self._enrolment.next()
        if register is not None:
            self._write(register)

    def _write(self, verb: v.Register | v.Deregister) -> None:
        asked = self._asks(verb)
        if asked is not None:
            self._storage.tell(Write(verbs=(verb,), reply_to=self._address, ticket=asked))

    def _asks(self, verb: v.Register | v.Beat | v.Deregister) -> _Asked | None:
        """The ticket to go with it; None while something else is under way."""
        now = self._clock.monotonic()
        if self._asked_at is not None and now - self._asked_at < self._answer_within:
            return None
        self._asked_at = now
        return _Asked(verb, now)

    # -- the answers ---------------------------------------------------------------------------------------------------

    def _written(self, written: Written) -> None:
        asked = written.ticket
        if not isinstance(asked, _Asked):
            return  # something was told to the store, and nothing hangs on it
        self._asked_at = None
        if asked.verb.owner != self._me.owner:
            return  # it speaks of an incarnation that is over
        (result,) = written.results
        if isinstance(result, v.Beaten):
            self._heard(None)
            if self._leaving is None:
                self._beaten(result, asked)
        elif isinstance(asked.verb, v.Beat):
            self._hint = True  # the store could not say what it has for this node
            self._heard(str(result))
        elif isinstance(asked.verb, v.Deregister) and self._leaving is not None:
            holding = not isinstance(result, v.Answer) or result.code is Code.REFUSED
            self._leaving.tell(Left(holding=holding))
        elif isinstance(asked.verb, v.Register) and isinstance(result, v.Answer):
            self._registered(result)

    def _heard(self, trouble: str | None) -> None:
        """Does the store answer? Said when it changes."""
        if trouble is not None and not self._away:
            log.warning("heartbeats do not come through: %s", trouble, extra={"event": "store_away"})
        elif trouble is None and self._away:
            log.warning("heartbeats come through again", extra={"event": "store_back"})
        self._away = trouble is not None

    def _registered(self, answer: v.Answer) -> None:
        if answer.code is Code.REFUSED or (answer.code is not Code.OK and self._coordinator.alone):
            self._enrolment.name_taken(self._coordinator.alone)
            self._enrol()
            return
        if answer.code is not Code.OK:
            self._begin_anew()
            return
        self._enrolment.done()
        self._board.registered = True
        self._seen({self._me.owner: self._count})
        if not self._coordinator.beats_locally:
            self._beat()  # nothing is claimed before the first is confirmed
        if self._board.draining:
            self._storage.tell(Write(verbs=(v.Drain(self._enrolment.node),), reply_to=self._address))
        if self._me.former:
            self._on_begun_anew()
        self._leader.tell(Registered())
        self._scheduler.tell(Registered())

    def _beaten(self, beaten: v.Beaten, asked: _Asked) -> None:
        if isinstance(asked.verb, v.Beat):
            self._done = tuple(n for n in self._done if n not in asked.verb.done)
        if beaten.code is not Code.OK:
            self._over(beaten.code)
            return
        if self._on_time is not None:
            self._on_time(beaten.at, asked.sent, self._clock.monotonic())
        self._count = beaten.beats.get(self._me.owner, self._count)
        if not self._coordinator.beats_locally:
            self._trust(asked.sent)
        self._seen(beaten.beats)
        for order in beaten.orders:
            self._carry_out(order)
        if beaten.orders or self._hint:
            self._beat()

    def _trust(self, sent: int) -> None:
        """The others started this node's timer after `sent`, and wait for a lease."""
        board, now = self._board, self._clock.monotonic()
        lapsed = board.trusted_until is None or now >= board.trusted_until
        board.trusted_until = max(board.trusted_until or 0, sent + self._lease * 2 // 3)
        if lapsed:
            self._scheduler.tell(Wake())
            self._leader.tell(Registered())

    def _carry_out(self, order: v.Order) -> None:
        if order.kind == "cancel":
            self._scheduler.tell(Revoke(task=order.task, fence=order.fence))
        else:
            self._board.draining = order.kind == "drain"
            self._scheduler.tell(SetClaiming(on=not self._board.draining))
        self._done = (*self._done, order.number)

    def _seen(self, beats: dict[str, int]) -> None:
        self._coordinator.observe(beats, self._clock.monotonic())
        self._board.snapshot = Snapshot(at=self._clock.now(), since=self._coordinator.since())

    # -- another incarnation -------------------------------------------------------------------------------------------

    def _over(self, code: Code) -> None:
        if self._coordinator.alone:
            log.error("the store says %s to this node's heartbeat", code)
            self._on_refused("this node was declared dead by the others")
            return
        log.error(
            "the store says that %s is over (%s): what runs is given up, and this node begins anew",
            *(self._me.owner, code),
            extra={"event": "begins_anew"},
        )
        self._begin_anew()

    def _begin_anew(self) -> None:
        board = self._board
        board.registered = False
        board.trusted_until = 0
        board.rebirths += 1
        self._me.renew()
        self._count, self._done, self._hint = 0, (), True
        self._scheduler.tell(Wake())  # it sees that what it holds is another's
        self._enrol()

    def _members_seen(self, seen: MembersSeen) -> None:
        if not self._board.registered and self._leaving is None and self._enrolment.seen(seen, self._clock.monotonic()):
            self._enrol()

    # -- leaving -------------------------------------------------------------------------------------------------------

    def _leave(self, leave: Leave) -> None:
        self._leaving = leave.reply_to
        self._asked_at = None
        self._write(v.Deregister(self._me.owner))
