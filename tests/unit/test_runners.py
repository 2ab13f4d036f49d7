"""Runners: whatever a handler does becomes one ending of its run, and nothing of it gets out."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import pytest

from actors.loop import LoopRunner
from actors.messages import OutcomesReady
from actors.pool import Ending, Raised, Returned, Snoozed, Unfinished
from actors.runners import MESSAGE_LIMIT, ThreadRunner
from taskqueue import Discard, Retry, Snooze, TaskContext, task
from taskqueue.core.clock import MINUTE, SECOND
from taskqueue.core.task import Cause
from taskqueue.handlers import TaskFunction
from taskqueue.logs import current_task
from tests.postoffice import handlers_of, run_of
from tests.runners import LARGEST, Bench, ended


@pytest.fixture(params=[ThreadRunner, LoopRunner])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Both kinds of runners."""
    bench = Bench(request.param)
    yield bench
    bench.runner.close()


def handler_of(bench: Bench, body: Callable[[], Any]) -> TaskFunction[Any, Any]:
    """A handler that does this, as the runner likes it."""
    if isinstance(bench.runner, ThreadRunner):
        return task("body")(lambda: body())  # noqa: PLW0108 - a handler is a plain function; `body` may be `object`

    async def coroutine() -> Any:
        return body()

    return task("body")(coroutine)


def throws(error: BaseException) -> Callable[[], None]:
    def body() -> None:
        raise error

    return body


# -- what comes back ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "ending"),
    [
        (None, Returned(b"null")),
        ({"a": [1, "ü"]}, Returned('{"a":[1,"ü"]}'.encode())),
        ("x" * (LARGEST - 2), Returned(b'"' + b"x" * (LARGEST - 2) + b'"')),
        (timedelta(seconds=1), Returned(b'"PT1S"')),
    ],
)
def test_a_result_is_stored_as_json(bench: Bench, value: object, ending: Ending) -> None:
    assert bench.ending(handler_of(bench, lambda: value)) == ending


def test_a_result_that_is_not_kept_is_not_even_looked_at(bench: Bench) -> None:
    assert bench.ending(handler_of(bench, object), keep_result=False) == Returned(None)


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("value", [object(), {("a",): 1}, "half a character: \ud800", nested(100_000), {1, object()}])
def test_a_result_that_is_no_json_fails_the_attempt(bench: Bench, value: object) -> None:
    ending = bench.ending(handler_of(bench, lambda: value))
    assert isinstance(ending, Raised)
    assert (ending.type, ending.cause, ending.final) == ("ResultNotJson", Cause.ERROR, False)


class Nowhere(tzinfo):
    """A time zone that ends the interpreter, if it is let."""

    def utcoffset(self, moment: datetime | None, /) -> timedelta | None:
        raise SystemExit(1)


def test_a_result_whose_own_code_fails_while_it_is_written_fails_the_attempt(bench: Bench) -> None:
    ending = bench.ending(handler_of(bench, lambda: datetime(2026, 1, 1, tzinfo=Nowhere())))
    assert ending == Raised("SystemExit", "1")


def test_a_result_too_large_fails_the_attempt_and_says_by_how_much(bench: Bench) -> None:
    ending = bench.ending(handler_of(bench, lambda: "x" * LARGEST))
    assert isinstance(ending, Raised)
    assert ending.type == "ResultTooLarge"
    assert f"{LARGEST + 2}" in ending.message
    assert f"{LARGEST}" in ending.message


@pytest.mark.parametrize("value", [math.nan, math.inf, [-math.inf]])
def test_numbers_that_json_does_not_have_become_null(bench: Bench, value: object) -> None:
    ending = bench.ending(handler_of(bench, lambda: value))
    assert ending in (Returned(b"null"), Returned(b"[null]"))


# -- what it may raise -------------------------------------------------------------------------------------------------


class Silent(Exception):
    """Its text cannot be made."""

    def __str__(self) -> str:
        raise ValueError("no text")


class Treacherous(Exception):
    """Its text ends the interpreter, if it is let."""

    def __str__(self) -> str:
        raise SystemExit(1)


class Own(Snooze):
    """A subclass that forgot its base."""

    def __init__(self) -> None:
        Exception.__init__(self, "mine")


class Strange(BaseException):
    """Not even an Exception."""


