"""The claim that stands by: a scheduler that found nothing leaves its next claim, and QueueActor sends it right behind
a submit. Both actors unstarted, each told by hand what the other or the store would tell it.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from actors.messages import (
    Admit,
    FindWork,
    GiveBack,
    Registered,
    Replied,
    RunsEnded,
    SetClaiming,
    Wake,
    WorkFound,
    WorkHinted,
    Write,
    Written,
)
from actors.pool import Pool
from actors.queue import QueueActor
from actors.scheduler import ANSWER_WITHIN, SchedulerActor
from storage import verbs as v
from taskqueue.core.errors import StoreError
from taskqueue.core.events import Code
from taskqueue.core.task import Status
from tests.claiming import ALL, ASYNC, CAPPED, QUEUES, SYNC, answer, asks, end, idle, running
from tests.factories import draft
from tests.postoffice import Desk, claimed

SUBMITTED = v.Submitted(Code.OK, "a", Status.PENDING, 1)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def scheduler(desk: Desk) -> SchedulerActor:
    return desk.scheduler_actor()


@pytest.fixture
def queue(desk: Desk) -> QueueActor:
    return desk.queue_actor()


def submit(desk: Desk, queue: QueueActor, name: str = "a") -> list[v.Claim]:
    """Somebody submits a task; the claims that went to the store behind it."""
    queue.on_receive(Admit(drafts=(draft(name),), atomic=False, reply_to=desk.reply))
    submitted, *claims = desk.storage.one(Write).verbs
    assert isinstance(submitted, v.Submit)
    assert all(isinstance(claim, v.Claim) for claim in claims)
    return claims  # type: ignore[return-value]


def found(desk: Desk, scheduler: SchedulerActor, *tasks: str) -> None:
    """The claim under way is answered with these tasks, all for `echo`."""
    groups = desk.pool.groups
    per = tuple(tuple(claimed(name) for name in tasks) if "echo" in group.handlers else () for group in groups)
    scheduler.on_receive(WorkFound(request=desk.pool.request, claimed=v.Claimed(Code.OK, per)))


def test_it_goes_behind_the_next_submit_and_only_that(desk: Desk, scheduler: SchedulerActor, queue: QueueActor) -> None:
    idle(desk, scheduler)
    (claim,) = submit(desk, queue)
    assert (claim.owner, claim.request, set(claim.groups)) == (desk.me.owner, 2, ALL)
    assert submit(desk, queue, "b") == []


def test_what_it_found_is_handed_out_and_the_next_stands_by(
    desk: Desk, scheduler: SchedulerActor, queue: QueueActor
) -> None:
    idle(desk, scheduler)
    submit(desk, queue)
    found(desk, scheduler, "a")
    assert desk.pool.keys() == {("a", 7)}
    assert desk.queue.all(FindWork) == []
    (claim,) = submit(desk, queue, "b")
    assert claim.request == 3
    assert v.Group(SYNC.handlers, QUEUES, 1) in claim.groups  # of two workers one is free


def test_it_asks_for_what_there_is_room_for_after_runs_ended(
    desk: Desk, scheduler: SchedulerActor, queue: QueueActor
) -> None:
    scheduler.begin()
    answer(desk, scheduler, claimed("a"))
    end(desk, scheduler, *running(desk))
    (claim,) = submit(desk, queue)
    assert set(claim.groups) == ALL


def test_none_stands_by_where_nothing_has_room(desk: Desk, scheduler: SchedulerActor, queue: QueueActor) -> None:
    scheduler.begin()
    tasks = [claimed(f"s{n}", handler="sleep") for n in range(3)]
    answer(desk, scheduler, claimed("a"), claimed("b"), *tasks, claimed("c", handler="capped"))
    assert submit(desk, queue) == []


def test_where_it_was_lost_it_is_asked_again_under_its_number(
    desk: Desk, scheduler: SchedulerActor, queue: QueueActor
) -> None:
    idle(desk, scheduler)
    submit(desk, queue)
    scheduler.on_receive(Wake())  # first sees that it went
    assert desk.queue.all(FindWork) == []
    desk.clock.advance(ANSWER_WITHIN)
    scheduler.on_receive(Wake())
    again = asks(desk)
    assert (again.request, set(again.groups)) == (2, ALL)


def test_woken_it_asks_itself_and_nothing_goes_behind_a_submit(
    desk: Desk, scheduler: SchedulerActor, queue: QueueActor
) -> None:
    idle(desk, scheduler)
    scheduler.on_receive(Wake())
    assert asks(desk).request == 2
    assert submit(desk, queue) == []


def test_what_a_wake_asked_for_beside_it_is_not_forgotten(
    desk: Desk, scheduler: SchedulerActor, queue: QueueActor
) -> None:
    """Another task may have come after the claim: it is asked for once the claim is answered."""
    idle(desk, scheduler)
    submit(desk, queue)
    submit(desk, queue, "b")
    scheduler.on_receive(Wake())
    found(desk, scheduler, "a")
    assert asks(desk).request == 3


def test_none_stands_by_where_a_suspect_waits(desk: Desk, scheduler: SchedulerActor, queue: QueueActor) -> None:
    scheduler.begin()
    answer(desk, scheduler, solo_since=desk.clock.now())
    assert asks(desk).groups[0].solo
    assert submit(desk, queue) == []


@pytest.mark.parametrize("message", [SetClaiming(on=False), GiveBack(running=False)])
def test_none_goes_where_no_claims_may_be_made(
    desk: Desk, scheduler: SchedulerActor, queue: QueueActor, message: SetClaiming | GiveBack
) -> None:
    idle(desk, scheduler)
    scheduler.on_receive(message)
    desk.may_claim = not isinstance(message, GiveBack)
    assert submit(desk, queue) == []


def test_whether_it_may_is_looked_at_when_it_goes(desk: Desk, scheduler: SchedulerActor, queue: QueueActor) -> None:
    idle(desk, scheduler)
    desk.may_claim = False
    assert submit(desk, queue) == []
    desk.may_claim = True
    assert submit(desk, queue, "b") == []  # it is gone: whoever lets the node claim again wakes the scheduler
    scheduler.on_receive(Registered())
    assert asks(desk).request == 2


def test_that_of_another_incarnation_does_not_go(desk: Desk, scheduler: SchedulerActor, queue: QueueActor) -> None:
    idle(desk, scheduler)
    before = desk.me.owner
    desk.me.renew()
    scheduler.on_receive(RunsEnded())
    (claim,) = submit(desk, queue)
    assert claim.owner == desk.me.owner != before


def test_no_second_one_beside_one_that_went(desk: Desk, scheduler: SchedulerActor, queue: QueueActor) -> None:
    idle(desk, scheduler)
    submit(desk, queue)
    scheduler.on_receive(RunsEnded())
    assert submit(desk, queue, "b") == []
    assert desk.queue.all(FindWork) == []


def test_without_a_storage_actor_the_scheduler_hears_so_and_asks_again(
    desk: Desk, scheduler: SchedulerActor, queue: QueueActor
) -> None:
    idle(desk, scheduler)
    desk.storage.deaf = True
    queue.on_receive(Admit(drafts=(draft("a"),), atomic=False, reply_to=desk.reply))
    scheduler.on_receive(desk.scheduler.one(WorkFound))
    scheduler.on_receive(Wake())
    assert asks(desk).request == 2


def test_what_it_found_is_told_before_the_submit_is_answered_and_nobody_is_woken(
    desk: Desk, scheduler: SchedulerActor, queue: QueueActor
) -> None:
    idle(desk, scheduler)
    desk.scheduler.mail = desk.reply.mail = together = []
    queue.on_receive(Admit(drafts=(draft("a"),), atomic=False, reply_to=desk.reply))
    write = desk.storage.one(Write)
    queue.on_receive(Written(results=(SUBMITTED, v.Claimed(Code.OK)), ticket=write.ticket))
    assert together == [WorkFound(request=2, claimed=v.Claimed(Code.OK)), Replied(results=(SUBMITTED,))]


def test_where_another_incarnation_asked_the_scheduler_is_woken(
    desk: Desk, scheduler: SchedulerActor, queue: QueueActor
) -> None:
    idle(desk, scheduler)
    queue.on_receive(Admit(drafts=(draft("a"),), atomic=False, reply_to=desk.reply))
    write = desk.storage.one(Write)
    queue.on_receive(Written(results=(SUBMITTED, v.Claimed(Code.FENCED)), ticket=write.ticket))
    assert desk.scheduler.mail[-1] == Wake()


def test_where_it_was_not_done_the_scheduler_is_woken(desk: Desk, scheduler: SchedulerActor, queue: QueueActor) -> None:
    idle(desk, scheduler)
    queue.on_receive(Admit(drafts=(draft("a"),), atomic=False, reply_to=desk.reply))
    write = desk.storage.one(Write)
    queue.on_receive(Written(results=(SUBMITTED, StoreError("is away")), ticket=write.ticket))
    for message in desk.scheduler.mail:
        scheduler.on_receive(message)
    assert asks(desk).request == 2


@pytest.mark.parametrize("seen", [False, True])
def test_a_task_for_a_line_that_had_no_room_is_asked_for_when_there_is(
    desk: Desk, scheduler: SchedulerActor, queue: QueueActor, seen: bool
) -> None:
    """Nothing but the submit says that there is one. The scheduler may have seen that the claim went."""
    scheduler.begin()
    answer(desk, scheduler, claimed("a"), claimed("b", handler="capped"))  # both threads
    (claim,) = submit(desk, queue)
    assert claim.groups == (ASYNC,)
    if seen:
        scheduler.on_receive(WorkHinted(handler="sleep"))
    found(desk, scheduler)
    if seen:
        answer(desk, scheduler)
    end(desk, scheduler, running(desk)[0])
    assert v.Group(SYNC.handlers, QUEUES, 1) in asks(desk).groups


def test_a_successor_repeats_one_that_went(desk: Desk, scheduler: SchedulerActor, queue: QueueActor) -> None:
    idle(desk, scheduler)
    submit(desk, queue)
    desk.scheduler_actor().begin()
    again = asks(desk)
    assert (again.request, set(again.groups)) == (2, ALL)


def test_a_successor_takes_back_one_that_stands_by(desk: Desk, scheduler: SchedulerActor, queue: QueueActor) -> None:
    idle(desk, scheduler)
    desk.scheduler_actor().begin()
    assert asks(desk).request == 2
    assert submit(desk, queue) == []


def test_a_full_answer_to_it_is_followed_by_the_next_claim(
    desk: Desk, scheduler: SchedulerActor, queue: QueueActor
) -> None:
    idle(desk, scheduler)
    submit(desk, queue)
    both = (claimed("a", handler="capped"), claimed("b", handler="capped"))
    per = tuple(both if group == CAPPED else () for group in desk.pool.groups)
    scheduler.on_receive(WorkFound(request=2, claimed=v.Claimed(Code.OK, per)))
    one, other = running(desk)
    end(desk, scheduler, one, other)
    assert asks(desk).groups == (CAPPED,)  # those of this handler only: the others brought less than was asked for


class Interrupted(Pool):
    """While the scheduler looks whether a claim is under way, something else happens, once."""

    meanwhile: Callable[[], None] | None = None
    _asking = False

    @property
    def asking(self) -> bool:  # type: ignore[override]
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return self._asking

    @asking.setter
    def asking(self, asking: bool) -> None:
        self._asking = asking


def test_a_second_answer_to_an_earlier_claim_is_not_taken_for_that_to_one_that_goes_meanwhile(desk: Desk) -> None:
    pool = desk.pool = Interrupted(desk.pool.channels, desk.queue)
    scheduler, queue = desk.scheduler_actor(), desk.queue_actor()
    idle(desk, scheduler)
    pool.meanwhile = lambda: queue.on_receive(Admit(drafts=(draft("a"),), atomic=False, reply_to=desk.reply))
    scheduler.on_receive(WorkFound(request=1, claimed=v.Claimed(Code.OK, ((), (), ()))))
    scheduler.on_receive(Wake())
    claim = asks(desk)
    assert claim.request == 2
    found(desk, scheduler, "a")
    assert desk.pool.keys() == {("a", 7)}


def test_one_that_went_is_asked_again_at_once_where_no_more_is_to_be_claimed(
    desk: Desk, scheduler: SchedulerActor, queue: QueueActor
) -> None:
    idle(desk, scheduler)
    submit(desk, queue)
    scheduler.on_receive(SetClaiming(on=False))
    assert asks(desk).request == 2
