"""LeaderActor's second net under tasks that hang: what a node that lives holds far beyond its time-out is ended for it.

To end what hangs is the node's own business, and it does so half a second after the time-out. This is for the node
whose watch over its runs is stuck or broken while its heart goes on beating: nobody would declare it dead, and the task
would be `processing` for ever. So the leader times every (task, fence) that the store says is held, by its own
monotonic clock and from its own first sight on, and no other time is looked at. It sends the same `Fail` as the owner
would, with the owner and the fence that it timed: the store compares both, so what was ended, given back or claimed
anew in between is left alone, and whatever comes of the owner later is stale. So it does no harm either where another
leads meanwhile.

It looks at one node after the other, all of them within `ROUND`, and reads a task only once it has been held for
`LONG`: what runs and ends costs nothing but the look.

State: who may hold something, and since when what is seen with whom. It is lost with the term and with the actor, and
where nothing was heard for a while (the store was away, or this node stood still): every timer starts anew.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from math import ceil

from msgspec import Struct

from actors.messages import Address, HeldSeen, LookAtHeld, LookAtTasks, Write
from actors.pool import Key
from cluster.coordinator import Coordinator
from cluster.members import Liveness, liveness
from storage import verbs as v
from storage.store import Result
from taskqueue.core import events as ev
from taskqueue.core.clock import SECOND
from taskqueue.core.config import Config
from taskqueue.core.errors import StoreError
from taskqueue.core.retry import delay
from taskqueue.core.task import TERMINAL, Cause, Task
from taskqueue.core.views import Member

log = logging.getLogger("taskqueue.leader")

EVERY = 1 * SECOND
ROUND = 30 * SECOND
"""How often it looks, and within what time it looks at everybody: at several at a time, where there are many."""

LONG = 10 * SECOND
"""What has been held for so long is worth a question for its time-out."""

MARGIN = 30 * SECOND
"""So long after the time-out the owner has certainly told what became of it, if it ever will: it asks for half a second
to stop the handler, and for some more to write, over an outage as well.
"""

STALL = 10 * SECOND
"""Where no look was answered for so long, owners may have been unable to write for as long: all is timed anew."""

ASKED, ENDED = 20, 100
"""How many tasks are read, and how many ended, after one look at most."""


class Ends(Struct, frozen=True):
    """A ticket: the runs that were to be ended, in the order of the answers."""

    verbs: tuple[ev.Fail, ...]


class Learns(Struct, frozen=True):
    """A ticket: tasks are read for their time-outs."""


class _Timer(Struct):
    """Since when a (task, fence) is seen; its time-out and which try it is, once they are known."""

    since: int
    timeout: int | None = None
    tries: int = 1


class Overdue:
    """See the module. `random`: of [0, 1), spreads the retries of what is ended together."""

    def __init__(
        self,
        *,
        config: Config,
        coordinator: Coordinator,
        address: Address,
        storage: Address,
        random: Callable[[], float],
    ) -> None:
        self._config = config
        self._coordinator = coordinator
        self._address = address
        self._storage = storage
        self._random = random
        self._holders: list[str] = []
        self._timers: dict[str, dict[Key, _Timer]] = {}
        self._heard: int | None = None

    def forget(self) -> None:
        """Begin anew: another may lead, or nothing was seen for a while."""
        self._timers = {}
        self._heard = None

    def seen(self, members: tuple[Member, ...]) -> None:
        """Who may hold something. What the dead hold is taken back from them (`Reaping`)."""
        holders = {member.owner for member in members if not (member.fenced or member.left)}
        known = [owner for owner in self._holders if owner in holders]
        self._holders = [*known, *sorted(holders.difference(known))]
        self._timers = {owner: timers for owner, timers in self._timers.items() if owner in holders}

    def look(self, now: int) -> None:
        """Ask for what the next in line hold."""
        if self._heard is not None and now - self._heard > STALL:
            self.forget()
        turn = ceil(len(self._holders) * EVERY / ROUND)
        asked, rest = self._holders[:turn], self._holders[turn:]
        self._holders = [*rest, *asked]
        for owner in asked:
            self._storage.tell(LookAtHeld(owner=owner, reply_to=self._address))

    def held(self, seen: HeldSeen, now: int) -> None:
        """What one of them holds: what is new is timed, what is old is asked for its time-out, what is over is ended.
        """
        owner = seen.owner
        if owner not in self._holders:
            return
        self._heard = now
        before = self._timers.get(owner, {}) if self._beats(owner, now) else {}
        timers = self._timers[owner] = {
            (one.id, one.fence): before.get((one.id, one.fence)) or _Timer(now) for one in seen.held
        }
        unknown = [key[0] for key, one in timers.items() if one.timeout is None and now - one.since >= LONG]
        if unknown:
            self._storage.tell(LookAtTasks(ids=tuple(unknown[:ASKED]), reply_to=self._address, ticket=Learns()))
        over = [
            self._end(owner, key, one.timeout, one.tries)
            for key, one in timers.items()
            if one.timeout is not None and now - one.since >= one.timeout + MARGIN
        ]
        if over:
            ticket = Ends(tuple(over[:ENDED]))
            self._storage.tell(Write(verbs=ticket.verbs, reply_to=self._address, ticket=ticket))

    def learn(self, tasks: tuple[Task, ...]) -> None:
        """Tasks as they are: of those that are timed, how long they may take."""
        for task in tasks:
            timer = self._timers.get(task.owner or "", {}).get((task.id, task.fence))
            if timer is not None:
                timer.timeout = task.timeout
                timer.tries = task.retries - task.retries_left + 1

    def ended(self, ticket: Ends, results: tuple[Result | StoreError, ...]) -> tuple[str, ...]:
        """The store's answers; which tasks have come to their end by it. Of what was not done the next look tells."""
        over = []
        for verb, result in zip(ticket.verbs, results, strict=True):
            if isinstance(result, v.Answer) and result.code is ev.Code.OK:
                log.warning("task %s, held by %s: %s", verb.id, verb.owner, verb.message, extra={"event": "overdue"})
                if result.status in TERMINAL:
                    over.append(verb.id)
        return tuple(over)

    def _beats(self, owner: str, now: int) -> bool:
        """Does its heart beat? Who stands still may be about to be declared dead, or to go on and tell what it did."""
        since = self._coordinator.since().get(owner)
        return liveness(since, now, self._config.heartbeat_interval, self._config.lease_ttl) is Liveness.ALIVE

    def _end(self, owner: str, key: Key, timeout: int, tries: int) -> ev.Fail:
        task, fence = key
        return ev.Fail(
            id=task,
            op=f"overdue-{fence}",  # not what the owner's own end is called: that one has to be told that it is stale
            owner=owner,
            fence=fence,
            type="TimedOut",
            message=f"its node did not end it within its time-out of {timeout / SECOND:g} s, nor for long after",
            cause=Cause.TIMEOUT,
            delay=delay(self._config.backoff, tries, self._random),
        )
