"""What the actors of a node share: runs and their one ending, channels and who is told of work."""

from __future__ import annotations

import threading

import pytest

from actors.channel import Channel
from actors.messages import OutcomesReady, Work
from actors.pool import BRISK, Dropped, Pool, Returned, Unfinished
from actors.watchers import Rates, Watchers
from taskqueue.core.clock import SECOND, ManualClock
from tests.postoffice import Box, Desk, run_of


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_run_arrives_once(desk: Desk) -> None:
    assert desk.pool.add(run_of())
    assert not desk.pool.add(run_of())
    assert desk.pool.add(run_of(fence=8))
    assert desk.pool.keys() == {("t1", 7), ("t1", 8)}
    assert (desk.pool.busy("thread"), desk.pool.busy("async"), desk.pool.busy_with("echo")) == (2, 0, 2)


def test_a_run_ends_once_and_its_first_ending_counts(desk: Desk) -> None:
    run = desk.begun()
    assert desk.pool.end(run, Returned(b"1"))
    assert not desk.pool.end(run, Unfinished())
    assert desk.pool.endings() == [run]
    assert run.ending == Returned(b"1")
    assert (desk.pool.busy("thread"), desk.pool.running(), desk.pool.idle()) == (0, [], True)


def test_a_run_that_ended_in_the_channel_never_begins(desk: Desk) -> None:
    run = run_of()
    desk.pool.add(run)
    desk.pool.end(run, Dropped())
    assert not desk.pool.begin(run, "worker-1", 5)
    assert (run.started, desk.pool.running()) == (None, [])


def test_beginning_and_ending_at_once_leaves_nothing_running() -> None:
    """Many times over: a cancel that meets the start of its run. Whoever wins, nothing stays among the started."""
    desk = Desk()
    turn = threading.Barrier(2)
    runs = [run_of(f"t{n}") for n in range(2_000)]
    for run in runs:
        desk.pool.add(run)

    def cancel() -> None:
        for run in runs:
            turn.wait()
            desk.pool.end(run, Dropped())

    other = threading.Thread(target=cancel)
    other.start()
    for run in runs:
        turn.wait()
        desk.pool.begin(run, "worker-1", 1)
    other.join()
    assert desk.pool.running() == []
    assert desk.pool.idle()


def test_who_ends_a_run_decides_in_the_same_step_whether_its_worker_is_left_behind(desk: Desk) -> None:
    done, hung = desk.begun("done"), desk.begun("hung")
    desk.pool.end(done, Returned(None))
    assert not desk.pool.end(done, Unfinished(), abandon=True)
    assert desk.pool.end(hung, Unfinished(), abandon=True)
    assert (done.abandoned, hung.abandoned) == (False, True)


def test_the_queue_is_told_once_until_it_looks(desk: Desk) -> None:
    runs = [desk.begun(f"t{n}") for n in range(3)]
    desk.pool.end(runs[0], Returned(None))
    desk.pool.end(runs[1], Returned(None))
    assert len(desk.queue.all(OutcomesReady)) == 1
    assert desk.pool.endings() == runs[:2]
    desk.pool.end(runs[2], Returned(None))
    assert len(desk.queue.all(OutcomesReady)) == 1


def test_a_queue_that_was_not_there_is_told_at_the_next_ending(desk: Desk) -> None:
    first, second = desk.begun("a"), desk.begun("b")
    desk.queue.deaf = True
    desk.pool.end(first, Returned(None))
    desk.queue.deaf = False
    desk.pool.end(second, Returned(None))
    desk.queue.one(OutcomesReady)
    assert desk.pool.endings() == [first, second]


def test_an_orphan_has_ended_and_nothing_of_it_is_under_way(desk: Desk) -> None:
    desk.begun("runs")
    lost, sent, settled = (desk.ended(Returned(None), name) for name in ("lost", "sent", "settled"))
    desk.pool.endings()
    desk.pool.unsettled[sent.key] = (None, 0)  # type: ignore[assignment]  # only that it is there matters
    desk.pool.settle(settled.key)
    assert desk.pool.orphans() == [lost]


def test_suspects_are_counted_until_they_end(desk: Desk) -> None:
    suspect = desk.begun(solo=True)
    assert desk.pool.solo()
    desk.pool.end(suspect, Returned(None))
    assert not desk.pool.solo()


def test_unended_runs_are_those_in_the_channel_and_those_that_run(desk: Desk) -> None:
    waits = run_of("waits")
    desk.pool.add(waits)
    runs = desk.begun("runs")
    desk.ended(Returned(None), "ended")
    assert desk.pool.unended() == [waits, runs]
    assert desk.pool.running() == [runs]


