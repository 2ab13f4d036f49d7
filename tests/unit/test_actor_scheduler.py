"""SchedulerActor, unstarted: what it claims and when, who is told, and how it watches over what runs."""

from __future__ import annotations

import pytest

from actors.messages import (
    FindWork,
    GiveBack,
    HeldSeen,
    LookAtHeld,
    Message,
    Reconcile,
    Registered,
    Revoke,
    RunsEnded,
    SetClaiming,
    Wake,
    WatchRuns,
    Work,
    WorkFound,
    Write,
    Written,
)
from actors.overseer import STALL
from actors.pool import Dropped, Raised, Returned, Run, Unfinished
from actors.scheduler import ANSWER_WITHIN, SUSPECT_PATIENCE, SchedulerActor
from actors.switching import LONG
from storage import verbs as v
from taskqueue import TaskContext, task
from taskqueue.core.clock import MILLISECOND, SECOND
from taskqueue.core.config import GRACE_AFTER_TIMEOUT, Config
from taskqueue.core.events import Code, Release
from taskqueue.core.task import Cause, Task
from taskqueue.core.views import Held
from tests.postoffice import OWNER, Desk, claimed, handlers_of, run_of

QUEUES = ("default",)
SYNC = v.Group(("echo", "fail"), QUEUES, 2)
ASYNC = v.Group(("sleep",), QUEUES, 3)
CAPPED = v.Group(("capped",), QUEUES, 2)
ALL = {SYNC, ASYNC, CAPPED}
SUSPECTS = v.Group(("echo", "sleep", "fail", "capped"), QUEUES, 1, solo=True)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def scheduler(desk: Desk) -> SchedulerActor:
    return desk.scheduler_actor()


def asks(desk: Desk) -> FindWork:
    """The one claim that was sent."""
    return desk.queue.one(FindWork)


def answer(
    desk: Desk,
    scheduler: SchedulerActor,
    *tasks: Task,
    next_due: int | None = None,
    solo_since: int | None = None,
    code: Code = Code.OK,
) -> FindWork:
    """Answer the one claim that was sent: each task in the first group that takes its handler; the claim."""
    find = asks(desk)
    fitting = {task.id: next(g for g in find.groups if task.handler in g.handlers) for task in tasks}
    found = tuple(tuple(task for task in tasks if fitting[task.id] is group) for group in find.groups)
    claimed = v.Claimed(code, found, next_due, solo_since)
    scheduler.on_receive(WorkFound(request=find.request, claimed=claimed))
    return find


def idle(desk: Desk, scheduler: SchedulerActor) -> None:
    """A first claim that finds nothing."""
    scheduler.on_receive(Registered())
    answer(desk, scheduler)
    assert desk.queue.mail == []


def end(desk: Desk, scheduler: SchedulerActor, *runs: Run) -> None:
    """These runs end, and the scheduler hears of it."""
    for run in runs:
        assert desk.pool.end(run, Returned(None))
    desk.queue.mail.clear()
    scheduler.on_receive(RunsEnded())


def running(desk: Desk) -> list[Run]:
    """Workers take all that is in the channels and begin."""
    runs = list(desk.pool.unstarted())
    for run in runs:
        assert desk.pool.begin(run, "worker-1", desk.clock.monotonic())
    return runs


# -- claiming ----------------------------------------------------------------------------------------------------------


def test_it_asks_for_each_kind_of_capacity_what_can_start(desk: Desk, scheduler: SchedulerActor) -> None:
    scheduler.begin()
    find = asks(desk)
    assert set(find.groups) == ALL
    assert (find.request, find.reply_to) == (1, desk.scheduler)


def test_it_serves_the_queues_that_it_is_set_to() -> None:
    desk = Desk(Config(queues=("mail", "video")))
    desk.scheduler_actor().begin()
    assert {group.queues for group in asks(desk).groups} == {("mail", "video")}


