"""QueueActor: the rules of what goes in and what comes out. Submits and operators' wishes, claims, and outcomes of
runs all pass here on their way to the store.

State: none of its own but what it counts. Outcomes that the store has not confirmed are kept in
the pool and sent again (the same op, so that twice is once); if this actor dies, its successor goes on with them.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct

from actors.base import NodeActor, OnDeath
from actors.callers import Callers
from actors.lending import Lending, Lent
from actors.messages import (
    Address,
    Admit,
    CheckUnsettled,
    FindWork,
    Lend,
    Message,
    Operate,
    OrdersFiled,
    OutcomesReady,
    Replied,
    RunOverdue,
    RunsEnded,
    SchedulesChanged,
    SendTally,
    Wake,
    WorkFound,
    Write,
    Written,
)
from actors.meter import Meter
from actors.notary import Notary, Noting
from actors.outcomes import backoff, say
from actors.pool import Dropped, Key, Pool, Raised, Returned, Run, Snoozed
from actors.watchers import Watchers
from storage import verbs as v
from storage.store import Result, Verb
from taskqueue.core import events as ev
from taskqueue.core.clock import SECOND, Clock
from taskqueue.core.config import Config
from taskqueue.core.errors import StoreError
from taskqueue.core.tally import minute
from taskqueue.core.task import TERMINAL
from taskqueue.handlers import Handler

log = logging.getLogger("taskqueue.queue")

CONFIRM_WITHIN = 5 * SECOND
"""An outcome that the store has not confirmed for so long is sent again."""


class _Claiming(Struct, frozen=True):
    """A ticket: the claim of the scheduler."""

    request: int
    reply_to: Address


class _Asked(Struct, frozen=True):
    """A ticket: who asked; for a submit, queue and handler of each task; what the audit log is to say; the claim that
    goes along, as the last verb.
    """

    reply_to: Address
    lines: tuple[tuple[str, str], ...] = ()
    schedules: bool = False
    note: v.Note | None = None
    along: _Claiming | None = None


class _Settling(Struct, frozen=True):
    """A ticket: outcomes, in the order of the verbs; None for what needs no settling."""

    keys: tuple[Key | None, ...]


class QueueActor(NodeActor):
    """See the module."""

    def __init__(
        self,
        on_death: OnDeath,
        *,
        config: Config,
        clock: Clock,
        random: Callable[[], float],
        address: Address,
        storage: Address,
        scheduler: Address,
        health: Address,
        pool: Pool,
        handlers: Mapping[str, Handler],
        watchers: Watchers,
        callers: Callers,
        leader: Address,
        meter: Meter,
        open_doors: Callable[[], bool],
    ) -> None:
        super().__init__(on_death)
        self._config = config
        self._clock = clock
        self._random = random
        self._address = address
        self._storage = storage
        self._scheduler = scheduler
        self._health = health
        self._pool = pool
        self._watchers = watchers
        self._leader = leader
        self._meter = meter
        self._open_doors = open_doors
        self._callers = callers
        self._notary = Notary(address, storage)
        self._lending = Lending(
            config=config,
            clock=clock,
            random=random,
            handlers=handlers,
            address=address,
            storage=storage,
            scheduler=scheduler,
            watchers=watchers,
            callers=callers,
            meter=meter,
            on_given_up=self._given_up,
        )

    def receivers(self) -> dict[type[Message], Callable[[Any], None]]:
        return {
            Admit: self._admit,
            Operate: self._operate,
            FindWork: self._find_work,
            Lend: self._lend,
            RunOverdue: self._overdue,
            OutcomesReady: self._outcomes_ready,
            CheckUnsettled: self._check_unsettled,
            SendTally: self._send_tally,
            Written: self._written,
        }

    def begin(self) -> None:
        self._send_again(0)
        self._take_in(self._pool.endings())
        self._take_in(self._pool.orphans())
        if self._pool.asking:  # the claim or its answer may have died with a predecessor: let it be asked again
            self._scheduler.tell(WorkFound(request=self._pool.request, claimed=None))
            self._scheduler.tell(Wake())

    # -- in ------------------------------------------------------------------------------------------------------------

    def _admit(self, admit: Admit) -> None:
        if not self._open_doors():
            admit.reply_to.tell(Replied(results=(StoreError("the node is shutting down"),) * len(admit.drafts)))
            return
        capacity = self._config.queue_size
        verbs: tuple[Verb, ...] = (
            (v.SubmitAll(admit.drafts, capacity),)
            if admit.atomic
            else tuple(v.Submit(d, capacity) for d in admit.drafts)
        )
        lines = tuple((draft.queue, draft.handler) for draft in admit.drafts)
        find = self._pool.send_along(self._scheduler)
        along = None if find is None else _Claiming(find.request, find.reply_to)
        claim = () if find is None else (v.Claim(find.owner, find.request, find.groups),)
        self._write(verbs, _Asked(admit.reply_to, lines, note=admit.note, along=along), claim)

    def _operate(self, operate: Operate) -> None:
        schedules = any(isinstance(verb, v.PutSchedule | v.DropSchedule) for verb in operate.verbs)
        self._write(operate.verbs, _Asked(operate.reply_to, schedules=schedules, note=operate.note))

    def _find_work(self, find: FindWork) -> None:
        claim = v.Claim(find.owner, find.request, find.groups)
        if not self._storage.tell(
            Write(verbs=(claim,), reply_to=self._address, ticket=_Claiming(find.request, find.reply_to))
        ):
            find.reply_to.tell(WorkFound(request=find.request, claimed=None))

    def _lend(self, lend: Lend) -> None:
        self._lending.lend(lend)

    def _overdue(self, overdue: RunOverdue) -> None:
        self._lending.overdue(overdue)

    def _write(self, verbs: tuple[Verb, ...], ticket: _Asked, claim: tuple[v.Claim, ...] = ()) -> None:
        if self._storage.tell(Write(verbs=verbs + claim, reply_to=self._address, ticket=ticket)):
            return
        ticket.reply_to.tell(Replied(results=(StoreError("the store's actor is down"),) * len(verbs)))
        if ticket.along is not None:
            self._claimed(ticket.along, None)

    # -- out -----------------------------------------------------------------------------------------------------------

    def _outcomes_ready(self, _: OutcomesReady) -> None:
        self._take_in(self._pool.endings())

    def _take_in(self, ended: Iterable[Run]) -> None:
        """Send on how these runs ended, and what others say of themselves."""
        verbs: list[Verb] = []
        keys: list[Key | None] = []
        waits: list[int] = []
        now = self._clock.monotonic()
        news = [run for run in ended if self._pool.run(run.key) is run and run.key not in self._pool.unsettled]
        for run in news:
            if isinstance(run.ending, Dropped):
                self._pool.settle(run.key)
                continue
            event = self._event(run)
            self._pool.unsettled[run.key] = (event, now)
            verbs.append(event)
            keys.append(run.key)
            if isinstance(event, ev.Fail | ev.Snooze | ev.Release):
                waits.append(0 if isinstance(event, ev.Release) else event.delay)
        for run in self._pool.notes():
            if run.note is not None:
                fraction, note = run.note
                task = run.task
                verbs.append(ev.Report(id=task.id, owner=run.owner, fence=task.fence, fraction=fraction, note=note))
                keys.append(None)
        if verbs:
            self._storage.tell(Write(verbs=tuple(verbs), reply_to=self._address, ticket=_Settling(tuple(keys))))
        if news:
            self._scheduler.tell(RunsEnded(wake_in=min(waits, default=None)))

    def _check_unsettled(self, _: CheckUnsettled) -> None:
        self._take_in(self._pool.endings())  # what ended while nobody could be told
        self._send_again(CONFIRM_WITHIN)

    def _send_tally(self, _: SendTally) -> None:
        counts = self._meter.take()
        if counts:
            tally = v.Tally(minute(self._clock.now()), counts)
            self._storage.tell(Write(verbs=(tally,), reply_to=self._address, ticket=tally))

    def _send_again(self, after: int) -> None:
        """Send again what was sent `after` microseconds ago or earlier and is not confirmed."""
        now = self._clock.monotonic()
        late = [(key, event) for key, (event, sent) in self._pool.unsettled.items() if now - sent >= after]
        if not late:
            return
        for key, event in late:
            self._pool.unsettled[key] = (event, now)
        keys = tuple(key for key, _ in late)
        self._storage.tell(
            Write(verbs=tuple(event for _, event in late), reply_to=self._address, ticket=_Settling(keys))
        )

    def _event(self, run: Run) -> ev.Event:
        """The next state of a task whose run has ended."""
        task, ending = run.task, run.ending
        op = str(task.fence)
        if isinstance(ending, Returned):
            return ev.Complete(id=task.id, op=op, owner=run.owner, fence=task.fence, result=ending.result)
        if isinstance(ending, Snoozed):
            return ev.Snooze(id=task.id, op=op, owner=run.owner, fence=task.fence, delay=ending.delay)
        if isinstance(ending, Raised):
            wait = ending.delay
            if wait is None:
                wait = backoff(task, run.handler, self._config, self._random)
            return ev.Fail(
                id=task.id,
                op=op,
                owner=run.owner,
                fence=task.fence,
                type=ending.type,
                message=ending.message,
                cause=ending.cause,
                delay=wait,
                final=ending.final,
            )
        return ev.Release(id=task.id, op=op, owner=run.owner, fence=task.fence)

    # -- the store's answers -------------------------------------------------------------------------------------------

    def _written(self, written: Written) -> None:
        ticket = written.ticket
        if isinstance(ticket, _Settling):
            self._settled(ticket, written)
        elif isinstance(ticket, _Claiming):
            self._claimed(ticket, written.results[0])
        elif isinstance(ticket, _Asked):
            self._asked(ticket, written)
        elif isinstance(ticket, Lent):
            self._lending.lent(ticket, written)
        elif isinstance(ticket, Noting):
            self._notary.noted(ticket, written.results[0])
        elif isinstance(ticket, v.Tally) and isinstance(written.results[0], StoreError):
            self._meter.give_back(ticket.counts)

    def _claimed(self, ticket: _Claiming, answer: Result | StoreError | None) -> bool:
        """Tell the scheduler what was found; whether the store has looked."""
        found = answer if isinstance(answer, v.Claimed) else None
        if found is not None and found.given_up:
            self._given_up(found.given_up)
        ticket.reply_to.tell(WorkFound(request=ticket.request, claimed=found))
        return found is not None and found.code is ev.Code.OK

    def _given_up(self, tasks: tuple[v.GivenUp, ...]) -> None:
        for task in tasks:
            self._meter.buried(task.handler, task.cause)
        self._watchers.finished([task.id for task in tasks])

    def _settled(self, ticket: _Settling, written: Written) -> None:
        confirmed, finished = [], []
        for key, answer in zip(ticket.keys, written.results, strict=True):
            if key is None or not isinstance(answer, v.Answer):
                continue  # not done: it stays unsettled and is sent again
            run, sent = self._pool.run(key), self._pool.unsettled.get(key)
            if answer.code not in (ev.Code.OK, ev.Code.DUP):
                log.info("the outcome of task %s (fence %d) came too late: %s", *key, answer.code)
            elif run is not None and sent is not None:
                confirmed.append((run, sent[0], answer.status))
                if isinstance(sent[0], ev.Fail):
                    say(run.task, sent[0], answer.status)
            if answer.status in TERMINAL:
                finished.append(key[0])
            self._pool.settle(key)
        self._meter.ended(confirmed)
        self._watchers.finished(finished)

    def _asked(self, ticket: _Asked, written: Written) -> None:
        answers, looked = list(written.results), False
        if ticket.along is not None:  # first: the handler need not wait for the answer to go out
            claimed = answers.pop()
            looked = self._claimed(ticket.along, claimed)
        results: tuple[Result | StoreError, ...] = tuple(
            one for result in answers for one in (result if isinstance(result, tuple) else (result,))
        )
        self._notary.answer(ticket.reply_to, Replied(results=results), ticket.note)
        stored = Counter(
            line
            for line, result in zip(ticket.lines, results, strict=False)
            if isinstance(result, v.Submitted) and result.code is ev.Code.OK
        )
        for line, count in stored.items():
            self._meter.submitted(*line, count)
            self._callers.call(*line)
        if ticket.schedules:
            self._leader.tell(SchedulesChanged())
        if not ticket.lines:
            tasks = [r.task for r in results if isinstance(r, v.Answer) and r.task is not None]
            self._watchers.finished([task.id for task in tasks if task.status in TERMINAL])
            self._health.tell(OrdersFiled())
            self._callers.call()
        if not looked:
            self._scheduler.tell(Wake())
