"""SchedulerActor: keeps free workers in work. Claims what can start soon, hands it to the channels, and watches over
what runs: deadlines, workers that do not come back, tasks that the store thinks run here and do not.

State: the one claim under way, and for which lines of work more is likely to wait. What runs is in the pool, so a
successor goes on with it; it repeats the claim that was under way under the same number, and gets the same answer.
Where nothing is under way, the next claim stands by in the pool: QueueActor sends it behind the next submit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable, Mapping
from math import ceil, inf
from typing import Any

from actors.base import NodeActor, OnDeath
from actors.messages import (
    Address,
    GiveBack,
    HeldSeen,
    LookAtHeld,
    Message,
    Reconcile,
    Registered,
    Revoke,
    RunsEnded,
    SetClaiming,
    Wake,
    WatchRuns,
    WorkFound,
    WorkHinted,
    Write,
    Written,
)
from actors.overseer import STALL, Overseer
from actors.pool import Dropped, Key, Pool, Run, Standing, Unfinished
from actors.ticker import Ticker
from cluster.incarnation import Incarnation
from storage.verbs import MOST_CLAIMED, Claimed, Group
from taskqueue.core.clock import MILLISECOND, SECOND, Clock
from taskqueue.core.config import Config
from taskqueue.core.events import Code, Release
from taskqueue.handlers import Handler

log = logging.getLogger("taskqueue.scheduler")

AHEAD, MOST_BRIDGED = 20 * MILLISECOND, 200 * MILLISECOND
"""So much work for each worker may wait in a channel beyond what runs: twice what a claim takes of late, within these
bounds. The next claim goes out when just so much is left that workers have something to do until it is answered.
"""

MOST_AHEAD = 600
"""Tasks. A claim that brings few costs the store more for each."""

ANSWER_WITHIN = 5 * SECOND
SUSPECT_PATIENCE = 30 * SECOND
"""A suspect that has waited so long stops other claims until it has run."""

SOON = 10 * MILLISECOND
"""Where this node's clock is ahead of the store's: how long to wait at first for what should be due, once it was
asked for at once and not given out.
"""

SOLO = "the suspects"
"""The line of suspects: one at a time, for an idle node."""

Line = tuple[str, tuple[str, ...], int | None]
"""Handlers that share a capacity: their kind, their names, and the cap of a handler that has its own."""


def _lines(handlers: Iterable[Handler]) -> dict[str, Line]:
    lines: dict[str, Line] = {}
    for handler in handlers:
        if handler.max_running is not None:
            lines[handler.name] = (handler.isolation, (handler.name,), handler.max_running)
        else:
            key = f"any {handler.isolation}"
            _, names, _ = lines.get(key, (handler.isolation, (), None))
            lines[key] = (handler.isolation, (*names, handler.name), None)
    return lines


class SchedulerActor(NodeActor):
    """See the module."""

    def __init__(
        self,
        on_death: OnDeath,
        *,
        incarnation: Incarnation,
        config: Config,
        clock: Clock,
        handlers: Mapping[str, Handler],
        address: Address,
        queue: Address,
        storage: Address,
        pool: Pool,
        ticker: Ticker,
        on_stuck: Callable[[str], None],
        may_claim: Callable[[], bool],
        on_look: Callable[[bool], None] = lambda _: None,
    ) -> None:
        super().__init__(on_death)
        self._me = incarnation
        self._config = config
        self._clock = clock
        self._handlers = handlers
        self._address = address
        self._queue = queue
        self._storage = storage
        self._pool = pool
        self._ticker = ticker
        self._overseer = Overseer(
            clock=clock, pool=pool, worker_count=config.worker_count, on_stuck=on_stuck, on_look=on_look
        )
        self._may_claim = may_claim
        self._claiming = True
        self._lines = _lines(handlers.values())
        self._hungry = set(self._lines)
        self._asked_for: tuple[str, ...] = ()
        self._asked_at: int | None = None
        self._took = 0.0
        """What claims take from the question to the answer, microseconds: the mean, of late."""
        self._left = 0
        """The number of the claim that stood by last, until it is seen that it went."""
        self._went = 0
        """The number of the last one of which that was seen before its answer came."""
        self._solo_since: int | None = None
        self._solo_last = False
        self._solo_barren = False
        self._alarm: int | None = None
        self._early = 0
        self._unknown: set[Key] = set()
        self._unknown_at = 0
        self._revoked: set[Key] = set()
        """What was cancelled and is not here yet: it comes with the answer to the claim under way."""

    def receivers(self) -> dict[type[Message], Callable[[Any], None]]:
        return {
            Registered: self._wake,
            Wake: self._wake,
            WorkHinted: self._hinted,
            RunsEnded: self._runs_ended,
            WorkFound: self._work_found,
            WatchRuns: self._watch_runs,
            Reconcile: self._reconcile,
            HeldSeen: self._held_seen,
            Revoke: self._revoke,
            SetClaiming: self._set_claiming,
            GiveBack: lambda give: self._overseer.give_back(running=give.running),
            Written: lambda _: None,
        }

    def begin(self) -> None:
        self._claim()

    # -- claiming ------------------------------------------------------------------------------------------------------

    def _wake(self, _: Wake | Registered) -> None:
        self._hungry = set(self._lines)
        self._solo_barren = False
        self._claim()

    def _hinted(self, hinted: WorkHinted) -> None:
        """Ask for it where there is room; where there is none, ask once there is."""
        served = hinted.handler
        self._hungry.update(line for line, (_, names, _) in self._lines.items() if not served or served in names)
        self._solo_barren = False
        self._claim()

    def _runs_ended(self, ended: RunsEnded) -> None:
        if ended.wake_in is not None:
            self._set_alarm(ended.wake_in)
        self._go_on()

    def _go_on(self) -> None:
        """Claim where something is likely to wait; else let the next submit do it."""
        if self._hungry or self._solo_since is not None:
            self._claim()
        else:
            self._disown()
            self._stand_by()

    def _stand_by(self) -> None:
        pool = self._pool
        pool.withdraw()
        groups = {} if pool.asking else self._groups(self._lines)
        if groups and self._may():
            self._asked_for = tuple(groups)
            self._left = pool.request + 1
            pool.leave(Standing(self._left, tuple(groups.values()), self._may))

    def _may(self) -> bool:
        return self._claiming and self._may_claim()

    def _claim(self) -> None:
        self._disown()
        now = self._clock.monotonic()
        self._pool.withdraw()
        if self._pool.asking:
            if self._left == self._pool.request:  # it went meanwhile
                self._left, self._went, self._asked_at = 0, self._left, now
            # Ask again what was not answered, also where no more is wanted: what it took has to go back.
            if self._asked_at is not None and now - self._asked_at < ANSWER_WITHIN:
                return
        else:
            if not self._may():
                return
            groups = self._groups(self._hungry)
            if not groups:
                return
            self._left = 0
            self._pool.request += 1
            self._pool.groups = tuple(groups.values())
            self._pool.asking = True
            self._asked_for = tuple(groups)
            self._hungry.difference_update(self._asked_for)
        self._asked_at = now
        if not self._queue.tell(self._pool.claim(self._address)):
            self._asked_at = None

    def _disown(self) -> None:
        """Where this node begins as a new incarnation, what the old one held is others' by now: drop what waits, tell
        what runs, and hear no answer to the old one's claim. The store refuses what still comes of it.
        """
        pool = self._pool
        if pool.owner == self._me.owner:
            return
        pool.withdraw()
        pool.owner = self._me.owner
        pool.asking = False
        self._asked_at = None
        self._unknown = set()
        self._revoked = set()
        foreign = [run for run in pool.unended() if run.owner != pool.owner]
        if foreign:
            log.warning("%d tasks that this node held as another incarnation are given up", len(foreign))
        for run in foreign:
            self._overseer.revoke(run)

    def _groups(self, hungry: Container[str]) -> dict[str, Group]:
        """What there is room for now in these lines, by line; nothing where it is too little to ask for."""
        pool, queues = self._pool, self._config.queues
        if pool.solo():
            return {}
        if self._solo_since is not None and not self._solo_last and not self._solo_barren:
            if pool.idle():
                return {SOLO: Group(tuple(self._handlers), queues, 1, solo=True)}
            if self._clock.now() - self._solo_since >= SUSPECT_PATIENCE:
                return {}
        groups = {}
        left = MOST_CLAIMED
        for kind, width in (("thread", self._config.worker_count), ("async", self._config.async_concurrency)):
            idle = max(0, width - pool.busy(kind))  # they may take from any line; what is to wait for others is shared
            ahead = self._room(kind, width) - idle
            lines = [line for line, (of_kind, *_) in self._lines.items() if line in hungry and of_kind == kind]
            lines.sort(key=lambda line: self._lines[line][2] or inf)
            for n, line in enumerate(lines):
                _, names, cap = self._lines[line]
                free = min(left, idle + ceil(ahead / (len(lines) - n)))
                free = free if cap is None else min(free, cap - pool.busy_with(line))
                if free > 0:
                    groups[line] = Group(names, queues, free)
                    left -= free
                    ahead -= max(0, free - idle)
        return groups

    def _room(self, kind: str, width: int) -> int:
        """How many more of this kind can start soon."""
        pace = self._pool.pace(kind)
        ahead = needed = 0
        if kind == "thread" and pace is not None:
            lasting = self._pool.lasting(kind, self._clock.monotonic() - STALL)  # they need nothing for a while
            bridge = max(width * AHEAD, (width - lasting) * min(2 * self._took, MOST_BRIDGED))
            ahead = min(MOST_AHEAD, int(bridge / max(pace, 1.0)))
            needed = min(ahead // 2, int((width - lasting) * self._took / max(pace, 1.0)))
        room = width + ahead - self._pool.busy(kind)
        return room if room >= ahead - needed else 0

    def _work_found(self, found: WorkFound) -> None:
        self._disown()
        self._pool.withdraw()  # what is under way does not change from here on
        if found.request != self._pool.request or not self._pool.asking:
            return
        stood_by = found.request in (self._left, self._went)
        claimed = found.claimed
        if claimed is not None and not stood_by and self._asked_at is not None:
            self._took += (self._clock.monotonic() - self._asked_at - self._took) / 4
        self._left, self._asked_at = 0, None
        if stood_by:  # it went with a submit, whose task may be for a line that had no room
            self._hungry.update(set(self._lines).difference(self._asked_for))
        if claimed is None:
            return  # not done, or done and its answer was lost: the next to wake asks again
        self._pool.asking = False
        if claimed.code is not Code.OK:
            log.error("a claim was answered %s", claimed.code)  # where it is FENCED, the next heartbeat hears so too
            return
        if not self._may():
            for run in self._arrived(claimed):
                self._pool.end(run, Unfinished())
            return
        self._solo_last = any(group.solo for group in self._pool.groups)
        self._solo_since = claimed.solo_since
        taken = self._hand_out(claimed)
        if self._solo_last:
            self._hungry = set(self._lines)  # others wait behind the suspect
            self._solo_barren = not taken
        else:
            answered = zip(self._asked_for, self._pool.groups, claimed.tasks, strict=False)
            self._hungry.update(line for line, group, tasks in answered if len(tasks) >= group.n)
        if claimed.next_due is not None:
            self._expect(claimed.next_due)
        self._go_on()

    def _arrived(self, claimed: Claimed) -> list[Run]:
        now = self._clock.monotonic()
        runs = [Run(task, self._handlers[task.handler], now) for tasks in claimed.tasks for task in tasks]
        return [run for run in runs if self._pool.add(run)]

    def _hand_out(self, claimed: Claimed) -> int:
        runs = self._arrived(claimed)
        for run in runs:
            if run.key in self._revoked:
                self._pool.end(run, Dropped())
            else:
                self._pool.channels[run.kind].put(run)
        self._revoked = set()
        for kind, channel in self._pool.channels.items():
            channel.call(1 if self._pool.brisk(kind) else sum(run.kind == kind for run in runs))
        return len(runs)

    def _expect(self, due: int) -> None:
        """Wake when the store has a task due. What is due by this node's clock, and was not given out, is waited for
        longer each time: the clocks differ, and by how much is not known.
        """
        delay = due - self._clock.now()
        if delay > 0:
            self._early = 0
        else:
            delay = min(SOON << self._early - 1, self._config.poll_interval) if self._early else 0
            self._early = min(self._early + 1, 10)
        self._set_alarm(delay)

    def _set_alarm(self, delay: int) -> None:
        """Wake when the next delayed task is due, in `delay` microseconds."""
        now = self._clock.monotonic()
        moment = now + delay
        if self._alarm is None or moment < self._alarm or self._alarm <= now:
            self._alarm = moment
            self._ticker.after(delay + MILLISECOND, self._address, Wake())

    # -- watching ------------------------------------------------------------------------------------------------------

    def _watch_runs(self, _: WatchRuns) -> None:
        self._disown()
        self._overseer.look()

    def _revoke(self, revoke: Revoke) -> None:
        run = self._pool.run((revoke.task, revoke.fence))
        if run is not None:
            self._overseer.revoke(run)
        elif self._pool.asking:
            self._revoked.add((revoke.task, revoke.fence))

    def _reconcile(self, _: Reconcile) -> None:
        self._storage.tell(LookAtHeld(owner=self._me.owner, reply_to=self._address))

    def _held_seen(self, seen: HeldSeen) -> None:
        """Release what the store thinks runs here and nobody here knows, seen twice running: a claim's answer was
        lost.
        """
        if seen.owner != self._me.owner:
            return
        known = self._pool.keys()
        unknown = {(held.id, held.fence) for held in seen.held} - known
        # What is seen for the first time may be of the claim under way; once that is answered, it is not.
        answered = not self._pool.asking or self._pool.request > self._unknown_at
        lost = unknown & self._unknown if answered else set()
        self._unknown, self._unknown_at = unknown, self._pool.request
        if lost:
            log.warning("%d tasks were claimed for this node and never arrived: they go back", len(lost))
            verbs = tuple(Release(id=key[0], op=str(key[1]), owner=seen.owner, fence=key[1]) for key in lost)
            self._storage.tell(Write(verbs=verbs, reply_to=self._address))

    # -- ending --------------------------------------------------------------------------------------------------------

    def _set_claiming(self, setting: SetClaiming) -> None:
        self._claiming = setting.on
        if setting.on:
            self._wake(Wake())
        else:
            self._overseer.give_back(running=False)
            self._left, self._asked_at = 0, None
            self._claim()  # what a claim under way has taken is known the sooner, and goes back