@pytest.mark.parametrize("message", [Registered(), Wake(), RunsEnded(), SetClaiming(on=True)])
def test_it_claims_when_there_may_be_work(desk: Desk, scheduler: SchedulerActor, message: Message) -> None:
    scheduler.on_receive(message)
    assert set(asks(desk).groups) == ALL


def test_it_does_not_claim_before_it_may(desk: Desk, scheduler: SchedulerActor) -> None:
    desk.may_claim = False
    scheduler.begin()
    scheduler.on_receive(Wake())
    assert desk.queue.mail == []
    desk.may_claim = True
    scheduler.on_receive(Registered())
    assert asks(desk).request == 1


def test_what_it_finds_goes_to_the_channels_and_workers_are_told(desk: Desk, scheduler: SchedulerActor) -> None:
    scheduler.begin()
    answer(desk, scheduler, claimed("a"), claimed("b", handler="sleep"))
    assert desk.pool.keys() == {("a", 7), ("b", 7)}
    assert [len(box.all(Work)) for box in (*desk.workers.values(), *desk.loop.values())] == [1, 0, 1]
    assert [run.task.id for run in desk.pool.unstarted()] == ["a", "b"]


def test_it_goes_on_claiming_where_a_group_was_filled_and_only_there(desk: Desk, scheduler: SchedulerActor) -> None:
    scheduler.begin()
    answer(desk, scheduler, claimed("a", handler="capped"), claimed("b", handler="capped"), claimed("c"))
    assert desk.queue.mail == []  # capped is hungry but full; the others brought less than there was room for
    echo, first, _ = running(desk)
    end(desk, scheduler, echo, first)
    assert asks(desk).groups == (v.Group(("capped",), QUEUES, 1),)


def test_a_full_answer_is_followed_by_the_next_claim_when_there_is_room(desk: Desk, scheduler: SchedulerActor) -> None:
    scheduler.begin()
    answer(desk, scheduler, claimed("a"), claimed("b"))
    assert desk.queue.mail == []  # both workers have work
    end(desk, scheduler, running(desk)[0])
    assert asks(desk).groups == (v.Group(SYNC.handlers, QUEUES, 1),)


def test_what_ends_wakes_nobody_where_nothing_waited(desk: Desk, scheduler: SchedulerActor) -> None:
    scheduler.begin()
    answer(desk, scheduler, claimed("a"))
    end(desk, scheduler, *running(desk))
    assert desk.queue.mail == []


def test_brisk_runs_are_claimed_ahead_and_one_worker_is_told(desk: Desk, scheduler: SchedulerActor) -> None:
    idle(desk, scheduler)
    desk.pool.end(desk.begun("x"), Returned(None))
    desk.pool._pace["thread"] = 50.0
    scheduler.on_receive(Wake())
    ahead = next(group for group in asks(desk).groups if "echo" in group.handlers)
    assert ahead.n == 2 + 500
    scheduler.on_receive(
        WorkFound(request=2, claimed=v.Claimed(Code.OK, (tuple(claimed(f"t{n}") for n in range(9)), (), ())))
    )
    assert [len(box.all(Work)) for box in desk.workers.values()] == [1, 0]


def test_it_claims_ahead_in_bites(desk: Desk, scheduler: SchedulerActor) -> None:
    """With much still waiting in the channel it does not ask for a little more."""
    idle(desk, scheduler)
    desk.pool._pace["thread"] = 4_000.0  # 2 workers, 20 ms ahead: 10 of them
    runs = [desk.begun(f"t{n}") for n in range(12)]
    for run, room in zip(runs, [0, 0, 0, 3, 4], strict=False):
        scheduler.on_receive(Wake())
        find = asks(desk)
        assert sum(group.n for group in find.groups if "echo" in group.handlers) == room
        scheduler.on_receive(WorkFound(request=find.request, claimed=v.Claimed(Code.OK)))
        desk.pool.end(run, Returned(None))
        desk.queue.mail.clear()


