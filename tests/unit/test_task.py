"""The record of a task: its birth, its rank, its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from taskqueue.core.clock import SECOND
from taskqueue.core.task import PRIORITIES, Place, Status, Task, born, place, rank
from tests.factories import draft
from tests.tasks import CANCELLED, DEAD, DONE, FAILED, NEW, RUNNING, SOLO, T0, T1


def test_a_task_is_what_its_draft_says() -> None:
    one = draft(tags=("x",), key="k", schedule="s", keep_result=False, retries=7, expires_at=T1)
    task = born(one, T0)
    same = set(one.__struct_fields__) - {"delay", "run_at"}
    assert {name: getattr(task, name) for name in same} == {name: getattr(one, name) for name in same}
    assert (task.created_at, task.eligible_at, task.due_at, task.delayed) == (T0, T0, T0, False)
    assert (task.status, task.retries_left, task.generation) == (Status.PENDING, 7, 1)
    assert (task.attempt, task.crashes, task.fence, task.owner, task.history) == (0, 0, 0, None, ())


@pytest.mark.parametrize(
    ("wish", "due"),
    [({}, T0), ({"delay": SECOND}, T0 + SECOND), ({"run_at": T1}, T1), ({"run_at": T0}, T0), ({"run_at": 5}, T0)],
)
def test_a_wished_start_is_never_before_birth(wish: dict[str, int], due: int) -> None:
    task = born(draft(**wish), T0)
    assert (task.due_at, task.eligible_at, task.delayed) == (due, due, due > T0)


def test_named_priorities() -> None:
    assert PRIORITIES == {"low": 1, "normal": 4, "high": 7, "critical": 9}


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 10**17), st.integers(0, 10**12), st.integers(0, 10**10))
def test_a_level_is_worth_its_head_start_and_no_more(low: int, high: int, at: int, waited: int, aging: int) -> None:
    first, second = rank(low, at, aging), rank(high, at + waited, aging)
    assert (second < first) == ((high - low) * aging > waited)
    assert (second == first) == ((high - low) * aging == waited)


@pytest.mark.parametrize(
    ("task", "where"),
    [
        (NEW, Place.READY),
        (born(draft(delay=1), T0), Place.DELAYED),
        (SOLO, Place.SOLO),
        (replace(SOLO, delayed=True), Place.DELAYED),
        (FAILED, Place.DELAYED),
        (RUNNING, Place.RUNNING),
        (replace(RUNNING, solo=True), Place.RUNNING),
        (DONE, Place.COMPLETED),
        (DEAD, Place.DEAD),
        (CANCELLED, Place.CANCELLED),
    ],
)
def test_place(task: Task, where: Place) -> None:
    assert place(task) is where
