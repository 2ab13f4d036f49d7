"""SchedulerActor of one node among many, unstarted: hints, and what an earlier incarnation has left behind."""

from __future__ import annotations

import threading

import pytest

from actors.messages import FindWork, HeldSeen, Reconcile, Registered, Wake, WatchRuns, WorkFound, WorkHinted, Write
from actors.pool import Dropped, Run, Unfinished
from actors.scheduler import SchedulerActor
from storage import verbs as v
from taskqueue import TaskContext, task
from taskqueue.core.events import Code
from taskqueue.core.views import Held
from tests.postoffice import OWNER, Desk, claimed, handlers_of, run_of


@task("looks")
def looks(ctx: TaskContext) -> None: ...


@task("coroutine")
async def coroutine() -> None: ...


@pytest.fixture
def desk() -> Desk:
    return Desk(handlers=handlers_of(looks, coroutine))


def idle(desk: Desk) -> SchedulerActor:
    """One that has asked for everything and found nothing."""
    scheduler = desk.scheduler_actor()
    scheduler.begin()
    answer(desk, scheduler)
    return scheduler


def answer(desk: Desk, scheduler: SchedulerActor, *tasks: v.Task) -> FindWork:
    """Answer the one claim that was sent, with these tasks in its first group."""
    find = desk.queue.one(FindWork)
    found = (tuple(tasks), *((),) * (len(find.groups) - 1)) if find.groups else ()
    scheduler.on_receive(WorkFound(request=find.request, claimed=v.Claimed(Code.OK, found)))
    return find


# -- hints -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("handler", "asked"),
    [("looks", [("looks",)]), ("coroutine", [("coroutine",)]), ("", [("looks",), ("coroutine",)]), ("unknown", [])],
)
def test_an_idle_node_asks_for_what_it_was_hinted_at(desk: Desk, handler: str, asked: list[tuple[str, ...]]) -> None:
    scheduler = idle(desk)
    scheduler.on_receive(WorkHinted(handler=handler))
    assert [group.handlers for find in desk.queue.all(FindWork) for group in find.groups] == asked


def test_a_busy_node_does_not_ask_before_a_slot_is_free(desk: Desk) -> None:
    scheduler = idle(desk)
    runs = [desk.begun(name, handler="looks") for name in ("t1", "t2")]
    scheduler.on_receive(WorkHinted(handler="looks"))
    assert desk.queue.all(FindWork) == []
    desk.pool.end(runs[0], Unfinished())
    scheduler.on_receive(WatchRuns())
    scheduler.on_receive(WorkHinted(handler="coroutine"))
    [find] = desk.queue.all(FindWork)
    assert {group.handlers for group in find.groups} == {("looks",), ("coroutine",)}


# -- another incarnation -----------------------------------------------------------------------------------------------


def test_claims_are_made_in_the_name_of_the_present_incarnation(desk: Desk) -> None:
    scheduler = idle(desk)
    desk.me.renew()
    scheduler.on_receive(Registered())
    assert desk.queue.one(FindWork).owner == "me-2"


def held_by_the_old(desk: Desk, scheduler: SchedulerActor) -> tuple[Run, Run, list[str]]:
    """A run that waits and one that has begun, of the incarnation that is over now; and what was thrown."""
    thrown: list[str] = []
    waits = run_of("waits", desk.handlers, handler="looks")
    desk.pool.add(waits)
    desk.pool.channels["thread"].put(waits)
    begun = desk.begun("begun", handler="looks")
    begun.interrupt = lambda: thrown.append("begun")
    desk.me.renew()
    return waits, begun, thrown


def test_what_the_old_one_held_is_given_up(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    scheduler = idle(desk)
    waits, begun, thrown = held_by_the_old(desk, scheduler)
    scheduler.on_receive(WatchRuns())
    assert waits.ending == Dropped()
    assert not begun.ended, "its thread is not free yet"
    assert begun.revoked
    assert isinstance(begun.cancelled, threading.Event)
    assert begun.cancelled.is_set()
    assert thrown == [], "a thread is not torn out of its handler"
    assert "2 tasks that this node held as another incarnation are given up" in caplog.text
    scheduler.on_receive(WatchRuns())
    assert caplog.text.count("given up") == 1


def test_a_coroutine_of_the_old_one_is_cancelled(desk: Desk) -> None:
    scheduler = idle(desk)
    thrown: list[str] = []
    run = desk.begun("t1", "worker-async", handler="coroutine")
    run.interrupt = lambda: thrown.append("t1")
    desk.me.renew()
    scheduler.on_receive(Wake())
    assert thrown == ["t1"]


def test_an_answer_to_the_old_ones_claim_is_not_taken(desk: Desk) -> None:
    """The new one asks under a number of its own, for the old one's is another's."""
    scheduler = desk.scheduler_actor()
    scheduler.begin()
    old = desk.queue.one(FindWork)
    desk.me.renew()
    scheduler.on_receive(Registered())
    new = desk.queue.one(FindWork)
    assert (old.owner, new.owner) == (OWNER, "me-2")
    assert new.request > old.request
    late = v.Claimed(Code.OK, ((claimed("t1", handler="looks"),), ()))
    scheduler.on_receive(WorkFound(request=old.request, claimed=late))
    assert desk.pool.keys() == set()
    assert desk.pool.asking


def test_a_late_answer_of_before_is_not_taken_while_nothing_is_asked(desk: Desk) -> None:
    scheduler = desk.scheduler_actor()
    scheduler.begin()
    old = desk.queue.one(FindWork)
    desk.me.renew()
    desk.may_claim = False
    scheduler.on_receive(WatchRuns())
    late = v.Claimed(Code.OK, ((claimed("t1", handler="looks"),), ()))
    scheduler.on_receive(WorkFound(request=old.request, claimed=late))
    assert desk.pool.keys() == set()


def test_what_the_store_says_of_the_old_one_is_not_compared(desk: Desk) -> None:
    scheduler = idle(desk)
    scheduler.on_receive(Reconcile())
    desk.storage.mail.clear()
    desk.me.renew()
    for _ in range(3):
        scheduler.on_receive(HeldSeen(owner=OWNER, held=(Held("t1", 7),)))
    assert desk.storage.all(Write) == []


def test_a_successor_knows_in_whose_name_the_claim_under_way_is(desk: Desk) -> None:
    scheduler = desk.scheduler_actor()
    scheduler.begin()
    first = desk.queue.one(FindWork)
    successor = desk.scheduler_actor()
    successor.begin()
    again = desk.queue.one(FindWork)
    assert (again.owner, again.request) == (first.owner, first.request)
