"""SchedulerActor watches over what runs: time-outs, what nobody takes, what waits behind long runs."""

from __future__ import annotations

import pytest

from actors.interpreter import LONG
from actors.messages import (
    Registered,
    Wake,
    WatchRuns,
    Work,
)
from actors.overseer import STALL, WAITED
from actors.pool import Raised, Returned, Unfinished
from actors.scheduler import SchedulerActor
from taskqueue.core.clock import MILLISECOND, SECOND
from taskqueue.core.config import GRACE_AFTER_TIMEOUT
from taskqueue.core.task import Cause
from tests.claiming import SYNC, answer, asks, end
from tests.postoffice import Desk, claimed, run_of


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def scheduler(desk: Desk) -> SchedulerActor:
    return desk.scheduler_actor()


def test_a_handler_over_its_time_is_told_then_left_behind_and_its_worker_replaced(
    desk: Desk, scheduler: SchedulerActor
) -> None:
    run = desk.begun(timeout=2 * SECOND)
    told: list[str] = []
    run.interrupt = lambda: told.append("interrupt")
    desk.clock.advance(2 * SECOND - 1)
    scheduler.on_receive(WatchRuns())
    assert (told, run.timed_out) == ([], False)
    desk.clock.advance(1)
    scheduler.on_receive(WatchRuns())
    scheduler.on_receive(WatchRuns())
    assert (told, run.timed_out, run.ended) == (["interrupt"], True, False)
    desk.clock.advance(GRACE_AFTER_TIMEOUT)
    scheduler.on_receive(WatchRuns())
    scheduler.on_receive(WatchRuns())
    assert run.ended
    assert run.abandoned
    assert isinstance(run.ending, Raised)
    assert run.ending.cause is Cause.TIMEOUT
    assert desk.stuck == ["worker-1"]
    assert not desk.pool.end(run, Returned(b"late"))


def test_it_says_whether_a_handler_in_a_thread_runs_for_long(desk: Desk, scheduler: SchedulerActor) -> None:
    desk.begun(handler="sleep", worker="worker-async")
    desk.clock.advance(LONG)
    run = desk.begun("t2")
    scheduler.on_receive(WatchRuns())
    desk.clock.advance(LONG)
    scheduler.on_receive(WatchRuns())
    desk.pool.end(run, Returned(None))
    scheduler.on_receive(WatchRuns())
    assert desk.long == [False, True, False]


def test_a_coroutine_over_its_time_is_left_behind_without_a_worker(desk: Desk, scheduler: SchedulerActor) -> None:
    run = desk.begun(handler="sleep", worker="worker-async", timeout=SECOND)
    desk.clock.advance(SECOND)
    scheduler.on_receive(WatchRuns())
    desk.clock.advance(GRACE_AFTER_TIMEOUT)
    scheduler.on_receive(WatchRuns())
    assert run.ended
    assert desk.stuck == []


def test_a_run_that_ended_just_before_it_was_left_behind_keeps_its_worker(
    desk: Desk, scheduler: SchedulerActor
) -> None:
    """The worker ends the run between the look at it and the verdict: nobody is left behind, nobody replaced."""
    run = desk.begun(timeout=SECOND)
    run.timed_out = True
    desk.clock.advance(SECOND + GRACE_AFTER_TIMEOUT)
    late = [run]
    desk.pool.end(run, Returned(None))
    desk.pool.running = lambda: late  # type: ignore[method-assign]
    scheduler.on_receive(WatchRuns())
    assert not run.abandoned
    assert desk.stuck == []


def test_runs_that_nobody_takes_are_called_out_again(desk: Desk, scheduler: SchedulerActor) -> None:
    desk.pool.channels["thread"].put(run_of())
    scheduler.on_receive(WatchRuns())
    assert [len(box.all(Work)) for box in (*desk.workers.values(), *desk.loop.values())] == [1, 1, 0]


def test_progress_is_passed_on_at_a_tick(desk: Desk, scheduler: SchedulerActor) -> None:
    run = desk.begun()
    scheduler.on_receive(WatchRuns())
    assert desk.queue.mail == []
    desk.pool.report(run, 0.5, "")
    scheduler.on_receive(WatchRuns())
    assert len(desk.queue.mail) == 1


def test_what_waits_behind_workers_that_are_all_busy_for_long_goes_back(desk: Desk, scheduler: SchedulerActor) -> None:
    """It was claimed ahead because the last runs were short; these are not, and another node may have room."""
    desk.pool._pace["thread"] = 50.0
    scheduler.on_receive(Registered())
    answer(desk, scheduler, *(claimed(f"t{n}") for n in range(5)))
    first, second = (desk.pool.channels["thread"].take() for _ in range(2))
    assert first is not None
    assert second is not None
    assert desk.pool.begin(first, "worker-1", desk.clock.monotonic())
    desk.clock.advance(MILLISECOND)
    assert desk.pool.begin(second, "worker-2", desk.clock.monotonic())
    desk.clock.advance(STALL - MILLISECOND)
    scheduler.on_receive(WatchRuns())
    assert desk.pool.endings() == [], "the second may be a short one still"
    desk.clock.advance(MILLISECOND)
    scheduler.on_receive(WatchRuns())
    assert [(run.task.id, type(run.ending)) for run in desk.pool.endings()] == [
        (f"t{n}", Unfinished) for n in (2, 3, 4)
    ]
    desk.queue.mail.clear()
    scheduler.on_receive(Wake())
    assert SYNC.handlers not in {group.handlers for group in asks(desk).groups}, "nothing more is claimed ahead"
    end(desk, scheduler, first)
    desk.pool.asking = False
    scheduler.on_receive(Wake())
    assert {group.handlers: group.n for group in asks(desk).groups}[SYNC.handlers] <= 1, "nor when one has ended"


def test_runs_that_take_no_longer_than_others_hold_nothing_up(desk: Desk, scheduler: SchedulerActor) -> None:
    desk.pool._pace["thread"] = 80_000.0
    scheduler.on_receive(Registered())
    answer(desk, scheduler, *(claimed(f"t{n}") for n in range(3)))
    for _ in range(2):
        run = desk.pool.channels["thread"].take()
        assert run is not None
        assert desk.pool.begin(run, "worker-1", desk.clock.monotonic())
    desk.clock.advance(160 * MILLISECOND - 1)
    scheduler.on_receive(WatchRuns())
    assert desk.pool.endings() == []
    desk.clock.advance(1)
    scheduler.on_receive(WatchRuns())
    assert [run.task.id for run in desk.pool.endings()] == ["t2"]


def test_what_waits_for_long_behind_one_worker_goes_back(desk: Desk, scheduler: SchedulerActor) -> None:
    """The other turns over, but too slowly for all of it."""
    scheduler.on_receive(Registered())
    answer(desk, scheduler, *(claimed(f"t{n}") for n in range(4)))
    run = desk.pool.channels["thread"].take()
    assert run is not None
    assert desk.pool.begin(run, "worker-1", desk.clock.monotonic())
    desk.clock.advance(WAITED - 1)
    scheduler.on_receive(WatchRuns())
    assert desk.pool.endings() == []
    desk.clock.advance(1)
    scheduler.on_receive(WatchRuns())
    assert [run.task.id for run in desk.pool.endings()] == ["t1", "t2", "t3"]
