"""Every situation a task can be in, reached through the verbs of a real store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from storage import verbs as v
from taskqueue.core import events as ev
from taskqueue.core.clock import MINUTE, SECOND
from taskqueue.core.events import Code
from taskqueue.core.task import Cause
from tests.stores import Driver


class Case(NamedTuple):
    """One task of its own, in a lane of its own, and the node that runs it."""

    deck: Driver
    id: str
    owner: str

    def add(self, **changes: Any) -> None:
        self.deck.add(self.id, **{"handler": self.id, **changes})

    def run(self, **changes: Any) -> None:
        self.deck.run(self.owner, self.id, **{"handler": self.id, **changes})

    def happens(self, kind: type[ev.Event], **fields: Any) -> None:
        assert self.deck.happens(kind, self.id, **fields).code is Code.OK

    def fail(self, **fields: Any) -> None:
        assert self.deck.fail(self.id, **fields).code is Code.OK

    def wait(self, span: int) -> None:
        self.deck.clock.advance(span)


SITUATIONS: dict[str, list[Callable[[Case], Any]]] = {
    "pending": [Case.add],
    "pending with tags and a key": [lambda c: c.add(tags=("x", "y"), key=c.id, schedule="s")],
    "pending, delayed": [lambda c: c.add(delay=MINUTE)],
    "pending, its delay over": [lambda c: c.add(delay=MINUTE), lambda c: c.wait(MINUTE)],
    "pending, expired": [lambda c: c.add(expires_at=c.deck.now + SECOND), lambda c: c.wait(SECOND)],
    "pending, delayed, expired": [
        lambda c: c.add(delay=MINUTE, expires_at=c.deck.now + SECOND),
        lambda c: c.wait(SECOND),
    ],
    "pending, to expire": [lambda c: c.add(expires_at=c.deck.now + MINUTE)],
    "pending, released": [Case.run, lambda c: c.happens(ev.Release, op="release")],
    "pending, snoozed": [Case.run, lambda c: c.happens(ev.Snooze, delay=SECOND)],
    "pending, snoozed, due": [Case.run, lambda c: c.happens(ev.Snooze, delay=SECOND), lambda c: c.wait(SECOND)],
    "pending, snoozed for no time": [Case.run, lambda c: c.happens(ev.Snooze, delay=0)],
    "pending, retried": [Case.run, lambda c: c.fail(delay=MINUTE), lambda c: c.happens(ev.Retry, op="retry")],
    "pending, replayed": [Case.run, lambda c: c.fail(final=True), lambda c: c.happens(ev.Replay, op="replay")],
    "pending, crashed": [Case.add, lambda c: c.deck.crash(c.id)],
    "pending, solo": [Case.add, lambda c: c.deck.crash(c.id, times=2)],
    "pending, solo, expired": [
        lambda c: c.add(expires_at=c.deck.now + SECOND),
        lambda c: c.deck.crash(c.id, times=2),
        lambda c: c.wait(SECOND),
    ],
    "processing": [Case.run],
    "processing, no retry left": [lambda c: c.run(retries=0)],
    "processing, result not kept": [lambda c: c.run(keep_result=False)],
    "processing, a long payload, result not kept": [
        lambda c: c.run(keep_result=False, payload=b'"' + b"x" * 300 + b'"')
    ],
    "processing with tags, result not kept": [lambda c: c.run(keep_result=False, tags=("x",))],
    "processing a second time, result not kept": [
        lambda c: c.run(keep_result=False),
        lambda c: c.fail(),
        lambda c: c.wait(SECOND),
        Case.run,
    ],
    "processing with progress": [Case.run, lambda c: c.happens(ev.Report, fraction=0.5, note="half", op="report")],
    "processing, solo": [Case.add, lambda c: c.deck.crash(c.id, times=2), Case.run],
    "processing a second time": [Case.run, lambda c: c.fail(), lambda c: c.wait(SECOND), Case.run],
    "failed": [Case.run, lambda c: c.fail(delay=MINUTE, op="fail")],
    "failed, due": [Case.run, lambda c: c.fail(delay=MINUTE, cause=Cause.TIMEOUT), lambda c: c.wait(MINUTE)],
    "failed, expired": [
        lambda c: c.run(expires_at=c.deck.now + SECOND),
        lambda c: c.fail(delay=MINUTE),
        lambda c: c.wait(SECOND),
    ],
    "failed, solo, due": [Case.add, lambda c: c.deck.crash(c.id, times=2), Case.run, lambda c: c.fail()],
    "completed": [Case.run, lambda c: c.happens(ev.Complete, result=b"1", op="complete")],
    "completed, solo": [Case.add, lambda c: c.deck.crash(c.id, times=2), Case.run, lambda c: c.happens(ev.Complete)],
    "dead-lettered": [Case.run, lambda c: c.fail(final=True, cause=Cause.DISCARDED, op="fail")],
    "dead-lettered by a crash": [Case.add, lambda c: c.deck.crash(c.id, times=3)],
    "dead-lettered by time": [
        lambda c: c.add(expires_at=c.deck.now + SECOND),
        lambda c: c.wait(SECOND),
        lambda c: c.deck.led(v.ExpireDue),
    ],
    "cancelled": [Case.add, lambda c: c.happens(ev.Cancel, op="cancel")],
    "cancelled while it ran": [Case.run, lambda c: c.happens(ev.Cancel)],
}


def cases(deck: Driver) -> Iterator[tuple[str, Case]]:
    """A fresh task in each situation, by the situation's name."""
    for n, (name, steps) in enumerate(SITUATIONS.items()):
        yield name, bring(deck, f"case{deck.now % 1000}-{n}", steps)


def bring(deck: Driver, task_id: str, steps: list[Callable[[Case], Any]]) -> Case:
    """A new task of that id, brought into a situation."""
    case = Case(deck, task_id, f"owner-{task_id}")
    deck.join(case.owner)
    for step in steps:
        step(case)
    return case