def test_one_claim_at_a_time_and_what_wakes_it_meanwhile_is_not_forgotten(
    desk: Desk, scheduler: SchedulerActor
) -> None:
    scheduler.begin()
    first = asks(desk)
    scheduler.on_receive(Wake())
    scheduler.on_receive(Wake())
    assert desk.queue.mail == []
    scheduler.on_receive(WorkFound(request=first.request, claimed=v.Claimed(Code.OK)))
    assert (asks(desk).request, set(first.groups)) == (first.request + 1, ALL)


def test_an_unanswered_claim_is_asked_again_under_its_number(desk: Desk, scheduler: SchedulerActor) -> None:
    scheduler.begin()
    first = asks(desk)
    desk.clock.advance(ANSWER_WITHIN - 1)
    scheduler.on_receive(Wake())
    assert desk.queue.mail == []
    desk.clock.advance(1)
    scheduler.on_receive(Wake())
    assert desk.queue.mail == [first]


def test_what_came_while_a_claim_was_asked_again_is_claimed_right_after(desk: Desk, scheduler: SchedulerActor) -> None:
    """A repeat brings what the first took and nothing new, so it cannot tell that nothing waits."""
    scheduler.begin()
    asks(desk)
    desk.clock.advance(ANSWER_WITHIN)
    scheduler.on_receive(Wake())
    answer(desk, scheduler)
    assert set(asks(desk).groups) == ALL


def test_late_and_double_answers_are_ignored(desk: Desk, scheduler: SchedulerActor) -> None:
    scheduler.begin()
    first = asks(desk)
    found = WorkFound(request=first.request, claimed=v.Claimed(Code.OK, ((claimed("a"),), (), ())))
    scheduler.on_receive(WorkFound(request=first.request - 1, claimed=found.claimed))
    assert desk.pool.keys() == set()
    scheduler.on_receive(found)
    [run] = running(desk)
    end(desk, scheduler, run)
    desk.pool.settle(run.key)
    scheduler.on_receive(found)
    assert desk.pool.keys() == set()


def test_a_repeated_answer_brings_only_what_is_not_here(desk: Desk, scheduler: SchedulerActor) -> None:
    desk.pool.add(run_of("a"))
    scheduler.begin()
    answer(desk, scheduler, claimed("a"), claimed("b"))
    assert [run.task.id for run in desk.pool.unstarted()] == ["b"]


def test_what_the_store_could_not_answer_is_asked_again_under_its_number(desk: Desk, scheduler: SchedulerActor) -> None:
    scheduler.begin()
    first = asks(desk)
    scheduler.on_receive(WorkFound(request=first.request, claimed=None))
    assert desk.queue.mail == []
    scheduler.on_receive(Wake())
    assert desk.queue.mail == [first]


@pytest.mark.parametrize("code", [Code.FENCED, Code.REFUSED])
def test_a_refused_claim_is_over(desk: Desk, scheduler: SchedulerActor, code: Code) -> None:
    scheduler.begin()
    answer(desk, scheduler, code=code)
    assert desk.queue.mail == []
    scheduler.on_receive(Wake())
    assert asks(desk).request == 2


def test_a_claim_that_reached_nobody_is_sent_by_the_next_wake(desk: Desk, scheduler: SchedulerActor) -> None:
    desk.queue.deaf = True
    scheduler.begin()
    desk.queue.deaf = False
    scheduler.on_receive(Wake())
    assert asks(desk).request == 1


def test_a_successor_asks_again_what_was_not_answered(desk: Desk, scheduler: SchedulerActor) -> None:
    scheduler.begin()
    first = asks(desk)
    successor = desk.scheduler_actor()
    successor.begin()
    find = answer(desk, successor, claimed("a"))
    assert find == first
    assert desk.pool.keys() == {("a", 7)}
    assert asks(desk).request == first.request + 1  # the repeat could not tell that nothing waits


def test_a_successor_does_not_repeat_what_was_answered(desk: Desk, scheduler: SchedulerActor) -> None:
    idle(desk, scheduler)
    desk.scheduler_actor().begin()
    assert asks(desk).request == 2


