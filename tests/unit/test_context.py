"""What a handler is given and what it may raise."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from taskqueue import Discard, Retry, Snooze, TaskContext
from taskqueue.context import TimedOut
from taskqueue.core.clock import MILLISECOND, MINUTE, SECOND

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


def context(reports: list[tuple[float, str]], cancel: threading.Event | None = None) -> TaskContext:
    return TaskContext(
        task_id="t1",
        fence=7,
        attempt=2,
        generation=1,
        deadline=NOON,
        report=lambda fraction, note: reports.append((fraction, note)),
        cancel=cancel or threading.Event(),
    )


def test_it_says_which_attempt_of_which_task_this_is() -> None:
    ctx = context([])
    assert (ctx.task_id, ctx.fence, ctx.attempt, ctx.generation, ctx.deadline) == ("t1", 7, 2, 1, NOON)


def test_cancelled_is_read_from_the_flag_each_time() -> None:
    cancel = threading.Event()
    ctx = context([], cancel)
    assert not ctx.cancelled
    cancel.set()
    assert ctx.cancelled


def test_progress_is_reported() -> None:
    reports: list[tuple[float, str]] = []
    ctx = context(reports)
    ctx.progress(0)
    ctx.progress(0.5, "half way")
    ctx.progress(1)
    assert reports == [(0.0, ""), (0.5, "half way"), (1.0, "")]


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan"), float("inf"), True, "0.5", None])
def test_progress_is_a_fraction(fraction: Any) -> None:
    reports: list[tuple[float, str]] = []
    with pytest.raises(ValueError, match="from 0 to 1"):
        context(reports).progress(fraction)
    assert reports == []


def test_a_note_is_a_text() -> None:
    with pytest.raises(ValueError, match="a text as note"):
        context([]).progress(0.5, 5)  # type: ignore[arg-type]


def test_its_log_carries_the_tasks_id_also_from_other_threads(caplog: pytest.LogCaptureFixture) -> None:
    ctx = context([])
    with caplog.at_level(logging.INFO):
        thread = threading.Thread(target=lambda: ctx.log.info("hello %s", "you", extra={"size": 3}))
        thread.start()
        thread.join(10)
    (record,) = caplog.records
    assert (record.getMessage(), vars(record)["task"], vars(record)["size"]) == ("hello you", "t1", 3)


@pytest.mark.parametrize(
    ("span", "micros"),
    [(2, 2 * SECOND), (0.25, 250 * MILLISECOND), ("5m", 5 * MINUTE), (timedelta(minutes=1), MINUTE), (0, 0)],
)
def test_delays_may_be_given_in_several_ways(span: Any, micros: int) -> None:
    assert Snooze(span).delay == micros
    assert Retry("later", delay=span).delay == micros


@pytest.mark.parametrize(
    "span", ["soon", -1, float("nan"), float("inf"), timedelta(seconds=-1), timedelta(days=4000), True, [], None]
)
def test_a_wrong_delay_is_refused_where_it_is_said(span: Any) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        Snooze(span)
    if span is not None:
        with pytest.raises(ValueError, match="expected a duration"):
            Retry(delay=span)


def test_messages_are_optional() -> None:
    assert (str(Retry()), Retry().delay, str(Retry("why")), str(Discard()), str(Discard("why"))) == (
        ("", None, "why", "", "why")
    )


def test_a_time_out_passes_a_handlers_except_exception() -> None:
    def handler() -> None:
        try:
            raise TimedOut
        except Exception:
            return

    with pytest.raises(TimedOut):
        handler()
