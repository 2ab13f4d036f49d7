"""Who takes part, and who leads: the members and the term of the memory backend.

State: one seat per incarnation (its record, its orders, the number of its last claim) and the present term. A member
that is fenced or has left stays so for good, and is forgotten an hour later. Not locked: `MemoryStore` does that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from storage import verbs as v
from taskqueue.core.events import Code
from taskqueue.core.views import LeaseView, Member


@dataclass
class Seat:
    """An incarnation: what others see of it, its open orders, its last claim, and since when it is gone. `ttl`: it is
    the lease of a worker from outside, and no node.
    """

    member: Member
    orders: dict[int, v.Order] = field(default_factory=dict)
    request: int = 0
    gone_at: int | None = None
    ttl: int | None = None

    @property
    def live(self) -> bool:
        """Neither fenced nor left."""
        return self.gone_at is None

    def change(self, **changes: Any) -> None:
        """Replace fields of the member's record."""
        self.member = replace(self.member, **changes)


class Members:
    """Every incarnation that is remembered, by its name, oldest first; and the term."""

    def __init__(self) -> None:
        self.seats: dict[str, Seat] = {}
        self.term = v.Term(None, 0, 0)
        self._ordered = 0

    def live(self, owner: str) -> Seat | None:
        """The seat of a node that may act; None where it is unknown, fenced or has left."""
        seat = self.acting(owner)
        return seat if seat is not None and seat.ttl is None else None

    def acting(self, owner: str) -> Seat | None:
        """The same of a node or a lease."""
        seat = self.seats.get(owner)
        return seat if seat is not None and seat.live else None

    def nodes(self) -> list[Seat]:
        """Every seat that is no lease."""
        return [seat for seat in self.seats.values() if seat.ttl is None]

    def fenced(self, owner: str) -> bool:
        """Was it declared dead?"""
        return owner in self.seats and self.seats[owner].member.fenced

    # -- coming, living, leaving ---------------------------------------------------------------------------------------

    def register(self, verb: v.Register, now: int) -> v.Answer:
        """A node starts. A repeat by a live incarnation only renews what it says of itself."""
        if verb.alone:
            for seat in self.nodes():
                if seat.live and seat.member.owner != verb.owner:
                    self._fence(seat, now)
        known = self.seats.get(verb.owner)
        if known is not None and not known.live:
            return v.Answer(Code.FENCED)
        for seat in self._named(verb.node):
            if seat.member.owner != verb.owner and (seat.member.owner, seat.member.beat) == verb.instead_of:
                self._fence(seat, now)
        if any(seat.member.owner != verb.owner for seat in self._named(verb.node)):
            return v.Answer(Code.REFUSED)
        said = {
            "node": verb.node,
            "host": verb.host,
            "pid": verb.pid,
            "workers": verb.workers,
            "queues": verb.queues,
            "handlers": verb.handlers,
        }
        if known is not None:
            known.change(**said)
            return v.Answer(Code.OK)
        member = Member(
            owner=verb.owner,
            started_at=now,
            beat=0,
            beat_at=now,
            running=0,
            fenced=False,
            draining=False,
            left=False,
            **said,  # type: ignore[arg-type]
        )
        self.seats[verb.owner] = Seat(member)
        return v.Answer(Code.OK)

    def beat(self, verb: v.Beat, now: int) -> v.Beaten:
        """It lives, and has done some of its orders."""
        seat = self.live(verb.owner)
        if seat is None:
            return v.Beaten(Code.FENCED)
        seat.change(beat=seat.member.beat + 1, beat_at=now, running=verb.running)
        for number in verb.done:
            seat.orders.pop(number, None)
        beats = {seat.member.owner: seat.member.beat for seat in self.nodes() if seat.live}
        return v.Beaten(Code.OK, beats, tuple(seat.orders.values()), now)

    def deregister(self, verb: v.Deregister, now: int, holds: bool) -> v.Answer:
        """It leaves; `holds`: some task is still in its hands."""
        seat = self.seats.get(verb.owner)
        if seat is None or seat.member.fenced:
            return v.Answer(Code.FENCED)
        if holds:
            return v.Answer(Code.REFUSED)
        if seat.live and seat.ttl is not None and not verb.trace:
            del self.seats[verb.owner]
        elif seat.live:
            seat.change(left=True, running=0)
            self._leave(seat, now)
        return v.Answer(Code.OK)

    def lease(self, verb: v.Lease, now: int) -> v.Answer:
        """A worker from outside begins a lease, or goes on with it."""
        seat = self.seats.get(verb.owner)
        if seat is None:
            member = Member(
                owner=verb.owner,
                node=verb.node,
                host="",
                pid=0,
                workers=0,
                queues=(),
                handlers=(),
                started_at=now,
                beat=0,
                beat_at=now,
                running=0,
                fenced=False,
                draining=False,
                left=False,
            )
            seat = self.seats[verb.owner] = Seat(member, ttl=verb.ttl)
        if not seat.live:
            return v.Answer(Code.FENCED)
        if seat.ttl is None:
            return v.Answer(Code.REFUSED)
        seat.ttl = verb.ttl
        seat.change(node=verb.node)
        self.renew(seat, now)
        return v.Answer(Code.OK)

    def renew(self, seat: Seat, now: int) -> None:
        """The holder of a lease lives."""
        seat.change(beat=seat.member.beat + 1, beat_at=now)

    def leases(self) -> list[LeaseView]:
        """Every lease that is not over, or was fenced."""
        return [
            LeaseView(owner=owner, node=one.member.node, ttl=one.ttl, beat=one.member.beat, fenced=one.member.fenced)
            for owner, one in sorted(self.seats.items())
            if one.ttl is not None and not one.member.left
        ]

    def drain(self, verb: v.Drain, now: int) -> v.Answer:
        """Tell the live incarnation of a node to stop claiming, or to go on."""
        seats = self._named(verb.node)
        for seat in seats:
            seat.change(draining=verb.on)
            self._order(seat, now, "drain" if verb.on else "undrain")
        return v.Answer(Code.OK if seats else Code.NOT_FOUND)

    def order_cancel(self, owner: str, task: str, fence: int, now: int) -> None:
        """Tell a live `owner` that its run (task, fence) is not wanted any more."""
        seat = self.live(owner)
        if seat is not None:
            self._order(seat, now, "cancel", task, fence)

    def fence(self, owner: str, beat: int, now: int) -> v.Answer:
        """Declare it dead, if it has not beaten since `beat`."""
        seat = self.seats.get(owner)
        if seat is None:
            return v.Answer(Code.NOT_FOUND)
        if seat.member.fenced:
            return v.Answer(Code.OK)
        if seat.member.beat != beat:
            return v.Answer(Code.STALE)
        self._fence(seat, now)
        return v.Answer(Code.OK)

    def forget(self, now: int, holds: Callable[[str], bool]) -> None:
        """Forget who has been gone for long, but nobody in whose hands there is a task still."""
        for owner, seat in list(self.seats.items()):
            memory = v.MEMBER_MEMORY if seat.ttl is None else v.LEASE_MEMORY
            if seat.gone_at is not None and now - seat.gone_at > memory and not holds(owner):
                del self.seats[owner]

    def _named(self, node: str) -> list[Seat]:
        return [seat for seat in self.nodes() if seat.live and seat.member.node == node]

    def _order(self, seat: Seat, now: int, kind: str, task: str = "", fence: int = 0) -> None:
        self._ordered = max(self._ordered + 1, now)  # it never comes back, see `lua/lib.lua`
        seat.orders[self._ordered] = v.Order(self._ordered, kind, task, fence)

    def _fence(self, seat: Seat, now: int) -> None:
        seat.change(fenced=True)
        self._leave(seat, now)

    def _leave(self, seat: Seat, now: int) -> None:
        seat.gone_at = now
        seat.orders.clear()

    # -- leading -------------------------------------------------------------------------------------------------------

    def campaign(self, verb: v.Campaign) -> v.Elected:
        """Become leader if the term is the one that the candidate saw; stay leader whatever beat it saw."""
        term = self.term
        if self.live(verb.owner) is None:
            return v.Elected(Code.REFUSED, term)
        if term.owner == verb.owner and term.epoch == verb.epoch:
            self.term = v.Term(verb.owner, term.epoch, term.beat + 1)
        elif (term.epoch, term.beat) == (verb.epoch, verb.beat):
            self.term = v.Term(verb.owner, term.epoch + 1, 1)
        else:
            return v.Elected(Code.REFUSED, term)
        return v.Elected(Code.OK, self.term)

    def resign(self, verb: v.Resign) -> v.Answer:
        """Stop leading."""
        if not self.leads(verb.owner, verb.epoch):
            return v.Answer(Code.DEPOSED)
        self.term = v.Term(None, self.term.epoch, self.term.beat)
        return v.Answer(Code.OK)

    def leads(self, owner: str, epoch: int) -> bool:
        """Is this the present term?"""
        return (self.term.owner, self.term.epoch) == (owner, epoch)
