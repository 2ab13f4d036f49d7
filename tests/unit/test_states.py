"""The table of states: what `judge` allows, and what it answers where it does not."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from taskqueue.core import events as ev
from taskqueue.core.clock import MINUTE
from taskqueue.core.events import Code
from taskqueue.core.states import TRANSITIONS, VERBS, apply, judge
from taskqueue.core.task import TERMINAL, Status, born
from tests.factories import draft
from tests.tasks import BY_STATUS, FAILURE, NEW, RUNNING, T0, T1, changed, happen, held, take


def test_the_table_and_the_events_are_about_the_same_verbs() -> None:
    assert set(VERBS.values()) == set(TRANSITIONS)
    assert len(set(VERBS.values())) == len(VERBS)
    assert set(VERBS) == _leaves(ev.Event) - {ev.Owned}


def _leaves(kind: type[ev.Event]) -> set[type[ev.Event]]:
    return set(kind.__subclasses__()).union(*(_leaves(sub) for sub in kind.__subclasses__()))


def test_who_is_finished_comes_back_by_replay_alone() -> None:
    leads_out = {verb for verb, edges in TRANSITIONS.items() for old, new in edges.items() if old in TERMINAL and new}
    assert leads_out == {"replay"}
    assert Status.COMPLETED not in TRANSITIONS["replay"]


FREE: list[ev.Event] = [
    ev.Taken(id="t1", owner="b-1", node="b", request=1),
    ev.Crash(id="t1", max_crashes=3),
    ev.Corrupt(id="t1"),
    ev.Cancel(id="t1"),
    ev.Retry(id="t1"),
    ev.Replay(id="t1"),
    ev.Update(id="t1", priority=1),
    ev.Delete(id="t1"),
    ev.Prune(id="t1"),
]


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("event", FREE, ids=lambda event: VERBS[type(event)])
def test_what_the_table_does_not_list_is_refused(status: Status, event: ev.Event) -> None:
    task, now = BY_STATUS[status], T1 + MINUTE
    edges = TRANSITIONS[VERBS[type(event)]]
    assert judge(task, event, now) is (Code.OK if status in edges else Code.REFUSED)
    if status in edges:
        after = apply(task, event, now)
        assert (after.status in edges[status]) if after else edges[status] == frozenset()


@pytest.mark.parametrize("kind", [ev.Complete, ev.Fail, ev.Release, ev.Snooze, ev.Report])
@pytest.mark.parametrize("status", list(Status))
def test_only_the_present_owner_ends_a_run(kind: type[ev.Owned], status: Status) -> None:
    more: dict[Any, dict[str, Any]] = {ev.Fail: FAILURE, ev.Snooze: {"delay": 0}, ev.Report: {"fraction": 0.5}}
    task, said = BY_STATUS[status], {"id": "t1", "owner": "a-1", "fence": RUNNING.fence, **more.get(kind, {})}
    assert judge(task, kind(**said), T1) is (Code.OK if status is Status.PROCESSING else Code.STALE)
    for wrong in ({"owner": "a-2"}, {"fence": RUNNING.fence - 1}, {"fence": RUNNING.fence + 1}):
        assert judge(task, kind(**{**said, **wrong}), T1) is Code.STALE


def test_a_repeated_operation_is_known_in_any_state() -> None:
    for task in BY_STATUS.values():
        assert judge(replace(task, op="one"), ev.Cancel(id="t1", op="one"), T1) is Code.DUP
        assert judge(replace(task, op="one"), ev.Release(**held(RUNNING), op="one"), T1) is Code.DUP
        assert judge(replace(task, op="one"), ev.Cancel(id="t1", op="two"), T1) is not Code.DUP
        assert judge(replace(task, op=""), ev.Cancel(id="t1", op=""), T1) is not Code.DUP


def test_an_operation_is_remembered_until_the_next() -> None:
    one = happen(NEW, ev.Update(id="t1", op="one"))
    assert changed(NEW, one) == {"op": "one"}
    assert happen(one, ev.Update(id="t1", op="")).op == "one"
    assert take(one).op == "one"
    assert happen(one, ev.Cancel(id="t1", op="two")).op == "two"


@pytest.mark.parametrize(("now", "code"), [(T1 - 1, Code.REFUSED), (T1, Code.OK), (T1 + 1, Code.OK)])
def test_time_decides(now: int, code: Code) -> None:
    delayed = born(draft(run_at=T1), T0)
    assert judge(delayed, ev.Taken(id="t1", owner="a", node="a", request=1), now) is code
    assert judge(delayed, ev.Promote(id="t1"), now) is code
    assert judge(born(draft(expires_at=T1), T0), ev.Expire(id="t1"), now) is code
    assert judge(NEW, ev.Promote(id="t1"), now) is Code.REFUSED  # waits for nothing
    assert judge(NEW, ev.Expire(id="t1"), now) is Code.REFUSED  # never expires
