"""LeaderActor: campaigns, and while it leads keeps the house: what is due is promoted, what is over expires, what is
old is pruned, what a dead node held is taken back, and limbo is swept.

State: which duties are due when, and which dead incarnations have been emptied. If it dies, nothing of it is lost:
its successor campaigns with the same owner and so goes on with the same term. Every duty carries the epoch; the store
refuses a deposed leader.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from actors.base import NodeActor, OnDeath
from actors.firing import Firing
from actors.messages import (
    Address,
    CountsSeen,
    FireDue,
    KeepHouse,
    LookAtCounts,
    LookAtMembers,
    LookAtTasks,
    MembersSeen,
    Message,
    Registered,
    SchedulesChanged,
    SchedulesSeen,
    StepDown,
    SteppedDown,
    TasksSeen,
    Wake,
    Write,
    Written,
)
from actors.meter import Meter
from actors.ticker import Ticker
from cluster.coordinator import Coordinator
from storage import verbs as v
from storage.store import Verb
from taskqueue.core.clock import MINUTE, SECOND, Clock
from taskqueue.core.config import Config
from taskqueue.core.errors import StoreError
from taskqueue.core.events import Code
from taskqueue.core.tally import minute
from taskqueue.core.task import WAITING, Status

log = logging.getLogger("taskqueue.leader")

PERIODS = {
    "members": 5 * SECOND,
    "schedules": 1 * SECOND,
    "promote": 1 * SECOND,
    "expire": 1 * SECOND,
    "prune": 10 * SECOND,
    "count": 10 * SECOND,
    "sweep": MINUTE,
}
"""How often each duty is done while there is little to do; where more waits, it goes on at once."""


class LeaderActor(NodeActor):
    """See the module."""

    def __init__(
        self,
        on_death: OnDeath,
        *,
        owner: str,
        config: Config,
        clock: Clock,
        coordinator: Coordinator,
        address: Address,
        storage: Address,
        scheduler: Address,
        ticker: Ticker,
        meter: Meter,
        on_finished: Callable[[tuple[str, ...]], None],
        may_lead: Callable[[], bool],
    ) -> None:
        super().__init__(on_death)
        self._owner = owner
        self._max_crashes = config.max_crashes
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
        self._emptied: set[str] = set()
        self._meter = meter
        self._firing = Firing(
            owner=owner,
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
            MembersSeen: self._members_seen,
            SchedulesSeen: self._schedules_seen,
            SchedulesChanged: lambda _: self._firing.look(),
            FireDue: lambda _: self._fire(),
            TasksSeen: lambda seen: self._meter.dead(seen.tasks),
            CountsSeen: self._counts_seen,
            StepDown: self._step_down,
        }

    def _keep_house(self, _: KeepHouse) -> None:
        now = self._clock.monotonic()
        if self._stepped_down or not self._may_lead():
            return
        campaign = self._coordinator.campaign(now)
        if campaign is not None and self._free("campaign", now):
            self._ask("campaign", (campaign,), now)
        epoch = self._coordinator.epoch(now)
        if epoch is None:
            return
        for duty, due in self._due.items():
            if due > now or not self._free(duty, now):
                continue
            self._due[duty] = now + PERIODS[duty]
            if duty == "members":
                self._storage.tell(LookAtMembers(reply_to=self._address))
            elif duty == "schedules":
                self._firing.look()
            elif duty == "count":
                self._storage.tell(LookAtCounts(reply_to=self._address))
            else:
                self._ask(duty, (self._verb(duty, epoch),), now)
        self._firing.fire(epoch)

    def _verb(self, duty: str, epoch: int) -> Verb:
        if duty == "promote":
            return v.PromoteDue(leader=self._owner, epoch=epoch)
        if duty == "expire":
            return v.ExpireDue(leader=self._owner, epoch=epoch)
        if duty == "prune":
            return v.PruneOld(leader=self._owner, epoch=epoch, keep=self._keep)
        return v.Sweep(leader=self._owner, epoch=epoch)

    def _members_seen(self, seen: MembersSeen) -> None:
        now = self._clock.monotonic()
        epoch = self._coordinator.epoch(now)
        if epoch is None:
            return
        self._firing.declare(seen.members)
        for member in seen.members:
            if member.fenced and member.owner not in self._emptied and self._free(f"reap {member.owner}", now):
                self._reap(member.owner, epoch, now)

    def _reap(self, owner: str, epoch: int, now: int) -> None:
        reap = v.Reap(leader=self._owner, epoch=epoch, owner=owner, max_crashes=self._max_crashes)
        self._ask(f"reap {owner}", (reap,), now)

    def _fire(self) -> None:
        epoch = self._coordinator.epoch(self._clock.monotonic())
        if epoch is not None:
            self._firing.fire(epoch)

    def _schedules_seen(self, seen: SchedulesSeen) -> None:
        self._firing.seen(seen)
        self._fire()

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
        duty = str(written.ticket)
        self._asked.pop(duty, None)
        (result,) = written.results
        if isinstance(result, StoreError):
            log.warning("%s was not done: %s", duty, result)
        elif isinstance(result, v.Elected):
            self._coordinator.elected(result, self._clock.monotonic(), self._clock.monotonic())
            self._keep_house(KeepHouse())
        elif isinstance(result, v.Moved):
            self._moved(duty, result)

    def _moved(self, duty: str, moved: v.Moved) -> None:
        if moved.code is Code.DEPOSED:
            self._deposed()
            return
        if moved.ids and duty != "prune":
            self._on_finished(moved.ids)
            self._storage.tell(LookAtTasks(ids=moved.ids, reply_to=self._address))
        if duty == "promote" and moved.count:
            self._scheduler.tell(Wake())
        if duty == "sweep" and moved.count:
            log.error("%d tasks or counts were in limbo and have been repaired", moved.count)
        if duty.startswith("reap "):
            self._reaped(duty.removeprefix("reap "), moved)
        elif moved.more:
            self._due[duty] = 0
            self._keep_house(KeepHouse())

    def _reaped(self, owner: str, moved: v.Moved) -> None:
        now = self._clock.monotonic()
        if moved.count:
            log.warning("took back %d tasks that the dead node %s held", moved.count, owner)
            self._scheduler.tell(Wake())
        epoch = self._coordinator.epoch(now)
        if not moved.more:
            self._emptied.add(owner)
        elif epoch is not None:
            self._reap(owner, epoch, now)

    def _deposed(self) -> None:
        self._coordinator.resigned()
        self._firing.forget()

    def _step_down(self, step: StepDown) -> None:
        epoch = self._coordinator.epoch(self._clock.monotonic())
        if epoch is not None:
            self._coordinator.resigned()
            self._storage.tell(Write(verbs=(v.Resign(self._owner, epoch),), reply_to=self._address, ticket="resign"))
        self._stepped_down = True
        step.reply_to.tell(SteppedDown())

    def _free(self, duty: str, now: int) -> bool:
        """Not asked, or asked so long ago that the answer will not come."""
        return now - self._asked.get(duty, -MINUTE) >= 10 * SECOND

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