def test_everything_in_the_channels_can_be_taken_back(desk: Desk) -> None:
    sync, coroutine = run_of("a"), run_of("b", handler="sleep")
    for run in (sync, coroutine):
        desk.pool.channels[run.kind].put(run)
    assert list(desk.pool.unstarted()) == [sync, coroutine]
    assert all(channel.empty() for channel in desk.pool.channels.values())


def test_the_pace_is_a_mean_that_follows_and_says_when_runs_are_brisk(desk: Desk) -> None:
    assert desk.pool.pace("thread") is None
    assert not desk.pool.brisk("thread")
    desk.clock.advance(SECOND)
    for n in range(200):
        run = desk.begun(f"t{n}")
        desk.clock.advance(int(BRISK / 2))
        desk.pool.end(run, Returned(None), desk.clock.monotonic())
    assert desk.pool.pace("thread") == BRISK / 2
    assert desk.pool.brisk("thread")
    slow = desk.begun("slow")
    desk.clock.advance(SECOND)
    desk.pool.end(slow, Returned(None), desk.clock.monotonic())
    assert desk.pool.pace("thread") == BRISK / 2 + (SECOND - BRISK / 2) * 0.05
    assert not desk.pool.brisk("thread")


def test_progress_is_told_by_the_last_word_and_not_after_the_end(desk: Desk) -> None:
    runs, ended = desk.begun("runs"), desk.begun("ended")
    desk.pool.report(runs, 0.1, "a")
    desk.pool.report(runs, 0.2, "b")
    desk.pool.report(ended, 0.9, "c")
    desk.pool.end(ended, Returned(None))
    assert desk.pool.notes() == [runs]
    assert runs.note == (0.2, "b")
    assert desk.pool.notes() == []


# -- channels ----------------------------------------------------------------------------------------------------------


def boxes() -> tuple[Box, Box, Channel]:
    first, second = Box(), Box()
    return first, second, Channel({"first": first, "second": second})


def test_workers_are_told_once_each_and_no_more_than_needed() -> None:
    first, second, channel = boxes()
    channel.call(1)
    channel.call(1)
    channel.call(1)
    assert (len(first.mail), len(second.mail)) == (1, 1)


def test_who_found_nothing_more_is_told_again() -> None:
    first, second, channel = boxes()
    channel.call(2)
    channel.heard("second")
    channel.call(2)
    assert (len(first.mail), len(second.mail)) == (1, 2)


def test_a_dead_worker_is_passed_over_and_tried_again() -> None:
    first, second, channel = boxes()
    first.deaf = True
    channel.call(1)
    assert (len(first.mail), len(second.mail)) == (0, 1)
    first.deaf = False
    channel.call(1)
    first.one(Work)


def test_nobody_is_told_where_nothing_is_needed() -> None:
    first, second, channel = boxes()
    channel.call(0)
    assert first.mail == second.mail == []


# -- those who look ----------------------------------------------------------------------------------------------------


def test_a_bell_rings_for_its_task_alone_and_is_given_back() -> None:
    watchers = Watchers()
    watchers.finished(["nobody listens"])
    bells = [watchers.watch("a"), watchers.watch("a"), watchers.watch("b")]
    watchers.finished(["a", "c"])
    assert [bell.qsize() for bell in bells] == [1, 1, 0]
    watchers.leave("a", bells[0])
    watchers.finished(["a"])
    assert [bell.qsize() for bell in bells] == [1, 2, 0]
    watchers.close()
    assert watchers.closed
    assert [bell.qsize() for bell in bells] == [1, 3, 1]


def test_rates_are_means_over_the_last_minute() -> None:
    clock = ManualClock()
    rates = Rates(clock)
    for _ in range(30):
        rates.submitted("a")
    rates.finished("b")
    clock.advance(10 * SECOND)
    assert rates.of("a") == (3.0, 0.0)
    clock.advance(49 * SECOND)
    assert rates.of("a") == (30 / 59, 0.0)
    clock.advance(SECOND)
    assert rates.of("a") == (0.0, 0.0)
    rates.finished("b")
    assert rates.of("b") == (0.0, 1 / 60)


def test_the_pool_counts_what_is_on_its_way(desk: Desk) -> None:
    pool: Pool = desk.pool
    assert pool.idle()
    run = run_of(handler="sleep")
    pool.add(run)
    assert not pool.idle()
    assert pool.run(run.key) is run
    pool.settle(run.key)
    assert pool.run(run.key) is None