# -- alarms ------------------------------------------------------------------------------------------------------------


def alarms(desk: Desk) -> list[int]:
    """In how many microseconds the scheduler wants to be woken."""
    assert all(address is desk.scheduler and isinstance(what, Wake) for _, address, what in desk.ticker.alarms)
    return [delay for delay, _, _ in desk.ticker.alarms]


def test_it_wakes_when_the_next_delayed_task_is_due(desk: Desk, scheduler: SchedulerActor) -> None:
    scheduler.begin()
    answer(desk, scheduler, next_due=desk.clock.now() + 3 * SECOND)
    assert alarms(desk) == [3 * SECOND + MILLISECOND]


def test_what_is_overdue_wakes_it_at_once(desk: Desk, scheduler: SchedulerActor) -> None:
    scheduler.begin()
    answer(desk, scheduler, next_due=desk.clock.now() - SECOND)
    assert alarms(desk) == [MILLISECOND]


def test_what_stays_overdue_is_asked_for_less_and_less_often(desk: Desk, scheduler: SchedulerActor) -> None:
    """This node's clock is ahead of the store's: what seems due is not, and it is not to ask for it without a pause."""
    scheduler.begin()
    due = desk.clock.now() - SECOND
    for _ in range(12):
        answer(desk, scheduler, next_due=due)
        desk.clock.advance(alarms(desk)[-1])
        scheduler.on_receive(Wake())
    waits = [wait - MILLISECOND for wait in alarms(desk)]
    assert waits[:4] == [0, 10 * MILLISECOND, 20 * MILLISECOND, 40 * MILLISECOND]
    assert waits[-1] == desk.config.poll_interval
    later = desk.clock.now() + 5 * MILLISECOND
    answer(desk, scheduler, next_due=later)
    assert alarms(desk)[-1] == 6 * MILLISECOND
    desk.clock.advance(6 * MILLISECOND)
    scheduler.on_receive(Wake())
    answer(desk, scheduler, next_due=later)
    assert alarms(desk)[-1] == MILLISECOND


def test_a_retry_wakes_it(desk: Desk, scheduler: SchedulerActor) -> None:
    idle(desk, scheduler)
    scheduler.on_receive(RunsEnded(wake_in=2 * SECOND))
    assert alarms(desk) == [2 * SECOND + MILLISECOND]


def test_an_earlier_moment_gets_its_own_alarm_and_a_later_one_waits_for_it(
    desk: Desk, scheduler: SchedulerActor
) -> None:
    idle(desk, scheduler)
    for wait in (5, 2, 3, 9):
        scheduler.on_receive(RunsEnded(wake_in=wait * SECOND))
    assert alarms(desk) == [5 * SECOND + MILLISECOND, 2 * SECOND + MILLISECOND]
    desk.clock.advance(2 * SECOND + MILLISECOND)
    scheduler.on_receive(RunsEnded(wake_in=7 * SECOND))
    assert alarms(desk)[-1] == 7 * SECOND + MILLISECOND


# -- suspects ----------------------------------------------------------------------------------------------------------


def suspected(desk: Desk, scheduler: SchedulerActor, *tasks: Task) -> int:
    """A claim shows that a suspect waits, and brings these tasks; since when it waits."""
    scheduler.begin()
    since = desk.clock.now()
    answer(desk, scheduler, *tasks, solo_since=since)
    return since


def test_an_idle_node_asks_for_a_suspect_alone(desk: Desk, scheduler: SchedulerActor) -> None:
    suspected(desk, scheduler)
    assert asks(desk).groups == (SUSPECTS,)


def test_beside_a_suspect_nothing_is_claimed_and_after_it_others_come_first(
    desk: Desk, scheduler: SchedulerActor
) -> None:
    since = suspected(desk, scheduler)
    answer(desk, scheduler, claimed("suspect", solo=True), solo_since=since)
    scheduler.on_receive(Wake())
    assert desk.queue.mail == []
    end(desk, scheduler, *running(desk))
    answer_to = answer(desk, scheduler, solo_since=since)
    assert set(answer_to.groups) == ALL  # others have waited behind it
    assert asks(desk).groups == (SUSPECTS,)  # and the next suspect has its turn


