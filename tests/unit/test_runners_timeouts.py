"""Time-outs in a thread: thrown into the handler, landing nowhere else, and what hangs all the same is left behind."""

from __future__ import annotations

import itertools
import logging
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from io import StringIO

import pytest

from actors.messages import Work
from actors.pool import Raised, Returned
from taskqueue import logs, task
from taskqueue.context import TimedOut
from taskqueue.core.clock import MILLISECOND, SECOND
from taskqueue.core.config import GRACE_AFTER_TIMEOUT
from tests.clients import until
from tests.postoffice import handlers_of, run_of
from tests.runners import WITHIN, Bench, Crew, ended, is_timeout


@pytest.fixture
def crew() -> Iterator[Crew]:
    crew = Crew()
    yield crew
    crew.close()


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
