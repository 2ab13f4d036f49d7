"""QueueActor's hand for workers from outside: their claims, and how the runs under their leases end.

State: none. Each verb carries the lease's name and the fence of the run; the store refuses what is late.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from msgspec import Struct

from actors.callers import Callers
from actors.messages import Address, Lend, Replied, RunOverdue, RunsEnded, Wake, Write, Written
from actors.meter import Meter
from actors.outcomes import backoff, say
from actors.watchers import Watchers
from storage import verbs as v
from storage.store import Result, Verb
from taskqueue.core import events as ev
from taskqueue.core.clock import SECOND, Clock
from taskqueue.core.config import Config
from taskqueue.core.errors import StoreError
from taskqueue.core.task import TERMINAL, Cause, Task
from taskqueue.handlers import Handler

log = logging.getLogger("taskqueue.leases")


class Lent(Struct, frozen=True):
    """A ticket: who asked (nobody, where a run was over its time), the verbs, and the task whose run they end."""

    verbs: tuple[Verb, ...]
    reply_to: Address | None = None
    task: Task | None = None


class Lending:
    """See the module.

    Args:
        on_given_up: told of tasks that became dead letters on the way to a claim.
    """

    def __init__(
        self,
        *,
        config: Config,
        clock: Clock,
        random: Callable[[], float],
        handlers: Mapping[str, Handler],
        address: Address,
        storage: Address,
        scheduler: Address,
        watchers: Watchers,
        callers: Callers,
        meter: Meter,
        on_given_up: Callable[[tuple[v.GivenUp, ...]], None],
    ) -> None:
        self._config = config
        self._clock = clock
        self._random = random
        self._handlers = handlers
        self._address = address
        self._storage = storage
        self._scheduler = scheduler
        self._watchers = watchers
        self._callers = callers
        self._meter = meter
        self._on_given_up = on_given_up

    def lend(self, lend: Lend) -> None:
        """Do what a worker wants."""
        if not self._write(Lent(lend.verbs, lend.reply_to, lend.task)):
            lend.reply_to.tell(Replied(results=(StoreError("the store's actor is down"),) * len(lend.verbs)))

    def overdue(self, overdue: RunOverdue) -> None:
        """A run has had its time, and its lease is still renewed: it ends as timed out, whatever its worker does."""
        task = overdue.task
        owner = task.owner or ""
        fail = ev.Fail(
            id=task.id,
            op=f"t{task.fence}",
            owner=owner,
            fence=task.fence,
            type="TimedOut",
            message=f"not finished within its time-out of {task.timeout / SECOND:g} s",
            cause=Cause.TIMEOUT,
            delay=backoff(task, self._handlers.get(task.handler), self._config, self._random),
        )
        self._write(Lent((fail, v.Deregister(owner)), task=task))

    def _write(self, ticket: Lent) -> bool:
        return self._storage.tell(Write(verbs=ticket.verbs, reply_to=self._address, ticket=ticket))

    def lent(self, ticket: Lent, written: Written) -> None:
        """The store's answer. The worker is told at once; then whoever else wants to know."""
        if ticket.reply_to is not None:
            ticket.reply_to.tell(Replied(results=written.results))
        for verb, result in zip(ticket.verbs, written.results, strict=True):
            if isinstance(result, v.Claimed) and result.given_up:
                self._on_given_up(result.given_up)
            elif isinstance(verb, ev.Owned):
                self._ended(verb, result, ticket.task)

    def _ended(self, event: ev.Owned, result: Result | StoreError, task: Task | None) -> None:
        """One run under a lease; what was said of it before, or came too late, changed nothing."""
        if not isinstance(result, v.Answer) or result.code is not ev.Code.OK:
            return
        if result.status in TERMINAL:
            self._watchers.finished([event.id])
        if isinstance(event, ev.Release):
            self._callers.call()
            self._scheduler.tell(Wake())
        elif isinstance(event, ev.Fail) and result.status not in TERMINAL:
            self._scheduler.tell(RunsEnded(wake_in=event.delay))
        if task is not None:
            self._meter.lent(task, event, result.status, self._clock.now())
            if isinstance(event, ev.Fail):
                say(task, event, result.status)
