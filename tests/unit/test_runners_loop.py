"""Coroutines: many at the same time, cancelled at their time-out; and the loop that ends with its runner."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from queue import Empty, SimpleQueue

import pytest

from actors.channel import Channel
from actors.loop import LoopRunner
from actors.pool import Ending, Raised, Returned, Run, Unfinished
from taskqueue import TaskContext, task
from taskqueue.core.clock import MILLISECOND
from taskqueue.logs import current_task
from tests.clients import until
from tests.runners import WITHIN, Bench, ended, is_timeout, watched, watcher


@pytest.fixture
def loop() -> Iterator[Bench]:
    bench = Bench(LoopRunner)
    yield bench
    bench.runner.close()


def test_two_hundred_coroutines_run_at_the_same_time(loop: Bench) -> None:
    arrived: list[str | None] = []
    gate: SimpleQueue[asyncio.Event] = SimpleQueue()

    @task("meets")
    async def meets(ctx: TaskContext) -> int:
        arrived.append(current_task.get())
        mine = asyncio.Event()
        gate.put(mine)
        if len(arrived) == 200:  # the last one lets all go
            while True:
                try:
                    gate.get_nowait().set()
                except Empty:
                    break
        await mine.wait()
        assert current_task.get() == ctx.task_id
        return len(arrived)

    runs = [loop.begin(meets) for _ in range(200)]
    assert {ended(run) for run in runs} == {Returned(b"200")}
    assert sorted(filter(None, arrived)) == sorted(run.task.id for run in runs)


def watch(bench: Bench, run: Run) -> Ending:
    """Watch over deadlines until the run has ended."""
    bench.pool.channels = {"async": Channel({})}
    scheduler = watcher(bench.pool, bench.clock, lambda name: pytest.fail("no worker is stuck in a coroutine"))
    return watched(scheduler, run)


def test_a_coroutine_is_cancelled_at_its_time_out_and_cleans_up(loop: Bench) -> None:
    cleaned: list[str] = []
    begun = threading.Event()

    @task("waits")
    async def waits() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append("up")

    run = loop.begin(waits, timeout=20 * MILLISECOND)
    assert begun.wait(WITHIN)  # else the time-out might come before the coroutine
    assert is_timeout(watch(loop, run), "0.02")
    assert cleaned == ["up"]
    assert not run.abandoned


def test_a_coroutine_that_swallows_the_cancel_is_left_behind(loop: Bench) -> None:
    freed: list[asyncio.Event] = []
    late: list[str] = []

    @task("swallows")
    async def swallows() -> str:
        freed.append(asyncio.Event())
        try:
            await freed[0].wait()
        except asyncio.CancelledError:
            await freed[0].wait()
        late.append("done")
        return "late"

    run = loop.begin(swallows, timeout=10 * MILLISECOND)
    until(lambda: freed, WITHIN, "it waits")  # else the time-out might come before the coroutine
    assert is_timeout(watch(loop, run), "0.01")
    assert run.abandoned

    @task("frees")
    async def frees() -> None:
        freed[0].set()

    loop.ending(frees)
    until(lambda: late, WITHIN, "it comes back")
    assert is_timeout(ended(run), "0.01")


def test_a_cancel_that_the_handler_raises_itself_is_a_failure(loop: Bench) -> None:
    @task("cancels")
    async def cancels() -> None:
        raise asyncio.CancelledError("mine")

    assert loop.ending(cancels) == Raised("CancelledError", "the handler's coroutine was cancelled")


@pytest.mark.parametrize("told", ["revoked", "timed_out", "ended"])
def test_a_coroutine_that_was_told_to_end_before_it_could_begin_does_not_begin(loop: Bench, told: str) -> None:
    """Another coroutine holds the loop meanwhile, so there is nothing yet that could be interrupted."""
    holds, freed = threading.Event(), threading.Event()
    ran: list[int] = []

    @task("blocks")
    async def blocks() -> None:
        holds.set()
        freed.wait(WITHIN)

    @task("follows")
    async def follows() -> None:
        ran.append(1)

    @task("fine")
    async def fine() -> int:
        return 1

    first = loop.begin(blocks)
    assert holds.wait(WITHIN)
    run = loop.begin(follows)
    if told == "ended":
        loop.pool.end(run, Unfinished())
    else:
        setattr(run, told, True)
    freed.set()
    ended(first)
    ended(run)
    assert loop.ending(fine) == Returned(b"1")
    assert ran == []


def test_a_closed_loop_leaves_no_thread_and_its_coroutines_have_last_words() -> None:
    bench = Bench(LoopRunner)
    before = threading.active_count()
    words: list[str] = []

    @task("waits")
    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            words.append("bye")

    run = bench.begin(waits)
    until(lambda: run.interrupt, WITHIN, "it runs")
    assert threading.active_count() == before + 1
    bench.runner.close()
    assert threading.active_count() == before
    assert words == ["bye"]


def test_a_loop_that_never_ran_anything_has_no_thread() -> None:
    before = threading.active_count()
    bench = Bench(LoopRunner)
    bench.runner.close()
    assert threading.active_count() == before
