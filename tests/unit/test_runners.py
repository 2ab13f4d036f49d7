"""Runners: whatever a handler does becomes one ending of its run, and nothing of it gets out."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from io import StringIO
from queue import Empty, SimpleQueue
from typing import Any

import pytest

from actors.channel import Channel
from actors.loop import LoopRunner
from actors.messages import OutcomesReady, WatchRuns, Work
from actors.pool import Ending, Pool, Raised, Returned, Run, Snoozed, Unfinished
from actors.runners import MESSAGE_LIMIT, Desk, Runner, ThreadRunner
from actors.scheduler import SchedulerActor
from actors.supervisor import Supervisor
from actors.worker import WorkerActor
from cluster.incarnation import Incarnation
from taskqueue import Discard, Retry, Snooze, TaskContext, logs, task
from taskqueue.context import TimedOut
from taskqueue.core.clock import MILLISECOND, MINUTE, SECOND, SystemClock
from taskqueue.core.config import GRACE_AFTER_TIMEOUT, Config
from taskqueue.core.ids import CountingIds
from taskqueue.core.task import Cause
from taskqueue.handlers import Handler, TaskFunction
from taskqueue.logs import current_task
from tests.clients import until
from tests.postoffice import Box, SetTicker, handlers_of, run_of

LARGEST = 1_000
WITHIN = 10.0


class Bench:
    """A runner, its pool, and runs to give it."""

    def __init__(self, kind: type[ThreadRunner] | type[LoopRunner] = ThreadRunner) -> None:
        self.clock = SystemClock()
        self.queue = Box()
        self.pool = Pool({}, self.queue)
        self.runner: Runner = kind(Desk(self.pool, self.clock, LARGEST))
        self._number = itertools.count()

    def begin(self, function: TaskFunction[Any, Any], payload: bytes = b"{}", **changes: Any) -> Run:
        """A run of this handler, given to the runner."""
        handlers = handlers_of(function)
        name = function.handler.name
        run = run_of(f"t{next(self._number)}", handlers, handler=name, payload=payload, **changes)
        self.pool.add(run)
        self.runner.run(run, "worker-1")
        return run

    def ending(self, function: TaskFunction[Any, Any], payload: bytes = b"{}", **changes: Any) -> Ending:
        """How a run of this handler ends."""
        return ended(self.begin(function, payload, **changes))


def ended(run: Run) -> Ending:
    until(lambda: run.ended, WITHIN, "the run has ended")
    assert run.ending is not None
    return run.ending


@pytest.fixture(params=[ThreadRunner, LoopRunner])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Both kinds of runners."""
    bench = Bench(request.param)
    yield bench
    bench.runner.close()


@pytest.fixture
def loop() -> Iterator[Bench]:
    bench = Bench(LoopRunner)
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


# -- time-outs in a thread ---------------------------------------------------------------------------------------------


class Crew:
    """Workers on threads, watched over: a scheduler that sees to deadlines, and a supervisor that replaces the stuck.
    """

    def __init__(self, workers: int = 1, handlers: dict[str, Handler] | None = None) -> None:
        clock = SystemClock()
        self.restarted: list[str] = []
        self.supervisor = Supervisor(clock, on_restart=self.restarted.append)
        names = [f"worker-{n}" for n in range(1, workers + 1)]
        self.channel = Channel({name: self.supervisor.handle(name) for name in names})
        self.pool = Pool({"thread": self.channel}, Box())
        runner = ThreadRunner(Desk(self.pool, clock, LARGEST))
        for name in names:
            self.supervisor.start(name, self._factory(name, runner))
        self.scheduler = SchedulerActor(
            lambda error: None,
            incarnation=Incarnation(CountingIds("me-")),
            config=Config(worker_count=workers),
            clock=clock,
            handlers=handlers or {},
            address=Box(),
            queue=Box(),
            storage=Box(),
            pool=self.pool,
            ticker=SetTicker(),
            on_stuck=self.supervisor.stuck,
            may_claim=lambda: False,
        )
        self.names = names

    def _factory(self, name: str, runner: Runner) -> Callable[[Any], Any]:
        return lambda died: WorkerActor(died, name=name, channel=self.channel, pool=self.pool, runner=runner)

    def begin(self, function: TaskFunction[Any, Any], id: str = "t1", **changes: Any) -> Run:
        run = run_of(id, handlers_of(function), handler=function.handler.name, payload=b"{}", **changes)
        self.pool.add(run)
        self.channel.put(run)
        self.channel.call(1)
        return run

    def watch(self, run: Run) -> Ending:
        """Watch over the runs until this one has ended."""

        def ended() -> bool:
            self.scheduler.on_receive(WatchRuns())
            return run.ended

        until(ended, WITHIN, "the run has ended")
        assert run.ending is not None
        return run.ending

    def close(self) -> None:
        assert self.supervisor.wait(0.001) is None
        assert self.supervisor.stop(self.names, WITHIN) == []


