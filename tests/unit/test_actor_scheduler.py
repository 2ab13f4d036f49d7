"""SchedulerActor, unstarted: what it claims and when, who is told, and how it watches over what runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from actors.messages import (
    Message,
    Registered,
    RunsEnded,
    SetClaiming,
    Wake,
    Work,
    WorkFound,
)
from actors.overseer import STALL
from actors.pool import Returned
from actors.scheduler import ANSWER_WITHIN, SchedulerActor
from storage import verbs as v
from taskqueue.core.clock import MILLISECOND, SECOND
from taskqueue.core.config import Config
from taskqueue.core.events import Code
from tests.claiming import ALL, ASYNC, CAPPED, QUEUES, SYNC, answer, asks, end, idle, running
from tests.postoffice import HANDLERS, Desk, claimed, run_of


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def scheduler(desk: Desk) -> SchedulerActor:
    return desk.scheduler_actor()


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


def test_more_room_than_one_claim_fills_is_filled_by_the_next() -> None:
    """Or the answer would look as if nothing more waited."""
    desk = Desk(Config(worker_count=2, async_concurrency=2_500))
    scheduler = desk.scheduler_actor()
    scheduler.begin()
    while desk.queue.mail:
        find = asks(desk)
        wanted = sum(group.n for group in find.groups)
        assert wanted <= v.MOST_CLAIMED
        some = tuple(
            tuple(claimed(f"{find.request}.{n}.{k}", handler=group.handlers[0]) for k in range(group.n))
            for n, group in enumerate(find.groups)
        )
        desk.queue.mail.clear()
        scheduler.on_receive(WorkFound(request=find.request, claimed=v.Claimed(Code.OK, some)))
    assert desk.pool.busy("async") == 2_500


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
    assert ahead.n == 2 + 600
    scheduler.on_receive(
        WorkFound(request=2, claimed=v.Claimed(Code.OK, (tuple(claimed(f"t{n}") for n in range(9)), (), ())))
    )
    assert [len(box.all(Work)) for box in desk.workers.values()] == [1, 0]


def test_it_claims_ahead_in_bites(desk: Desk, scheduler: SchedulerActor) -> None:
    """With much still waiting in the channel it does not ask for a little more."""
    idle(desk, scheduler)
    desk.pool._pace["thread"] = 4_000.0  # 2 workers, 20 ms ahead: 10 of them
    scheduler._took = 8_000.0  # in which they do 4
    runs = [desk.begun(f"t{n}") for n in range(12)]
    for run, room in zip(runs, [0, 0, 0, 0, 0, 0, 6, 7], strict=False):
        scheduler.on_receive(Wake())
        find = asks(desk)
        desk.clock.advance(8 * MILLISECOND)
        assert sum(group.n for group in find.groups if group.handlers != ASYNC.handlers) == room
        scheduler.on_receive(WorkFound(request=find.request, claimed=v.Claimed(Code.OK)))
        desk.pool.end(run, Returned(None))
        desk.queue.mail.clear()


def test_it_asks_again_when_half_is_used_up_however_long_claims_take(desk: Desk, scheduler: SchedulerActor) -> None:
    idle(desk, scheduler)
    desk.pool._pace["thread"] = 10_000.0  # 2 workers, 200 ms ahead: 40 of them
    scheduler._took = 3.0 * SECOND
    first, *_ = [desk.begun(f"t{n}") for n in range(2 + 21)]
    for room in (0, 20):
        scheduler.on_receive(Wake())
        assert sum(group.n for group in asks(desk).groups if group.handlers != ASYNC.handlers) == room
        desk.queue.mail.clear()
        desk.pool.end(first, Returned(None))
        desk.pool.asking = False


@pytest.mark.parametrize(
    ("took", "pace", "wanted"),
    [
        (5 * MILLISECOND, 10 * MILLISECOND, 2 + 4),  # no less than 20 ms of work, for two workers
        (32 * MILLISECOND, 10 * MILLISECOND, 2 + 12),  # until the next one is answered, and as long again
        (3 * SECOND, 10 * MILLISECOND, 2 + 40),  # no more than 200 ms
        (30 * MILLISECOND, 0.0, 2 + 600),
        (30 * MILLISECOND, 100 * MILLISECOND, 2 + 1),
    ],
)
def test_it_claims_ahead_as_claims_take_time(
    desk: Desk, scheduler: SchedulerActor, took: int, pace: float, wanted: int
) -> None:
    scheduler.on_receive(Registered())
    for _ in range(40):
        desk.clock.advance(took)
        answer(desk, scheduler)
        scheduler.on_receive(Wake())
    desk.pool._pace["thread"] = pace
    desk.clock.advance(took)
    answer(desk, scheduler)
    scheduler.on_receive(Wake())
    assert {group.handlers: group.n for group in asks(desk).groups}[SYNC.handlers] == wanted


def test_workers_in_long_runs_have_nothing_claimed_for_them(desk: Desk, scheduler: SchedulerActor) -> None:
    """Or all of it would wait for the others."""
    idle(desk, scheduler)
    desk.pool._pace["thread"] = 4_000.0
    scheduler._took = 40_000.0
    desk.begun("long")
    desk.clock.advance(STALL)
    scheduler.on_receive(Wake())
    asked = {group.handlers: group.n for group in asks(desk).groups}
    assert asked[SYNC.handlers] + asked[CAPPED.handlers] == (1 + 1) + 20, "80 ms of work for one worker"


def test_what_is_claimed_ahead_is_shared_by_lines() -> None:
    echo = HANDLERS["echo"]
    wide = {f"wide{n}": replace(echo, name=f"wide{n}", max_running=100) for n in range(3)}
    narrow = replace(echo, name="narrow", max_running=1)
    desk = Desk(handlers={"echo": echo, "narrow": narrow, **wide})
    scheduler = desk.scheduler_actor()
    idle(desk, scheduler)
    desk.pool._pace["thread"] = 4_000.0
    scheduler.on_receive(Wake())
    asked = {group.handlers[0]: group.n for group in asks(desk).groups}
    assert asked == {"narrow": 1, "wide0": 2 + 3, "wide1": 2 + 3, "wide2": 2 + 2, "echo": 2 + 2}


def test_what_the_store_did_not_do_tells_nothing_of_how_long_a_claim_takes(
    desk: Desk, scheduler: SchedulerActor
) -> None:
    scheduler.on_receive(Registered())
    find = asks(desk)
    desk.clock.advance(SECOND)
    scheduler.on_receive(WorkFound(request=find.request, claimed=None))
    desk.queue.mail.clear()
    scheduler.on_receive(Wake())
    desk.pool._pace["thread"] = 10_000.0
    answer(desk, scheduler)
    assert next(group.n for group in asks(desk).groups if "echo" in group.handlers) == 2 + 4


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


def test_an_unknown_message_is_a_bug(scheduler: SchedulerActor) -> None:
    with pytest.raises(TypeError, match="SchedulerActor does not know the message Work"):
        scheduler.on_receive(Work())