def test_a_busy_node_goes_on_and_takes_a_suspect_when_it_is_idle(desk: Desk, scheduler: SchedulerActor) -> None:
    since = suspected(desk, scheduler, claimed("a"))
    [run] = running(desk)
    scheduler.on_receive(Wake())
    assert all(not group.solo for group in answer(desk, scheduler, solo_since=since).groups)
    end(desk, scheduler, run)
    assert asks(desk).groups == (SUSPECTS,)


def test_a_suspect_that_waited_long_enough_stops_other_claims(desk: Desk, scheduler: SchedulerActor) -> None:
    suspected(desk, scheduler, claimed("a"), claimed("b"))
    first, second = running(desk)
    desk.clock.advance(SUSPECT_PATIENCE - 1)
    end(desk, scheduler, first)
    answer(desk, scheduler, claimed("c"), solo_since=desk.clock.now() + 1 - SUSPECT_PATIENCE)
    [third] = running(desk)
    desk.clock.advance(1)
    end(desk, scheduler, second)
    scheduler.on_receive(Wake())
    assert desk.queue.mail == []
    end(desk, scheduler, third)
    assert asks(desk).groups == (SUSPECTS,)


def test_a_claim_for_suspects_that_brings_none_is_not_made_again_before_something_happens(
    desk: Desk, scheduler: SchedulerActor
) -> None:
    """A suspect that no claim gets must not make the node ask for it in a circle."""
    since = suspected(desk, scheduler)
    answer(desk, scheduler, solo_since=since)
    assert set(answer(desk, scheduler, solo_since=since).groups) == ALL
    assert desk.queue.mail == []
    scheduler.on_receive(Wake())
    assert asks(desk).groups == (SUSPECTS,)


def test_a_successor_knows_that_the_claim_under_way_is_for_a_suspect(desk: Desk, scheduler: SchedulerActor) -> None:
    since = suspected(desk, scheduler)
    asks(desk)
    successor = desk.scheduler_actor()
    successor.begin()
    assert answer(desk, successor, claimed("suspect", solo=True), solo_since=since).groups == (SUSPECTS,)
    assert desk.queue.mail == []
    end(desk, successor, *running(desk))
    assert set(asks(desk).groups) == ALL


def test_a_handler_may_be_called_solo() -> None:
    @task("solo", max_running=1)
    def solo() -> None: ...

    desk = Desk(handlers=handlers_of(solo))
    scheduler = desk.scheduler_actor()
    scheduler.begin()
    answer(desk, scheduler)
    assert desk.queue.mail == []


# -- watching ----------------------------------------------------------------------------------------------------------


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


@task("looks")
def looks(ctx: TaskContext) -> None:
    """A handler that can see that it is cancelled."""


@task("coroutine")
async def coroutine(ctx: TaskContext) -> None:
    """The same on the loop."""


@pytest.mark.parametrize(("handler", "thrown"), [("looks", 0), ("coroutine", 1)])
def test_a_revoked_run_is_told_and_only_a_coroutine_is_interrupted(handler: str, thrown: int) -> None:
    desk = Desk(handlers=handlers_of(looks, coroutine))
    scheduler = desk.scheduler_actor()
    run = desk.begun(handler=handler)
    told: list[str] = []
    run.interrupt = lambda: told.append("interrupt")
    scheduler.on_receive(Revoke(task="t1", fence=6))
    scheduler.on_receive(Revoke(task="t2", fence=7))
    assert run.cancelled is not None
    assert not run.cancelled.is_set()
    scheduler.on_receive(Revoke(task="t1", fence=7))
    assert run.cancelled.is_set()
    assert (run.revoked, run.ended, len(told)) == (True, False, thrown)