@pytest.fixture
def crew() -> Iterator[Crew]:
    crew = Crew()
    yield crew
    crew.close()


def is_timeout(ending: Ending, seconds: str) -> bool:
    return ending == Raised("TimedOut", f"not finished within its time-out of {seconds} s", Cause.TIMEOUT)


@task("sound")
def sound() -> str:
    return "sound"


def test_a_loop_in_python_is_interrupted_at_its_time_out(crew: Crew) -> None:
    cleaned: list[bool] = []

    @task("spins")
    def spins() -> None:
        try:
            while True:
                pass
        finally:
            cleaned.append(True)

    run = crew.begin(spins, timeout=20 * MILLISECOND)
    assert is_timeout(crew.watch(run), "0.02")
    assert cleaned == [True]
    assert not run.abandoned
    assert crew.watch(crew.begin(sound, "t2")) == Returned(b'"sound"')


def test_a_handler_that_takes_the_time_out_for_a_failure_is_told_by_it_all_the_same(crew: Crew) -> None:
    @task("stubborn")
    def stubborn() -> str:
        for _ in itertools.count():
            try:
                while True:
                    pass
            except Exception:  # TimedOut is none
                continue
        return "never"

    assert is_timeout(crew.watch(crew.begin(stubborn, timeout=20 * MILLISECOND)), "0.02")


def test_one_that_swallows_the_time_out_and_returns_has_timed_out_all_the_same(crew: Crew) -> None:
    @task("swallows")
    def swallows() -> str:
        try:
            while True:
                pass
        except TimedOut:
            return "done"

    assert is_timeout(crew.watch(crew.begin(swallows, timeout=20 * MILLISECOND)), "0.02")


def test_one_that_hangs_in_c_is_left_behind_and_its_worker_replaced(crew: Crew) -> None:
    """The worker's successor goes on at once; what the handler returns at last is refused, and its thread ends."""
    freed, left = threading.Event(), threading.Event()
    thread: list[threading.Thread] = []

    @task("hangs")
    def hangs() -> str:
        thread.append(threading.current_thread())
        try:
            freed.wait(WITHIN)
            return "late"
        finally:
            left.set()

    began = time.monotonic()
    run = crew.begin(hangs, timeout=300 * MILLISECOND)
    assert is_timeout(crew.watch(run), "0.3")
    assert time.monotonic() - began >= GRACE_AFTER_TIMEOUT / SECOND
    assert run.abandoned
    following = crew.begin(sound, "t2")
    assert crew.supervisor.wait(0.05) is None  # replaces the worker
    assert crew.watch(following) == Returned(b'"sound"')
    freed.set()
    assert left.wait(WITHIN)
    thread[0].join(WITHIN)
    assert not thread[0].is_alive()
    assert isinstance(run.ending, Raised)
    assert crew.watch(crew.begin(sound, "t3")) == Returned(b'"sound"')


def test_a_worker_that_was_left_behind_takes_nothing_when_it_comes_back(crew: Crew) -> None:
    """It had been told of more before it was replaced: that mail is not its own any more."""
    freed = threading.Event()
    threads: dict[str, threading.Thread] = {}

    @task("hangs")
    def hangs() -> None:
        threads["old"] = threading.current_thread()
        freed.wait(WITHIN)

    @task("whose")
    def whose() -> None:
        threads["new"] = threading.current_thread()

    run = crew.begin(hangs, timeout=300 * MILLISECOND)
    until(lambda: run.started, WITHIN, "it hangs")
    old = crew.supervisor.handle("worker-1").ref
    assert old is not None
    crew.watch(run)
    old.tell(Work())
    assert crew.supervisor.wait(0.05) is None
    freed.set()
    crew.watch(crew.begin(whose, "t2"))
    threads["old"].join(WITHIN)
    assert not threads["old"].is_alive()
    assert threads["new"] is not threads["old"]


@pytest.fixture
def quick_turns() -> Iterator[None]:
    """Threads take turns every tenth of a millisecond, so that each has many moments at which another can interfere."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.0001)
    yield
    sys.setswitchinterval(interval)


lost_in_a_callback = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""A time-out that lands in a callback of the garbage collector is swallowed by Python, which says so."""


