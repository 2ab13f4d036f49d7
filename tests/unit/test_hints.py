"""Hints: only who serves the lane is told, and many nodes do not ask at once."""

from __future__ import annotations

import pytest

from actors.board import Snapshot
from actors.hints import FEW, SPREAD, Hints
from actors.messages import OrdersFiled, TermOver, Wake, WorkHinted
from tests.postoffice import Desk


def hints(desk: Desk, queues: tuple[str, ...] = ("default", "mail")) -> Hints:
    return Hints(
        incarnation=desk.me,
        handlers=desk.handlers,
        queues=queues,
        board=desk.board,
        callers=desk.callers,
        random=lambda: desk.chance,
        ticker=desk.ticker,
        scheduler=desk.scheduler,
        leader=desk.leader,
        health=desk.health,
    )


@pytest.mark.parametrize(
    ("hint", "told"),
    [
        ("default/echo", [WorkHinted(handler="echo")]),
        ("mail/fail", [WorkHinted(handler="fail")]),
        ("mail/", [WorkHinted(handler="")]),
        ("default/unknown", []),
        ("other/echo", []),
        ("other/", []),
        ("", [Wake()]),
    ],
)
def test_the_scheduler_hears_of_lanes_that_are_served(hint: str, told: list[object]) -> None:
    desk = Desk()
    hints(desk)(hint)
    assert desk.scheduler.mail == told


def test_who_serves_every_queue_is_told_of_every_queue() -> None:
    desk = Desk()
    hints(desk, ("*",))("whatever/echo")
    assert desk.scheduler.mail == [WorkHinted(handler="echo")]


def test_orders_are_fetched_by_whom_they_are_for() -> None:
    desk = Desk()
    one = hints(desk)
    one("@other-1")
    assert desk.health.mail == []
    one("@me-1")
    assert desk.health.mail == [OrdersFiled()]
    desk.me.renew()
    one("@me-1")
    one("@me-2")
    assert desk.health.mail == [OrdersFiled()] * 2


def test_a_term_that_is_over_is_the_leaders_business() -> None:
    desk = Desk()
    hints(desk)("!")
    assert desk.leader.mail == [TermOver()]
    assert desk.scheduler.mail == desk.health.mail == []


def test_after_a_gap_anything_may_have_been_missed() -> None:
    desk = Desk()
    hints(desk)("")
    assert (desk.scheduler.mail, desk.health.mail) == ([Wake()], [OrdersFiled()])


@pytest.mark.parametrize(("nodes", "delay"), [(FEW, None), (FEW + 1, SPREAD // 2), (FEW + 100, 50 * SPREAD)])
def test_among_many_each_waits_a_moment_of_its_own(nodes: int, delay: int | None) -> None:
    desk = Desk()
    desk.board.snapshot = Snapshot(at=0, since=dict.fromkeys(map(str, range(nodes)), 0))
    hints(desk)("default/echo")
    if delay is None:
        assert desk.scheduler.mail == [WorkHinted(handler="echo")]
    else:
        assert desk.ticker.alarms == [(delay, desk.scheduler, WorkHinted(handler="echo"))]
        assert desk.scheduler.mail == []
