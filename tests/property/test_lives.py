"""What is true of a task after any row of events that are allowed."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from taskqueue.core import events as ev
from taskqueue.core.events import Code
from taskqueue.core.states import TRANSITIONS, VERBS, apply, judge
from taskqueue.core.task import TERMINAL, WAITING, Draft, Status, born
from tests.factories import draft
from tests.tasks import FAILURE, held

EVENTS = st.one_of(
    st.builds(ev.Taken, id=st.just("t1"), owner=st.sampled_from("ab"), node=st.just("n"), request=st.integers(1, 9)),
    st.builds(ev.Crash, id=st.just("t1"), max_crashes=st.integers(0, 4)),
    *(st.builds(kind, id=st.just("t1")) for kind in (ev.Corrupt, ev.Promote, ev.Expire)),
    *(st.builds(kind, id=st.just("t1")) for kind in (ev.Cancel, ev.Retry, ev.Replay)),
    st.builds(
        ev.Update,
        id=st.just("t1"),
        run_at=st.one_of(st.none(), st.integers(0, 50)),
        expires_at=st.one_of(st.none(), st.integers(0, 50)),
    ),
)
ENDS: list[tuple[type[ev.Owned], dict[str, Any]]] = [
    (ev.Complete, {"result": b"1"}),
    (ev.Fail, {**FAILURE, "delay": 3}),
    (ev.Fail, {**FAILURE, "final": True}),
    (ev.Release, {}),
    (ev.Snooze, {"delay": 2}),
    (ev.Report, {"fraction": 0.5}),
]


@given(
    st.builds(draft, delay=st.integers(0, 3), retries=st.integers(0, 2)),
    st.lists(st.tuples(st.one_of(EVENTS, st.sampled_from(ENDS)), st.integers(0, 5)), max_size=60),
)
def test_every_life_is_sound(one: Draft, life: list[tuple[Any, int]]) -> None:
    now = 10
    task = born(one, now)
    for said, span in life:
        now += span
        if isinstance(said, ev.Event):
            event = said
        else:
            kind, fields = said
            event = kind(**{**held(task), "owner": task.owner or "nobody", **fields})
        if judge(task, event, now) is not Code.OK:
            continue
        after = apply(task, event, now)
        assert after is not None
        assert after.status in TRANSITIONS[VERBS[type(event)]][task.status]
        assert (after.owner is not None) == (after.status is Status.PROCESSING)
        assert (after.finished_at is not None) == (after.status in TERMINAL)
        assert not after.delayed or after.status in WAITING
        assert after.delayed or after.status is not Status.FAILED
        assert 0 <= after.retries_left <= after.retries
        assert after.attempt >= 0
        assert after.fence >= task.fence
        assert after.fence > task.fence or not isinstance(event, ev.Taken)
        assert after.generation == task.generation + isinstance(event, ev.Replay)
        assert (after.due_at <= now) or after.delayed or after.status not in WAITING
        task = after