def test_a_run_that_is_revoked_before_it_begins_is_dropped(desk: Desk, scheduler: SchedulerActor) -> None:
    run = run_of()
    desk.pool.add(run)
    scheduler.on_receive(Revoke(task="t1", fence=7))
    assert run.ending == Dropped()
    scheduler.on_receive(Revoke(task="t1", fence=7))
    assert not desk.pool.begin(run, "worker-1", 1)


# -- reconciling -------------------------------------------------------------------------------------------------------


def held(*ids: str, fence: int = 7) -> HeldSeen:
    return HeldSeen(owner=OWNER, held=tuple(Held(name, fence) for name in ids))


def test_what_nobody_here_knows_is_released_when_it_is_seen_twice_running(
    desk: Desk, scheduler: SchedulerActor
) -> None:
    desk.begun("known")
    scheduler.on_receive(Reconcile())
    assert desk.storage.one(LookAtHeld) == LookAtHeld(owner=OWNER, reply_to=desk.scheduler)
    scheduler.on_receive(held("known", "lost", "passing"))
    scheduler.on_receive(held("known", "lost"))
    write = desk.storage.one(Write)
    assert write.verbs == (Release(id="lost", op="7", owner=OWNER, fence=7),)
    scheduler.on_receive(Written(results=(v.Answer(Code.OK),), ticket=write.ticket))
    scheduler.on_receive(held("passing"))
    assert desk.storage.mail == []


def test_what_is_cancelled_before_it_arrives_does_not_begin(desk: Desk, scheduler: SchedulerActor) -> None:
    """Orders come by another way than tasks, and may be quicker."""
    scheduler.begin()
    scheduler.on_receive(Revoke(task="a", fence=7))
    answer(desk, scheduler, claimed("a"), claimed("b"))
    assert [run.key for run in desk.pool.unended()] == [("b", 7)]
    assert desk.pool.run(("a", 7)).ending == Dropped()  # type: ignore[union-attr]
    assert [run.key for run in desk.pool.unstarted()] == [("b", 7)]


def test_a_cancel_of_what_is_over_is_not_kept(desk: Desk, scheduler: SchedulerActor) -> None:
    scheduler.begin()
    answer(desk, scheduler)
    scheduler.on_receive(Revoke(task="a", fence=7))
    scheduler.on_receive(Wake())
    answer(desk, scheduler, claimed("a"))
    assert [run.key for run in desk.pool.unended()] == [("a", 7)]


def test_another_claim_of_the_same_task_is_another_thing(desk: Desk, scheduler: SchedulerActor) -> None:
    scheduler.on_receive(held("t1", fence=7))
    scheduler.on_receive(held("t1", fence=8))
    assert desk.storage.mail == []


def test_while_a_claim_is_under_way_nothing_is_released(desk: Desk, scheduler: SchedulerActor) -> None:
    scheduler.begin()
    scheduler.on_receive(held("lost"))
    scheduler.on_receive(held("lost"))
    assert desk.storage.mail == []
    answer(desk, scheduler)
    scheduler.on_receive(held("lost"))
    assert desk.storage.one(Write).verbs == (Release(id="lost", op="7", owner=OWNER, fence=7),)


def test_what_was_lost_before_the_claim_under_way_was_sent_is_released(desk: Desk, scheduler: SchedulerActor) -> None:
    """A busy node, or one with a slow store, has a claim under way whenever it looks."""
    scheduler.begin()
    scheduler.on_receive(held("lost"))
    answer(desk, scheduler)
    scheduler.on_receive(Wake())
    assert desk.pool.asking
    scheduler.on_receive(held("lost", "of this claim"))
    assert desk.storage.one(Write).verbs == (Release(id="lost", op="7", owner=OWNER, fence=7),)


# -- ending ------------------------------------------------------------------------------------------------------------


