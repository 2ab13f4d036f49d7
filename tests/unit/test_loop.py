"""The event loop of all coroutines outlives whatever a coroutine does to it."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest

from actors.loop import LoopRunner
from actors.pool import Raised, Returned
from taskqueue import TaskContext, task
from taskqueue.handlers import TaskFunction
from tests.clients import until
from tests.runners import WITHIN, Bench, ended


@pytest.fixture
def loop(capfd: pytest.CaptureFixture[str]) -> Iterator[Bench]:
    bench = Bench(LoopRunner)
    yield bench
    bench.runner.close()
    assert "handlers-loop" not in {thread.name for thread in threading.enumerate()}
    assert capfd.readouterr().err == ""


@task("fine")
async def fine() -> str:
    return "fine"


def gathers(error: BaseException) -> TaskFunction[Any, Any]:
    """A handler that has a task of its own raise this."""

    async def child() -> NoReturn:
        raise error

    @task("gathers")
    async def gathers() -> None:
        await asyncio.gather(child())

    return gathers


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_what_a_child_task_raises_ends_its_handler_and_not_the_loop(
    loop: Bench, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    go = threading.Event()

    @task("beside")
    async def beside() -> str:
        while not go.is_set():
            await asyncio.sleep(0.001)
        return "undisturbed"

    other = loop.begin(beside)
    ending = loop.ending(gathers(error))
    assert isinstance(ending, Raised)
    assert ending.type == type(error).__name__
    go.set()
    assert ended(other) == Returned(b'"undisturbed"')
    assert loop.ending(fine) == Returned(b'"fine"')
    assert f"{type(error).__name__} in a task that a handler started" in caplog.text


def test_a_handler_that_stops_the_loop_goes_on_itself(loop: Bench, caplog: pytest.LogCaptureFixture) -> None:
    @task("stops")
    async def stops() -> str:
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0.001)
        return "goes on"

    assert loop.ending(stops) == Returned(b'"goes on"')
    assert loop.ending(fine) == Returned(b'"fine"')
    assert "a handler stopped the event loop" in caplog.text


def test_what_ran_on_a_loop_that_was_closed_has_failed_at_once(loop: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """A loop can be closed between its stop and its next turn: a log's handler runs in its thread just then."""
    loops: list[asyncio.AbstractEventLoop] = []

    class Closes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "stopped the event loop" in record.getMessage():
                loops.pop().close()

    @task("stops")
    async def stops() -> None:
        loops.append(asyncio.get_running_loop())
        loops[0].stop()
        await asyncio.Event().wait()

    closes = Closes()
    logging.getLogger().addHandler(closes)
    try:
        ending = loop.ending(stops)
    finally:
        logging.getLogger().removeHandler(closes)
    assert ending == Raised("EventLoopClosed", "the event loop that it ran on was closed")
    assert loop.ending(fine) == Returned(b'"fine"')
    assert "another begins" in caplog.text


def test_a_loop_whose_descriptors_a_handler_closed_is_replaced(loop: Bench) -> None:
    @task("breaks")
    async def breaks() -> None:
        os.close(asyncio.get_running_loop()._selector.fileno())  # type: ignore[attr-defined]  # as a careless closerange does
        await asyncio.Event().wait()

    assert loop.ending(breaks) == Raised("EventLoopClosed", "the event loop that it ran on was closed")
    assert loop.ending(fine) == Returned(b'"fine"')


def test_who_is_cancelled_by_another_handler_before_it_began_has_an_ending(loop: Bench) -> None:
    holds, freed = threading.Event(), threading.Event()

    @task("cancels")
    async def cancels() -> str:
        holds.set()
        freed.wait(WITHIN)
        await asyncio.sleep(0)  # the others are tasks now, and did not take a step
        for other in asyncio.all_tasks() - {asyncio.current_task()}:
            other.cancel()
        return "done"

    first = loop.begin(cancels)
    assert holds.wait(WITHIN)
    rest = [loop.begin(fine) for _ in range(3)]
    freed.set()
    assert ended(first) == Returned(b'"done"')
    for run in rest:
        assert ended(run) == Raised("CancelledError", "the handler's coroutine was cancelled")


def test_handlers_that_stop_the_loop_and_cancel_everybody_do_not_hold_up_the_end(loop: Bench) -> None:
    """The fixture sees that the thread has ended, and that nothing was said on stderr."""
    words: list[str] = []

    @task("resists")
    async def resists(ctx: TaskContext) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            asyncio.get_running_loop().stop()
            for other in asyncio.all_tasks():
                other.cancel()
            try:
                await asyncio.sleep(0.01)
            finally:
                words.append(ctx.task_id)

    runs = [loop.begin(resists) for _ in range(2)]
    until(lambda: all(run.interrupt for run in runs), WITHIN, "both run")
    loop.runner.close()
    assert sorted(words) == sorted(run.task.id for run in runs)
