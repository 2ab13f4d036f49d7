"""LeaderActor's hand for schedules: keeps the timetable as the store has it, sends the ticks of what is due, and sets
the alarm for what is due next.

State: the timetable and the alarm. Nothing of it is lost with the actor: the cursor of each schedule is the store's.
"""

from __future__ import annotations

import logging

from actors.messages import Address, FireDue, LookAtSchedules, SchedulesChanged, SchedulesSeen, Wake, Write
from actors.meter import Meter
from actors.ticker import Ticker
from actors.timetable import Timetable
from cluster.incarnation import Incarnation
from storage import verbs as v
from storage.store import Result
from taskqueue.core.clock import MILLISECOND, SECOND, Clock
from taskqueue.core.config import Config
from taskqueue.core.errors import StoreError
from taskqueue.core.events import Code
from taskqueue.core.views import Declaration, Member

log = logging.getLogger("taskqueue.schedules")

LONGEST_ALARM = 1 * SECOND
"""A look at the clock at least so often, since wall time may jump."""
REST = 200
"""Microseconds between two looks, for each schedule: who makes ten thousand of them is not to have all read each time.
"""


class Firing:
    """See the module."""

    def __init__(
        self,
        *,
        incarnation: Incarnation,
        config: Config,
        clock: Clock,
        ticker: Ticker,
        address: Address,
        storage: Address,
        scheduler: Address,
        meter: Meter,
    ) -> None:
        self._me = incarnation
        self._clock = clock
        self._ticker = ticker
        self._address = address
        self._storage = storage
        self._scheduler = scheduler
        self._timetable = Timetable(config)
        self._meter = meter
        self._alarm = 0
        self._rests_until = 0
        self._reminded = False

    def look(self) -> None:
        """Ask whether schedules have changed; a little later where that was asked just now."""
        rest = self._rests_until - self._clock.monotonic()
        if rest <= 0:
            self._look()
        elif not self._reminded:
            self._reminded = True
            self._ticker.after(rest, self._address, SchedulesChanged())

    def _look(self) -> None:
        self._reminded = False
        self._rests_until = self._clock.monotonic() + REST * len(self._timetable)
        self._storage.tell(LookAtSchedules(revision=self._timetable.revision, reply_to=self._address))

    def seen(self, seen: SchedulesSeen) -> None:
        """The store's answer to `look`."""
        if seen.schedules is not None:
            self._timetable.load(seen.schedules, seen.revision, self._clock.now())

    def declare(self, members: tuple[Member, ...]) -> None:
        """Who lives now, and what they declare."""
        live = (member for member in members if not (member.fenced or member.left))
        declared: dict[str, Declaration] = {}
        for one in (one for member in live for one in member.handlers):
            known = declared.get(one.name)
            if known is None or (one.scheduled and not known.scheduled):
                declared[one.name] = one
        self._timetable.declare(declared, self._clock.now())

    def forget(self) -> None:
        """This node leads no more: another goes on from the store's cursors."""
        self._timetable.forget()

    def fire(self, epoch: int) -> None:
        """Send the ticks of what is due, and set the alarm for the next."""
        now = self._clock.now()
        for tick in self._timetable.ticks(self._me.owner, epoch, now):
            self._storage.tell(Write(verbs=(tick,), reply_to=self._address, ticket=tick))
        due = self._timetable.next()
        if due is None:
            return
        delay = max(0, due - now) + MILLISECOND
        moment = self._clock.monotonic() + delay
        if delay <= LONGEST_ALARM and not (self._clock.monotonic() < self._alarm <= moment):
            self._alarm = moment
            self._ticker.after(delay, self._address, FireDue())

    def written(self, tick: v.Tick, result: Result | StoreError) -> Code | None:
        """The store's answer to a tick; the code, None where it was not done."""
        done = isinstance(result, v.Answer) and result.code is Code.OK
        self._timetable.settled(tick, done, self._clock.now())
        if not isinstance(result, v.Answer):
            log.warning("a tick of schedule %s was not done: %s", tick.schedule, result)
            return None
        if done and result.status is not None:
            for draft in tick.drafts:  # all of them: those that skip overlaps hold one at most
                self._meter.submitted(draft.queue, draft.handler)
            self._scheduler.tell(Wake())
        elif not done and result.code is not Code.DEPOSED:
            self._timetable.revision = None  # the schedule is another by now: read it anew
            self._look()
        return result.code
