"""SchedulerActor and what is not to run here: what was revoked, what nobody here knows, and all of it at the end."""

from __future__ import annotations

import pytest

from actors.messages import (
    FindWork,
    GiveBack,
    HeldSeen,
    LookAtHeld,
    Reconcile,
    Revoke,
    SetClaiming,
    Wake,
    WorkFound,
    Write,
    Written,
)
from actors.pool import Dropped, Unfinished
from actors.scheduler import ANSWER_WITHIN, SchedulerActor
from storage import verbs as v
from taskqueue import TaskContext, task
from taskqueue.core.events import Code, Release
from taskqueue.core.views import Held
from tests.claiming import answer, asks
from tests.postoffice import OWNER, Desk, claimed, handlers_of, run_of


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def scheduler(desk: Desk) -> SchedulerActor:
    return desk.scheduler_actor()


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