@pytest.mark.parametrize(
    ("error", "ending"),
    [
        (ValueError("no"), Raised("ValueError", "no")),
        (KeyError("k"), Raised("KeyError", "'k'")),
        (AssertionError(), Raised("AssertionError", "")),
        (Strange("odd"), Raised("Strange", "odd")),
        (SystemExit(3), Raised("SystemExit", "3")),
        (KeyboardInterrupt(), Raised("KeyboardInterrupt", "")),
        (GeneratorExit(), Raised("GeneratorExit", "")),
        (Silent(), Raised("Silent", "<its text could not be made>")),
        (Treacherous(), Raised("Treacherous", "<its text could not be made>")),
        (ValueError("\ud800"), Raised("ValueError", "\\ud800")),
        (ValueError("x" * (MESSAGE_LIMIT + 1)), Raised("ValueError", "x" * MESSAGE_LIMIT)),
        (Retry("later"), Raised("Retry", "later")),
        (Retry(delay="5s"), Raised("Retry", "", delay=5 * SECOND)),
        (Retry(delay=0), Raised("Retry", "", delay=0)),
        (Discard("not wanted"), Raised("Discard", "not wanted", Cause.DISCARDED, final=True)),
        (Snooze("1m"), Snoozed(MINUTE)),
        (Snooze(0), Snoozed(0)),
        (Own(), Raised("Own", "the exception cannot be read: 'Own' object has no attribute 'delay'")),
    ],
    ids=repr,
)
def test_whatever_it_raises_is_one_ending(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: BaseException, ending: Ending
) -> None:
    # pytest keeps what is logged, and cannot send half a surrogate pair to the process that reports
    monkeypatch.setattr(logging.getLogger("taskqueue.handlers"), "disabled", True)
    assert bench.ending(handler_of(bench, throws(error))) == ending
    assert bench.ending(handler_of(bench, lambda: 1)) == Returned(b"1")  # the runner is as before


def test_the_end_of_an_iteration_is_a_failure_like_any_other(bench: Bench) -> None:
    ending = bench.ending(handler_of(bench, lambda: next(iter(()))))
    assert isinstance(ending, Raised)
    assert ending.type in ("StopIteration", "RuntimeError")  # what Python itself makes of it in a coroutine


def test_a_recursion_without_end_is_a_failure(bench: Bench) -> None:
    def deeper() -> Any:
        return deeper()

    ending = bench.ending(handler_of(bench, deeper))
    assert isinstance(ending, Raised)
    assert ending.type == "RecursionError"


def test_a_payload_that_the_handler_does_not_take_is_not_tried_again(bench: Bench) -> None:
    ending = bench.ending(handler_of(bench, lambda: 1), b'{"a":1}')
    assert ending == Raised("InvalidPayload", "$.payload.a: unknown field", final=True)


def test_a_failure_is_logged_with_its_task_and_its_lines(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    run = bench.begin(handler_of(bench, throws(ValueError("no"))))
    ended(run)
    [record] = [record for record in caplog.records if record.name == "taskqueue.handlers"]
    assert record.getMessage() == f"task {run.task.id}: body failed: ValueError: no"
    assert record.exc_info is not None


# -- what it is given --------------------------------------------------------------------------------------------------


def test_a_handler_sees_its_task_and_says_how_far_it_is() -> None:
    bench = Bench()
    seen: list[Any] = []

    @task("sees")
    def sees(a: int, *, ctx: TaskContext) -> None:
        seen.extend([a, ctx.task_id, ctx.fence, ctx.attempt, ctx.generation, ctx.cancelled, current_task.get()])
        seen.append(ctx.deadline)
        ctx.progress(0.25, "file \udcff.txt")

    slack = timedelta(milliseconds=1)  # two ways to read one clock
    before = datetime.now(UTC) - slack
    assert bench.ending(sees, b'{"a":5}', timeout=MINUTE) == Returned(b"null")
    assert seen[:-1] == [5, "t0", 7, 1, 1, False, "t0"]
    assert before <= seen[-1] - timedelta(minutes=1) <= datetime.now(UTC) + slack
    assert current_task.get() is None


def test_what_it_says_of_itself_can_be_stored() -> None:
    """Names of files may hold halves of characters; no store takes those."""
    bench = Bench()
    notes: list[tuple[float, str] | None] = []

    @task("says")
    def says(ctx: TaskContext) -> None:
        ctx.progress(0.25, "file \udcff.txt" + "x" * MESSAGE_LIMIT)
        notes.extend(run.note for run in bench.pool.notes())

    bench.ending(says)
    [note] = notes
    assert note is not None
    assert note[1].startswith("file \\udcff.txtx")
    assert len(note[1]) <= MESSAGE_LIMIT + len("\\udcff")


def test_a_run_that_ended_before_it_began_is_not_run(bench: Bench) -> None:
    ran: list[int] = []
    function = handler_of(bench, lambda: ran.append(1))
    run = run_of("gone", handlers_of(function), handler="body", payload=b"{}")
    bench.pool.add(run)
    bench.pool.end(run, Unfinished())
    bench.runner.run(run, "worker-1")
    assert bench.ending(function) == Returned(b"null")
    assert ran == [1]
    assert run.ending == Unfinished()


def test_the_queue_is_told_of_an_ending(bench: Bench) -> None:
    run = bench.begin(handler_of(bench, lambda: 1))
    ended(run)
    bench.queue.one(OutcomesReady)
    assert bench.pool.endings() == [run]
