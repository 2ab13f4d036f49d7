"""LeaderActor: campaigns, and while it leads keeps the house: what is due is promoted, what is over expires, what is
old is pruned, who has not beaten for a lease is declared dead, what a dead node held is taken back, what a live one
holds for too long is ended, and limbo is swept.

State: which duties are due when, and which dead incarnations have been emptied. If it dies, nothing of it is lost:
its successor campaigns with the same owner and so goes on with the same term. Every duty carries the epoch; the store
refuses a deposed leader.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from actors.base import NodeActor, OnDeath
from actors.firing import Firing
from actors.lapsing import Lapsing
from actors.messages import (
    Address,
    CountsSeen,
    FireDue,
    HeldSeen,
    KeepHouse,
    LeasesSeen,
    LookAtCounts,
    LookAtMembers,
    LookAtTasks,
    LookAtTerm,
    MembersSeen,
    Message,
    Registered,
    RunsSeen,
    SchedulesChanged,
    SchedulesSeen,
    StepDown,
    SteppedDown,
    TasksSeen,
    TermOver,
    TermSeen,
    Wake,
    Write,
    Written,
)
from actors.meter import Meter
from actors.overdue import EVERY, Ends, Learns, Overdue
from actors.reaping import EMPTY, FENCE, LAPSE, REAP, Reaping
from actors.ticker import Ticker
from cluster.coordinator import Coordinator
from cluster.incarnation import Incarnation
from storage import verbs as v
from storage.store import Verb
from taskqueue.core.clock import MINUTE, SECOND, Clock
from taskqueue.core.config import Config
from taskqueue.core.errors import StoreError, StoreUnavailable
from taskqueue.core.events import Code
from taskqueue.core.tally import minute
from taskqueue.core.task import WAITING, Status

log = logging.getLogger("taskqueue.leader")

PERIODS = {
    "members": 5 * SECOND,
    "leases": 1 * SECOND,
    "schedules": 1 * SECOND,
    "promote": 1 * SECOND,
    "expire": 1 * SECOND,
    "prune": 10 * SECOND,
    "count": 10 * SECOND,
    "sweep": MINUTE,
    "overdue": EVERY,
}
"""How often each duty is done while there is little to do; where more waits, it goes on at once."""


class _Campaigning(Struct, frozen=True):
    """A ticket: when the campaign was sent."""

    sent: int

    def __str__(self) -> str:
        return "campaign"


class LeaderActor(NodeActor):
    """See the module."""

    def __init__(
        self,
        on_death: OnDeath,
        *,
        incarnation: Incarnation,
        config: Config,
        clock: Clock,
        coordinator: Coordinator,
        address: Address,
        storage: Address,
        scheduler: Address,
        queue: Address,
        ticker: Ticker,
        meter: Meter,
        random: Callable[[], float],
        on_finished: Callable[[tuple[str, ...]], None],
        may_lead: Callable[[], bool],
    ) -> None:
        super().__init__(on_death)
        self._me = incarnation
        self._keep = _keep(config)
        self._clock = clock
        self._coordinator = coordinator
        self._address = address
        self._storage = storage
        self._scheduler = scheduler
        self._on_finished = on_finished
        self._may_lead = may_lead
        self._stepped_down = False
        self._due = dict.fromkeys(PERIODS, 0)
        self._asked: dict[str, int] = {}
        self._led: tuple[str, int] | None = None
        self._meter = meter
        ask = lambda duty, verb, now: self._ask(duty, (verb,), now) if self._free(duty, now) else None  # noqa: E731 - said twice below
        self._reaping = Reaping(
            incarnation=incarnation,
            max_crashes=config.max_crashes,
            lost=coordinator.lost,
            scheduler=scheduler,
            ask=ask,
        )
        self._lapsing = Lapsing(
            incarnation=incarnation,
            max_crashes=config.max_crashes,
            address=address,
            storage=storage,
            scheduler=scheduler,
            queue=queue,
            ask=ask,
        )
        self._overdue = Overdue(
            config=config, coordinator=coordinator, address=address, storage=storage, random=random
        )
        self._firing = Firing(
            incarnation=incarnation,
            config=config,
            clock=clock,
            ticker=ticker,
            address=address,
            storage=storage,
            scheduler=scheduler,
            meter=meter,
        )

    def receivers(self) -> dict[type[Message], Callable[[Any], None]]:
        return {
            Registered: lambda _: self._keep_house(KeepHouse()),
            KeepHouse: self._keep_house,
            Written: self._written,
            TermSeen: self._term_seen,
            TermOver: self._term_over,
            MembersSeen: self._members_seen,
            LeasesSeen: self._leases_seen,
            RunsSeen: lambda seen: self._lapsing.runs_seen(seen, self._clock.monotonic()),
            SchedulesSeen: self._schedules_seen,
            SchedulesChanged: lambda _: self._firing.look(),
            FireDue: lambda _: self._fire(),
            HeldSeen: lambda seen: self._overdue.held(seen, self._clock.monotonic()),
            TasksSeen: self._tasks_seen,
            CountsSeen: self._counts_seen,
            StepDown: self._step_down,
        }

    def _keep_house(self, _: KeepHouse) -> None:
        now = self._clock.monotonic()
        if self._stepped_down or not self._may_lead():
            return
        if self._coordinator.wants_look(now):
            self._storage.tell(LookAtTerm(reply_to=self._address))
        self._campaign(now)
        epoch = self._coordinator.epoch(now)
        if epoch is None:
            self._overdue.forget()
            return
        if (self._me.owner, epoch) != self._led:
            self._led = (self._me.owner, epoch)
            self._firing.forget()  # another may have gone on with the schedules in between
            self._overdue.forget()
        self._reaping.fence(epoch, now)
        for duty, due in self._due.items():
            if due > now or not self._free(duty, now):
                continue
            self._due[duty] = now + PERIODS[duty]
            if duty == "members":
                self._storage.tell(LookAtMembers(reply_to=self._address))
            elif duty == "leases":
                self._lapsing.look()
            elif duty == "schedules":
                self._firing.look()
            elif duty == "overdue":
                self._overdue.look(now)
            elif duty == "count":
                self._storage.tell(LookAtCounts(reply_to=self._address))
            else:
                self._ask(duty, (self._verb(duty, epoch),), now)
        self._firing.fire(epoch)

    def _campaign(self, now: int) -> None:
        if not self._free("campaign", now, self._coordinator.answer_within):
            return
        campaign = self._coordinator.campaign(now)
        if campaign is not None:
            self._asked["campaign"] = now
            self._storage.tell(Write(verbs=(campaign,), reply_to=self._address, ticket=_Campaigning(now)))

    def _term_seen(self, seen: TermSeen) -> None:
        self._coordinator.looked(seen.term, self._clock.monotonic())
        self._keep_house(KeepHouse())

    def _term_over(self, _: TermOver) -> None:
        if self._may_lead() and not self._stepped_down:
            self._storage.tell(LookAtTerm(reply_to=self._address))

    def _verb(self, duty: str, epoch: int) -> Verb:
        if duty == "promote":
            return v.PromoteDue(leader=self._me.owner, epoch=epoch)
        if duty == "expire":
            return v.ExpireDue(leader=self._me.owner, epoch=epoch)
        if duty == "prune":
            return v.PruneOld(leader=self._me.owner, epoch=epoch, keep=self._keep)
        return v.Sweep(leader=self._me.owner, epoch=epoch)

    def _members_seen(self, seen: MembersSeen) -> None:
        now = self._clock.monotonic()
        epoch = self._coordinator.epoch(now)
        if epoch is None:
            return
        self._firing.declare(seen.members)
        self._overdue.seen(seen.members)
        self._reaping.seen(seen.members, epoch, now)

    def _leases_seen(self, seen: LeasesSeen) -> None:
        now = self._clock.monotonic()
        epoch = self._coordinator.epoch(now)
        if epoch is not None:
            self._lapsing.seen(seen.leases, epoch, now)

    def _fire(self) -> None:
        epoch = self._coordinator.epoch(self._clock.monotonic())
        if epoch is not None:
            self._firing.fire(epoch)

    def _schedules_seen(self, seen: SchedulesSeen) -> None:
        self._firing.seen(seen)
        self._fire()

    def _tasks_seen(self, seen: TasksSeen) -> None:
        if isinstance(seen.ticket, Learns):
            self._overdue.learn(seen.tasks)
        else:
            self._meter.dead(seen.tasks)

    def _counts_seen(self, seen: CountsSeen) -> None:
        waiting = sum(seen.counts.get(status, 0) for status in WAITING)
        self._ask("tally", (v.Tally(minute(self._clock.now()), {}, {"pending": waiting}),), self._clock.monotonic())

    def _written(self, written: Written) -> None:
        if isinstance(written.ticket, v.Tick):
            (answer,) = written.results
            code = self._firing.written(written.ticket, answer)
            if code is Code.DEPOSED:
                self._deposed()
            elif code is Code.OK:
                self._fire()
            return
        if isinstance(written.ticket, Ends):
            self._finished(self._overdue.ended(written.ticket, written.results))
            return
        duty = str(written.ticket)
        self._asked.pop(duty, None)
        (result,) = written.results
        if isinstance(result, StoreUnavailable):
            log.debug("%s was not done: %s", duty, result)  # HealthActor says so once for all
        elif isinstance(result, StoreError):
            log.warning("%s was not done: %s", duty, result)
        elif isinstance(written.ticket, _Campaigning) and isinstance(result, v.Elected):
            self._elected(result, written.ticket.sent)
        elif duty.startswith((FENCE, LAPSE)) and isinstance(result, v.Answer):
            if result.code is Code.DEPOSED:
                self._deposed()
            else:
                now = self._clock.monotonic()
                hand = self._reaping if duty.startswith(FENCE) else self._lapsing.reaping
                hand.fenced(duty.partition(" ")[2], result.code, self._coordinator.epoch(now), now)
        elif isinstance(result, v.Moved):
            self._moved(duty, result)

    def _elected(self, answer: v.Elected, sent: int) -> None:
        now = self._clock.monotonic()
        led = self._coordinator.epoch(now)
        self._coordinator.elected(answer, sent, now)
        epoch = self._coordinator.epoch(now)
        if epoch is not None and epoch != led and not self._coordinator.alone:
            log.info("this node leads, in epoch %d", epoch, extra={"event": "leads"})
        self._keep_house(KeepHouse())

    def _moved(self, duty: str, moved: v.Moved) -> None:
        if moved.code is Code.DEPOSED:
            self._deposed()
            return
        if duty != "prune":
            self._finished(moved.ids)
        if duty == "promote" and moved.count:
            self._scheduler.tell(Wake())
        if duty == "sweep" and moved.count:
            self._meter.metrics.repaired(moved.count)
            log.error("%d tasks or counts were in limbo and have been repaired", moved.count)
        if duty.startswith((REAP, EMPTY)):
            now = self._clock.monotonic()
            hand = self._reaping if duty.startswith(REAP) else self._lapsing.reaping
            hand.reaped(duty.partition(" ")[2], moved, self._coordinator.epoch(now), now)
        elif moved.more:
            self._due[duty] = 0
            self._keep_house(KeepHouse())

    def _finished(self, ids: tuple[str, ...]) -> None:
        """These tasks are over, by what the leader did."""
        if ids:
            self._on_finished(ids)
            self._storage.tell(LookAtTasks(ids=ids, reply_to=self._address))

    def _deposed(self) -> None:
        self._coordinator.resigned()
        self._firing.forget()

    def _step_down(self, step: StepDown) -> None:
        epoch = self._coordinator.epoch(self._clock.monotonic())
        if epoch is not None:
            self._coordinator.resigned()
            self._storage.tell(Write(verbs=(v.Resign(self._me.owner, epoch),), reply_to=self._address, ticket="resign"))
        self._stepped_down = True
        step.reply_to.tell(SteppedDown())

    def _free(self, duty: str, now: int, answer_within: int = 10 * SECOND) -> bool:
        """Not asked, or asked so long ago that the answer will not come."""
        return duty not in self._asked or now - self._asked[duty] >= answer_within

    def _ask(self, duty: str, verbs: tuple[Verb, ...], now: int) -> None:
        self._asked[duty] = now
        self._storage.tell(Write(verbs=verbs, reply_to=self._address, ticket=duty))


def _keep(config: Config) -> tuple[v.Keep, ...]:
    kept = config.retention
    return (
        v.Keep(Status.COMPLETED, kept.completed.age, kept.completed.max),
        v.Keep(Status.CANCELLED, kept.cancelled.age, kept.cancelled.max),
        v.Keep(Status.DEAD_LETTERED, kept.dead_lettered.age, kept.dead_lettered.max),
    )
