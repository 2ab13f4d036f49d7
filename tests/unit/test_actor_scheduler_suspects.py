"""SchedulerActor and suspects: they run alone, and get their turn."""

from __future__ import annotations

import pytest

from actors.messages import (
    Wake,
)
from actors.scheduler import SUSPECT_PATIENCE, SchedulerActor
from taskqueue import task
from taskqueue.core.task import Task
from tests.claiming import ALL, SUSPECTS, answer, asks, end, running
from tests.postoffice import Desk, claimed, handlers_of


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def scheduler(desk: Desk) -> SchedulerActor:
    return desk.scheduler_actor()


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