def test_draining_gives_back_what_has_not_begun_and_claims_no_more(desk: Desk, scheduler: SchedulerActor) -> None:
    scheduler.begin()
    answer(desk, scheduler, claimed("a"), claimed("b", handler="sleep"))
    waits, _ = list(desk.pool.unended())
    begun = desk.begun("begun")
    scheduler.on_receive(SetClaiming(on=False))
    assert waits.ending == Unfinished()
    assert not begun.ended
    assert desk.queue.all(FindWork) == []
    scheduler.on_receive(Wake())
    assert desk.queue.all(FindWork) == []
    scheduler.on_receive(SetClaiming(on=True))
    asks(desk)


def test_draining_asks_at_once_for_what_a_claim_under_way_has_taken(desk: Desk, scheduler: SchedulerActor) -> None:
    scheduler.begin()
    first = asks(desk)
    scheduler.on_receive(SetClaiming(on=False))
    assert answer(desk, scheduler, claimed("a")) == first
    [run] = desk.pool.endings()
    assert run.ending == Unfinished()
    scheduler.on_receive(WorkFound(request=first.request, claimed=v.Claimed(Code.OK, ((claimed("a"),), (), ()))))
    assert desk.pool.endings() == []


@pytest.mark.parametrize("closed", [False, True])
def test_what_a_claim_brings_after_the_drain_goes_back(desk: Desk, scheduler: SchedulerActor, closed: bool) -> None:
    scheduler.begin()
    first = asks(desk)
    if closed:
        desk.may_claim = False
    else:
        scheduler.on_receive(SetClaiming(on=False))
    scheduler.on_receive(WorkFound(request=first.request, claimed=v.Claimed(Code.OK, ((claimed("a"),), (), ()))))
    [run] = desk.pool.endings()
    assert run.ending == Unfinished()
    assert all(box.mail == [] for box in desk.workers.values())
    assert not desk.pool.asking


def test_a_claim_whose_answer_was_lost_is_asked_again_also_while_draining(
    desk: Desk, scheduler: SchedulerActor
) -> None:
    """Else what it took would stay with a node that claims no more, for ever."""
    scheduler.begin()
    first = asks(desk)
    scheduler.on_receive(SetClaiming(on=False))
    assert asks(desk) == first
    desk.clock.advance(ANSWER_WITHIN)
    scheduler.on_receive(Wake())
    assert answer(desk, scheduler, claimed("a")) == first
    [run] = desk.pool.endings()
    assert run.ending == Unfinished()
    scheduler.on_receive(Wake())
    assert desk.queue.all(FindWork) == []


def test_the_end_gives_back_everything_and_tells_the_handlers() -> None:
    desk = Desk(handlers=handlers_of(looks, coroutine))
    scheduler = desk.scheduler_actor()
    told: list[str] = []
    sync, loop, waits, taken = (
        desk.begun("sync", handler="looks"),
        desk.begun("loop", handler="coroutine"),
        run_of("waits", desk.handlers, handler="looks"),
        run_of("taken", desk.handlers, handler="looks"),
    )
    sync.interrupt = lambda: told.append("sync")
    loop.interrupt = lambda: told.append("loop")
    for run in (waits, taken):
        desk.pool.add(run)
    desk.pool.channels["thread"].put(waits)  # `taken` is in the hands of a worker that has not begun it
    scheduler.on_receive(GiveBack(running=True))
    assert {run.key[0]: run.ending for run in desk.pool.endings()} == dict.fromkeys(
        ("sync", "loop", "waits", "taken"), Unfinished()
    )
    assert told == ["loop"]
    assert all(run.cancelled is not None and run.cancelled.is_set() for run in (sync, loop))
    assert not desk.pool.begin(taken, "worker-1", 1)
    assert desk.pool.idle()


def test_an_unknown_message_is_a_bug(scheduler: SchedulerActor) -> None:
    with pytest.raises(TypeError, match="SchedulerActor does not know the message Work"):
        scheduler.on_receive(Work())


# -- what waits behind long runs ---------------------------------------------------------------------------------------


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
