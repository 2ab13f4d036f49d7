"""What each event changes in a task, field by field: `apply`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from taskqueue.core import events as ev
from taskqueue.core.clock import MINUTE, SECOND
from taskqueue.core.events import Code
from taskqueue.core.states import apply, judge
from taskqueue.core.task import HISTORY_LENGTH, Attempt, Cause, Outcome, Progress, Status, Task, TaskError, born
from tests.factories import draft
from tests.tasks import CANCELLED, DEAD, DONE, FAILED, FAILURE, NEW, RUNNING, SOLO, T0, T1, changed, happen, held, take


def entry(outcome: Outcome, error: TaskError | None = None, **changes: Any) -> tuple[Attempt, ...]:
    return (replace(Attempt(1, 1, "a", T0, T1, outcome, error), **changes),)


def test_claim() -> None:
    before = replace(NEW, status=Status.FAILED, delayed=True, progress=Progress(0.5, "half", T0), attempt=4, fence=9)
    after = happen(before, ev.Taken(id="t1", owner="b-1", node="b", request=7), T1)
    assert changed(before, after) == {
        "status": Status.PROCESSING,
        "delayed": False,
        "owner": "b-1",
        "node": "b",
        "request": 7,
        "fence": T1,
        "attempt": 5,
        "started_at": T1,
        "progress": None,
    }


@given(st.integers(0, 2**53), st.integers(0, 2**53))
def test_fences_only_grow(fence: int, now: int) -> None:
    after = take(replace(NEW, fence=fence, due_at=0), now).fence
    assert after > fence
    assert after >= now


def test_complete() -> None:
    before = replace(RUNNING, solo=True, crashes=2, error=TaskError("E", "m", Cause.ERROR))
    after = happen(before, ev.Complete(**held(before), result=b'"r"'))
    assert changed(before, after) == {
        "status": Status.COMPLETED,
        "owner": None,
        "history": entry(Outcome.COMPLETED),
        "finished_at": T1,
        "result": b'"r"',
        "error": None,
        "solo": False,
    }
    unkept = replace(before, keep_result=False)
    assert happen(unkept, ev.Complete(**held(before), result=b"1")).result is None


@pytest.mark.parametrize(
    ("cause", "outcome"),
    [(Cause.ERROR, Outcome.FAILED), (Cause.TIMEOUT, Outcome.TIMEOUT), (Cause.DISCARDED, Outcome.FAILED)],
)
def test_fail(cause: Cause, outcome: Outcome) -> None:
    after = happen(RUNNING, ev.Fail(**held(RUNNING), **FAILURE, cause=cause, delay=SECOND))
    error = TaskError("ValueError", "no", cause)
    ended = {"owner": None, "history": entry(outcome, error), "error": error}
    assert changed(RUNNING, after) == {
        **ended,
        "status": Status.FAILED,
        "retries_left": 2,
        "due_at": T1 + SECOND,
        "delayed": True,
    }
    for before, final in ((RUNNING, True), (replace(RUNNING, retries_left=0), False)):
        after = happen(before, ev.Fail(**held(before), **FAILURE, cause=cause, delay=SECOND, final=final))
        assert changed(before, after) == {**ended, "status": Status.DEAD_LETTERED, "finished_at": T1}


@pytest.mark.parametrize(
    ("crashes", "most", "solo"),
    [(0, 3, False), (1, 3, True), (0, 2, True), (0, 1, True), (0, 0, True), (998, 1000, True), (997, 1000, False)],
)
def test_a_crash_makes_a_suspect(crashes: int, most: int, solo: bool) -> None:
    before = replace(RUNNING, crashes=crashes)
    after = happen(before, ev.Crash(id="t1", max_crashes=most))
    error = TaskError("NodeDied", "node a died while it held this task", Cause.CRASH)
    assert changed(before, after) == {
        "owner": None,
        "history": entry(Outcome.CRASHED, error),
        "crashes": crashes + 1,
        "error": error,
        "status": Status.PENDING,
        **({"solo": True} if solo else {}),
    }


@pytest.mark.parametrize("most", [1, 3, 1000])
def test_a_crash_while_solo_convicts(most: int) -> None:
    before = take(SOLO)
    after = happen(before, ev.Crash(id="t1", max_crashes=most))
    assert (after.status, after.finished_at, after.owner) == (Status.DEAD_LETTERED, T1, None)
    assert after.error is not None
    assert after.error.cause is Cause.CRASH


def test_release() -> None:
    assert changed(RUNNING, happen(RUNNING, ev.Release(**held(RUNNING)))) == {
        "owner": None,
        "history": entry(Outcome.RELEASED),
        "status": Status.PENDING,
        "attempt": 0,
    }
    assert happen(take(SOLO), ev.Release(**held(take(SOLO)))).solo


@pytest.mark.parametrize("clock_set_back", [False, True])
@pytest.mark.parametrize("kind", ["release", "crash"])
def test_what_comes_back_keeps_its_due_time_unless_that_is_to_come_again(kind: str, clock_set_back: bool) -> None:
    before = replace(RUNNING, due_at=T1 + SECOND if clock_set_back else T0 - SECOND)
    event = ev.Release(**held(before)) if kind == "release" else ev.Crash(id="t1", max_crashes=3)
    assert happen(before, event).due_at == (T1 if clock_set_back else T0 - SECOND)


@pytest.mark.parametrize("delay", [0, SECOND])
def test_snooze(delay: int) -> None:
    before = replace(RUNNING, solo=True, crashes=2)
    assert changed(before, happen(before, ev.Snooze(**held(before), delay=delay))) == {
        "owner": None,
        "history": entry(Outcome.SNOOZED),
        "status": Status.PENDING,
        "attempt": 0,
        "due_at": T1 + delay,
        "eligible_at": T1 + delay,
        "crashes": 0,
        "solo": False,
        **({"delayed": True} if delay else {}),
    }


def test_progress() -> None:
    after = happen(RUNNING, ev.Report(**held(RUNNING), fraction=0.25, note="some"))
    assert changed(RUNNING, after) == {"progress": Progress(0.25, "some", T1)}


@pytest.mark.parametrize(
    ("event", "cause"), [(ev.Corrupt(id="t1"), Cause.CORRUPT), (ev.Expire(id="t1"), Cause.EXPIRED)]
)
@pytest.mark.parametrize("before", [NEW, SOLO, FAILED, born(draft(delay=MINUTE), T0)])
def test_given_up(before: Task, event: ev.Event, cause: Cause) -> None:
    before = replace(before, expires_at=T1)
    after = happen(before, event)
    assert after.error is not None
    assert after.error.cause is cause
    assert replace(after, error=before.error) == replace(
        before, status=Status.DEAD_LETTERED, delayed=False, finished_at=T1
    )


def test_promote_and_retry() -> None:
    later = FAILED.due_at + MINUTE
    assert changed(FAILED, happen(FAILED, ev.Promote(id="t1"), later)) == {"status": Status.PENDING, "delayed": False}
    assert changed(FAILED, happen(FAILED, ev.Retry(id="t1"), T1 + 1)) == {
        "status": Status.PENDING,
        "delayed": False,
        "due_at": T1 + 1,
    }
    assert FAILED.eligible_at == T0  # a retry keeps its rank


WAITS = replace(NEW, due_at=T1 + MINUTE, eligible_at=T1 + MINUTE, delayed=True)


@pytest.mark.parametrize(
    ("before", "said", "expected"),
    [
        (NEW, {}, {}),
        (NEW, {"priority": 9, "tags": ("x",), "expires_at": 5}, {"priority": 9, "tags": ("x",), "expires_at": 5}),
        (replace(NEW, expires_at=5), {"expires_at": None}, {"expires_at": None}),
        (NEW, {"run_at": None}, {}),  # who may run already keeps its place in line
        (NEW, {"run_at": 0}, {}),
        (WAITS, {"run_at": None}, {"due_at": T1, "eligible_at": T1, "delayed": False}),
        (WAITS, {"run_at": 0}, {"due_at": T1, "eligible_at": T1, "delayed": False}),
        (NEW, {"run_at": T1 + 9}, {"due_at": T1 + 9, "eligible_at": T1 + 9, "delayed": True}),
        (replace(NEW, delayed=True), {"run_at": None}, {}),  # due, and not promoted yet
        (
            replace(WAITS, created_at=T1 + 5),
            {"run_at": None},
            {"due_at": T1, "eligible_at": T1 + 5, "delayed": False},
        ),
        (FAILED, {"run_at": T1 + 9}, {"due_at": T1 + 9}),
        (FAILED, {"run_at": None, "priority": 0}, {"due_at": T1, "priority": 0}),
    ],
)
def test_update(before: Task, said: dict[str, Any], expected: dict[str, Any]) -> None:
    assert changed(before, happen(before, ev.Update(id="t1", **said))) == expected


def test_cancel() -> None:
    ended = {"status": Status.CANCELLED, "finished_at": T1}
    assert changed(NEW, CANCELLED) == ended
    assert changed(FAILED, happen(FAILED, ev.Cancel(id="t1"))) == {**ended, "delayed": False}
    assert changed(RUNNING, happen(RUNNING, ev.Cancel(id="t1"))) == {
        **ended,
        "owner": None,
        "attempt": 0,
        "history": entry(Outcome.CANCELLED),
    }


@pytest.mark.parametrize(("expires_at", "kept"), [(None, None), (T1, None), (T1 + 1, T1 + 1)])
def test_replay_starts_anew(expires_at: int | None, kept: int | None) -> None:
    before = replace(DEAD, expires_at=expires_at, crashes=3, solo=True, retries_left=0, progress=Progress(1.0, "", T0))
    after = happen(before, ev.Replay(id="t1"), T1)
    assert after == replace(
        before,
        status=Status.PENDING,
        generation=2,
        attempt=0,
        retries_left=3,
        crashes=0,
        solo=False,
        eligible_at=T1,
        due_at=T1,
        expires_at=kept,
        started_at=None,
        finished_at=None,
        progress=None,
        result=None,
        error=None,
    )
    assert after.history == DEAD.history
    assert take(after, T1 + 1).fence > DEAD.fence


@pytest.mark.parametrize("event", [ev.Delete(id="t1", op="one"), ev.Prune(id="t1")])
def test_delete_and_prune_leave_nothing(event: ev.Event) -> None:
    for task in (DONE, DEAD, CANCELLED):
        assert judge(task, event, T1) is Code.OK
        assert apply(task, event, T1) is None


def test_the_history_keeps_the_last_attempts() -> None:
    task = NEW
    for n in range(HISTORY_LENGTH + 5):
        task = take(task, T0 + n)
        task = happen(task, ev.Fail(**held(task), **FAILURE, delay=0), T0 + n)
        task = replace(task, retries_left=1)
    assert [attempt.attempt for attempt in task.history] == list(range(6, HISTORY_LENGTH + 6))
