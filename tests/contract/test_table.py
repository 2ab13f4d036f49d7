"""Every pair of a situation and an event, on a real store, against the table of states and `judge` and `apply`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from storage import verbs as v
from taskqueue.core import events as ev
from taskqueue.core.clock import MINUTE, SECOND
from taskqueue.core.events import Code
from taskqueue.core.states import TRANSITIONS, VERBS, apply, judge
from taskqueue.core.task import TERMINAL, WAITING, Cause, Status, Task
from tests.situations import cases
from tests.stores import Driver, Memory, Sqlite, assert_sound, group

HOT = (ev.Complete, ev.Fail, ev.Release, ev.Snooze, ev.Report)

OWNED: dict[str, Callable[[Task], list[ev.Event]]] = {
    "complete": lambda t: [ev.Complete(result=b'{"r":1}', **_held(t)), ev.Complete(**_held(t))],
    "fail": lambda t: [
        ev.Fail(type="E", message="m", delay=SECOND, **_held(t)),
        ev.Fail(type="E", message="m", cause=Cause.TIMEOUT, **_held(t)),
        ev.Fail(type="E", message="m", cause=Cause.DISCARDED, final=True, **_held(t)),
    ],
    "release": lambda t: [ev.Release(**_held(t))],
    "snooze": lambda t: [ev.Snooze(delay=0, **_held(t)), ev.Snooze(delay=SECOND, **_held(t))],
    "progress": lambda t: [ev.Report(fraction=0.25, note="n", **_held(t))],
}
FREE: dict[str, Callable[[Task], list[ev.Event]]] = {
    "cancel": lambda t: [ev.Cancel(id=t.id, op="op")],
    "retry": lambda t: [ev.Retry(id=t.id, op="op")],
    "replay": lambda t: [ev.Replay(id=t.id, op="op")],
    "delete": lambda t: [ev.Delete(id=t.id, op="op")],
    "update": lambda t: [
        ev.Update(id=t.id, op="op", priority=9, tags=("x",)),
        ev.Update(id=t.id, op="op", run_at=None, expires_at=None),
        ev.Update(id=t.id, op="op", run_at=t.created_at + 60 * MINUTE, expires_at=t.created_at + 90 * MINUTE),
        ev.Update(id=t.id, op="op"),
    ],
}
EVENTS = {**OWNED, **FREE}


def _held(task: Task) -> dict[str, Any]:
    return {"id": task.id, "op": "op", "owner": task.owner or "nobody", "fence": task.fence}


Edges = defaultdict[Status, set[Status]]
"""The edges of the table that were walked: from, to."""


def walked(edges: Edges, before: Task, after: Task | None) -> None:
    edges[before.status] |= {after.status} if after else set()


def test_situations_cover_every_state(deck: Driver) -> None:
    assert {deck.get(case.id).status for _, case in cases(deck)} == set(Status)


@pytest.mark.parametrize("verb", list(EVENTS))
def test_events_from_outside(deck: Driver, verb: str) -> None:
    edges: Edges = defaultdict(set)
    for n, variant in enumerate(EVENTS[verb](deck.add("sample"))):
        deck.clock.advance(1)
        for name, case in cases(deck):
            before = deck.get(case.id)
            event = EVENTS[verb](before)[n]
            code = judge(before, event, deck.now)
            expected = apply(before, event, deck.now) if code is Code.OK else before
            answer = deck.do(event)
            assert answer.code is code, (name, variant)
            assert deck.store.get(case.id) == expected, (name, variant)
            after = expected or before
            assert answer.status is after.status
            assert answer.task == after or (isinstance(event, HOT) and answer.task is None)
            if code is Code.OK:
                assert VERBS[type(event)] == verb
                walked(edges, before, expected)
                repeated(deck, event, expected)
    assert edges == TRANSITIONS[verb]


def repeated(deck: Driver, event: ev.Event, after: Task | None) -> None:
    """The same operation again changes nothing, and says so."""
    answer = deck.do(event)
    assert answer.code is (Code.DUP if after else Code.NOT_FOUND)
    assert answer.status is (after.status if after else None)
    assert deck.store.get(event.id) == after


@pytest.mark.parametrize("verb", list(OWNED))
@pytest.mark.parametrize("wrong", [{"owner": "b"}, {"fence": 1}, {"owner": "b", "fence": 1}])
def test_owner_and_fence_have_to_match(deck: Driver, verb: str, wrong: dict[str, Any]) -> None:
    before = deck.run("a")
    for event in OWNED[verb](before):
        stale = type(event)(**{name: getattr(event, name) for name in event.__struct_fields__} | wrong)
        answer = deck.do(stale)
        assert answer.code is Code.STALE
        assert answer.status is Status.PROCESSING
        assert deck.get() == before


@pytest.mark.parametrize("verb", list(OWNED))
def test_nothing_is_accepted_from_a_fenced_owner(deck: Driver, verb: str) -> None:
    before = deck.run("b")
    deck.fence("b")
    for event in OWNED[verb](before):
        assert deck.do(event).code is Code.STALE
    assert deck.get() == before


@pytest.mark.parametrize("verb", list(EVENTS))
def test_events_of_unknown_tasks(deck: Driver, verb: str) -> None:
    sample = deck.add()
    deck.happens(ev.Cancel)
    deck.happens(ev.Delete)
    for event in EVENTS[verb](sample):
        assert deck.do(event) == v.Answer(Code.NOT_FOUND)


INTERNAL: list[ev.Event] = [
    ev.Taken(id="t1", owner="a", node="a", request=1),
    ev.Crash(id="t1", max_crashes=1),
    ev.Corrupt(id="t1"),
    ev.Promote(id="t1"),
    ev.Expire(id="t1"),
    ev.Prune(id="t1"),
]


@pytest.mark.parametrize("event", INTERNAL, ids=lambda event: VERBS[type(event)])
def test_what_only_a_store_may_cause_is_no_verb(deck: Driver, event: ev.Event) -> None:
    before = deck.add()
    with pytest.raises(TypeError):
        deck.store.execute([ev.Cancel(id="t1"), event])
    assert deck.get() == before


def expected_after(task: Task, events: list[ev.Event], now: int) -> Task | None:
    """The task after those of `events` that may happen to it."""
    after: Task | None = task
    for event in events:
        if after is not None and judge(after, event, now) is Code.OK:
            after = apply(after, event, now)
    return after


def test_claim(deck: Driver) -> None:
    edges: Edges = defaultdict(set)
    for name, case in cases(deck):
        before = deck.get(case.id)
        groups = (group(case.id), group(case.id, solo=True))
        request = 1_000
        claimed = deck.claim(case.owner, *groups, request=request)
        claim = ev.Taken(id=case.id, owner=case.owner, node=case.owner, request=request)
        # A task that is over is given up when a claim meets it; one that is not due is not met.
        met = judge(before, claim, deck.now) is Code.OK
        expire = ev.Expire(id=case.id)
        given_up = met and judge(before, expire, deck.now) is Code.OK
        after = expected_after(before, [expire if given_up else claim], deck.now)
        assert deck.store.get(case.id) == after, name
        taken = (after,) if met and not given_up else ()
        assert claimed.tasks == (((), taken) if before.solo else (taken, ()))
        if taken:
            walked(edges, before, after)
    assert edges == TRANSITIONS["claim"]


def test_crash(deck: Driver) -> None:
    edges: Edges = defaultdict(set)
    for name, case in cases(deck):
        before = deck.get(case.id)
        moved = deck.die(case.owner)
        after = expected_after(before, [ev.Crash(id=case.id, max_crashes=3)], deck.now)
        assert deck.store.get(case.id) == after, name
        assert after is not None
        assert moved.count == (before.status is Status.PROCESSING)
        assert not moved.more
        assert moved.ids == ((case.id,) if moved.count and after.status in TERMINAL else ())
        if moved.count:
            walked(edges, before, after)
    assert edges == TRANSITIONS["crash"]


def test_corrupt(deck: Driver, backend: Memory | Sqlite) -> None:
    edges: Edges = defaultdict(set)
    for name, case in cases(deck):
        backend.corrupt(case.id)
        before = deck.get(case.id)
        claimed = deck.claim(case.owner, group(case.id), group(case.id, solo=True), request=1_000)
        assert claimed.tasks == ((), ())
        if "expired" in name:
            continue  # `test_claim` has those: they are given up for their age
        met = before.status in WAITING and before.due_at <= deck.now
        after = expected_after(before, [ev.Corrupt(id=case.id)] if met else [], deck.now)
        assert deck.store.get(case.id) == after, name
        if met:
            walked(edges, before, after)
    assert edges == TRANSITIONS["corrupt"]


LEADERS: dict[str, tuple[type[v.Led], type[ev.Event], dict[str, Any]]] = {
    "promote": (v.PromoteDue, ev.Promote, {}),
    "expire": (v.ExpireDue, ev.Expire, {}),
    "prune": (v.PruneOld, ev.Prune, {"keep": tuple(v.Keep(status, 10 * MINUTE, 0) for status in TERMINAL)}),
}


@pytest.mark.parametrize("verb", list(LEADERS))
def test_the_leaders_verbs(deck: Driver, verb: str) -> None:
    kind, event, fields = LEADERS[verb]
    edges: Edges = defaultdict(set)
    for name, case in cases(deck):
        before = deck.get(case.id)
        moved = deck.led(kind, **fields)
        code = judge(before, event(id=case.id), deck.now)
        after = expected_after(before, [event(id=case.id)], deck.now)
        assert deck.store.get(case.id) == after, name
        assert not moved.more
        assert (case.id in moved.ids) == (code is Code.OK and verb != "promote")
        if code is Code.OK:
            walked(edges, before, after)
    assert edges == TRANSITIONS[verb]


def test_of_many_ends_only_those_of_present_runs_are_taken(deck: Driver) -> None:
    for name in ("t1", "t2", "t3"):
        deck.add(name)
    deck.join("a")
    [tasks] = deck.claim("a").tasks
    assert deck.happens(ev.Cancel, "t2").code is Code.OK
    ends = [ev.Complete(id=task.id, op=f"o{task.id}", owner="a", fence=task.fence, result=b"1") for task in tasks]
    answers = {end.id: answer for end, answer in zip(ends, deck.store.execute(ends), strict=True)}
    assert {name: answer.code for name, answer in answers.items() if isinstance(answer, v.Answer)} == {
        "t1": Code.OK,
        "t2": Code.STALE,
        "t3": Code.OK,
    }
    assert (deck.get("t2").status, deck.get("t1").status) == (Status.CANCELLED, Status.COMPLETED)
    assert_sound(deck.store)