@lost_in_a_callback
@pytest.mark.usefixtures("quick_turns")
def test_time_outs_never_leave_the_handler() -> None:
    """2,000 runs with tiny time-outs, thrown from another thread at random moments: around the start, in the handler,
    as it ends, while its result is written. The worker's thread outlives all of them, and every run ends once.
    """
    crew = Crew()
    chance = random.Random(5)
    stop = threading.Event()

    @task("short")
    def short(n: int) -> int:
        total = 0
        for i in range(n):
            total += i
        return total

    @task("fails")
    def fails(n: int) -> None:
        raise ValueError(f"after {sum(range(n))}")

    def interrupt() -> None:
        while not stop.is_set():
            for run in crew.pool.running():
                if not run.timed_out and (throw := run.interrupt) is not None:
                    run.timed_out = bool(chance.getrandbits(1))
                    throw()

    logging.getLogger("taskqueue.handlers").setLevel(logging.CRITICAL)
    interrupters = [threading.Thread(target=interrupt) for _ in range(2)]
    worker = crew.supervisor.handle("worker-1").ref
    runs = []
    for n in range(2_000):
        function = short if n % 4 else fails
        payload = b'{"n":%d}' % chance.choice([0, 10, 100, 1_000])
        runs.append(run_of(f"t{n}", handlers_of(function), handler=function.handler.name, payload=payload))
        crew.pool.add(runs[-1])
        crew.channel.put(runs[-1])
    try:
        for thread in interrupters:
            thread.start()
        crew.channel.call(1)
        until(lambda: all(run.ended for run in runs), 90.0, "all runs have ended")
    finally:
        stop.set()
        for thread in interrupters:
            thread.join()
        logging.getLogger("taskqueue.handlers").setLevel(logging.NOTSET)
    assert crew.supervisor.handle("worker-1").ref is worker
    assert crew.restarted == []
    kinds = {"timeout" if is_timeout(run.ending, "30") else type(run.ending).__name__ for run in runs if run.ending}
    assert kinds == {"timeout", "Returned", "Raised"}
    assert all(run.interrupt is None for run in runs)
    assert crew.pool.endings() == runs
    assert crew.watch(crew.begin(sound, "last")) == Returned(b'"sound"')
    crew.close()


@lost_in_a_callback
@pytest.mark.usefixtures("quick_turns")
def test_a_time_out_that_lands_while_a_handler_logs_does_not_take_the_log_with_it() -> None:
    """600 of them. The log's lock is everybody's: an actor that waits for it for ever is as bad as dead."""
    bench = Bench()
    handler = logs._Handler(StringIO())
    logger = logging.getLogger("tests.chatty")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    begun = threading.Semaphore(0)

    @task("chatty")
    def chatty() -> None:
        begun.release()
        for _ in range(50_000):  # a second or so, should the time-out be swallowed
            logger.info("still here")

    runs = [run_of(f"t{n}", handlers_of(chatty), handler="chatty", payload=b"{}") for n in range(600)]

    def work() -> None:
        for run in runs:
            bench.pool.add(run)
            bench.runner.run(run, "worker-1")

    worker = threading.Thread(target=work, daemon=True)  # should it never end, the tests do
    worker.start()
    try:
        for run in runs:
            assert begun.acquire(timeout=WITHIN)
            run.timed_out = True
            if (throw := run.interrupt) is not None:
                throw()
        worker.join(WITHIN)
        assert not worker.is_alive()
        assert handler.lock is not None
        assert handler.lock.acquire(timeout=1)
        handler.lock.release()
    finally:
        logger.removeHandler(handler)
    assert all(is_timeout(ended(run), "30") for run in runs)


# -- the loop ----------------------------------------------------------------------------------------------------------


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
    channels = {"async": Channel({})}
    bench.pool.channels = channels
    scheduler = SchedulerActor(
        lambda error: None,
        incarnation=Incarnation(CountingIds("me-")),
        config=Config(),
        clock=bench.clock,
        handlers={},
        address=Box(),
        queue=Box(),
        storage=Box(),
        pool=bench.pool,
        ticker=SetTicker(),
        on_stuck=lambda name: pytest.fail("no worker is stuck in a coroutine"),
        may_claim=lambda: False,
    )

    def ended() -> bool:
        scheduler.on_receive(WatchRuns())
        return run.ended

    until(ended, WITHIN, "the run has ended")
    assert run.ending is not None
    return run.ending


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
    assert loop.ending(handler_of(loop, lambda: 1)) == Returned(b"1")
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


def test_the_queue_is_told_of_an_ending(bench: Bench) -> None:
    run = bench.begin(handler_of(bench, lambda: 1))
    ended(run)
    bench.queue.one(OutcomesReady)
    assert bench.pool.endings() == [run]


def test_what_was_thrown_leaves_no_mark_on_the_interpreter() -> None:
    """A NULL passed to PyThreadState_SetAsyncExc keeps CPython 3.11 looking for an exception at every call, for good,
    and a traced function never begins then. So this runs in a process of its own, which must end."""
    script = """
import sys, threading
from actors.runners import _Gate
from taskqueue.context import TimedOut

def handler(gate, late):
    try:
        if late:
            gate.throw()  # it lands in close, or before
    finally:
        gate.close()

for late in (False, True, False):
    try:
        handler(_Gate(threading.get_ident()), late)
    except TimedOut:
        pass
sys.settrace(lambda frame, event, argument: None)
def begins(): return "it began"
print(begins())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "it began\n"
