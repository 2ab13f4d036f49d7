"""Members: incarnations that come, beat, drain, leave or are declared dead; the orders that their beats bring."""

from __future__ import annotations

from typing import Any

import pytest

from storage import verbs as v
from taskqueue.core import events as ev
from taskqueue.core.clock import SECOND, ManualClock
from taskqueue.core.events import Code
from taskqueue.core.task import Status
from taskqueue.core.views import Declaration, Member
from tests.stores import Driver


def member(deck: Driver, owner: str) -> Member:
    return next(member for member in deck.store.members() if member.owner == owner)


def owners(deck: Driver) -> list[str]:
    return [member.owner for member in deck.store.members()]


def orders(deck: Driver, owner: str, *done: int) -> list[tuple[str, str, int]]:
    """What the next beat of `owner` brings."""
    beaten = deck.do(v.Beat(owner, 0, done))
    assert beaten.code is Code.OK
    return [(order.kind, order.task, order.fence) for order in beaten.orders]


def test_a_member_is_what_it_said(deck: Driver, clock: ManualClock) -> None:
    clock.advance(SECOND)
    echo = Declaration(
        name="echo",
        isolation="async",
        queue="mail",
        priority=7,
        timeout=SECOND,
        retries=5,
        keep_result=False,
        schema=b'{"type":"object"}',
    )
    said: dict[str, Any] = {
        "host": "h",
        "pid": 1234,
        "workers": 3,
        "queues": ("q1", "q2"),
        "handlers": (echo, Declaration(name="sleep")),
    }
    assert deck.join("c-1", "c", **said) == v.Answer(Code.OK)
    assert member(deck, "c-1") == Member(
        owner="c-1",
        node="c",
        started_at=deck.now,
        beat=member(deck, "c-1").beat,
        beat_at=deck.now,
        running=0,
        fenced=False,
        draining=False,
        left=False,
        **said,
    )
    assert owners(deck) == ["a", "b", "c-1"]


def test_a_node_takes_the_name_of_one_that_stood_still_unless_it_has_beaten_since(deck: Driver) -> None:
    stood = deck.beats("a")
    for instead_of in (None, ("a", stood + 1), ("b", deck.beats("b")), ("unknown", 0)):
        assert deck.join("a2", "a", instead_of=instead_of) == v.Answer(Code.REFUSED)
    deck.do(v.Beat("a"))
    assert deck.join("a2", "a", instead_of=("a", stood)) == v.Answer(Code.REFUSED)
    assert deck.join("a2", "a", instead_of=("a", stood + 1)) == v.Answer(Code.OK)
    assert (member(deck, "a").fenced, member(deck, "b").fenced) == (True, False)
    assert deck.do(v.Beat("a")) == v.Beaten(Code.FENCED)
    assert set(deck.do(v.Beat("a2")).beats) == {"a2", "b"}
    assert deck.join("a2", "a", instead_of=("a", stood + 1)) == v.Answer(Code.OK), "a repeat"


def test_a_name_that_is_free_is_had_whoever_was_to_be_followed(deck: Driver) -> None:
    assert deck.join("c-2", "c", instead_of=("c-1", 7)) == v.Answer(Code.OK)
    assert deck.join("c-2", "c", instead_of=("c-2", 0)) == v.Answer(Code.OK)
    assert not member(deck, "c-2").fenced


def test_a_beat_counts_and_carries_everybodys_beat(deck: Driver, clock: ManualClock) -> None:
    before = deck.beats("a")
    clock.advance(SECOND)
    beaten = deck.do(v.Beat("a", 4))
    assert beaten == v.Beaten(Code.OK, {"a": before + 1, "b": deck.beats("b")}, (), deck.now)
    seen = member(deck, "a")
    assert (seen.beat, seen.beat_at, seen.running) == (before + 1, deck.now, 4)
    assert deck.do(v.Beat("a")).beats["a"] == before + 2
    assert deck.do(v.Beat("b")).beats == {"a": before + 2, "b": deck.beats("b")}


def test_the_gone_do_not_beat_and_are_not_seen_in_beats(deck: Driver) -> None:
    deck.join("c")
    deck.fence("b")
    deck.do(v.Deregister("c"))
    for owner in ("b", "c", "unknown"):
        assert deck.do(v.Beat(owner)) == v.Beaten(Code.FENCED)
    assert set(deck.do(v.Beat("a")).beats) == {"a"}
    assert member(deck, "b").fenced
    assert not member(deck, "b").left
    assert member(deck, "c").left
    assert not member(deck, "c").fenced


# -- names -----------------------------------------------------------------------------------------------------------


def test_a_node_has_one_live_incarnation(deck: Driver) -> None:
    assert deck.join("a-2", "a") == v.Answer(Code.REFUSED)
    assert owners(deck) == ["a", "b"]
    deck.fence("b")
    assert deck.join("b-2", "b").code is Code.OK
    assert deck.join("b-3", "b").code is Code.REFUSED
    deck.do(v.Deregister("b-2"))
    assert deck.join("b-3", "b").code is Code.OK
    assert owners(deck) == ["a", "b", "b-2", "b-3"]


def test_a_repeated_register_is_no_new_incarnation(deck: Driver) -> None:
    deck.run("a")
    assert deck.join("a", workers=9).code is Code.OK
    assert owners(deck) == ["a", "b"]
    assert member(deck, "a").workers == 9
    assert deck.happens(ev.Complete).code is Code.OK


def test_who_is_gone_has_to_come_back_under_another_name(deck: Driver) -> None:
    deck.join("c")
    deck.fence("b")
    deck.do(v.Deregister("c"))
    assert deck.join("b").code is Code.FENCED
    assert deck.join("c").code is Code.FENCED
    assert deck.claim("b").code is Code.FENCED


def test_alone_fences_everybody_else(deck: Driver) -> None:
    deck.join("c")
    deck.do(v.Deregister("c"))
    deck.run("b")
    assert deck.join("a-2", "a", alone=True).code is Code.OK
    assert [m.owner for m in deck.store.members() if m.fenced] == ["a", "b"]
    assert not member(deck, "a-2").fenced
    assert deck.happens(ev.Complete).code is Code.STALE
    deck.lead("a-2")
    assert deck.led(v.Reap, owner="b", max_crashes=3).count == 1
    assert (deck.get().status, deck.get().crashes) == (Status.PENDING, 1)
    assert deck.took("a-2") == ["t1"]


def test_alone_again_does_not_fence_itself(deck: Driver) -> None:
    for _ in range(2):
        assert deck.join("a", alone=True).code is Code.OK
    assert [m.owner for m in deck.store.members() if m.fenced] == ["b"]
    assert deck.do(v.Beat("a")).code is Code.OK


# -- leaving ---------------------------------------------------------------------------------------------------------


def test_who_holds_something_cannot_leave(deck: Driver) -> None:
    deck.run("b")
    assert deck.do(v.Deregister("b")) == v.Answer(Code.REFUSED)
    assert deck.do(v.Beat("b")).code is Code.OK
    deck.happens(ev.Release)
    assert deck.do(v.Deregister("b")) == v.Answer(Code.OK)
    assert deck.do(v.Deregister("b")) == v.Answer(Code.OK)


def test_who_is_fenced_or_unknown_cannot_leave(deck: Driver) -> None:
    deck.fence("b")
    assert deck.do(v.Deregister("b")) == v.Answer(Code.FENCED)
    assert deck.do(v.Deregister("unknown")) == v.Answer(Code.FENCED)


def test_the_gone_are_remembered_for_a_while(deck: Driver, clock: ManualClock) -> None:
    deck.join("c")
    deck.fence("b")
    deck.do(v.Deregister("c"))
    clock.advance(v.MEMBER_MEMORY - SECOND)
    deck.led(v.PruneOld, keep=())
    assert owners(deck) == ["a", "b", "c"]
    clock.advance(2 * SECOND)
    deck.led(v.PruneOld, keep=())
    assert owners(deck) == ["a"]


def test_nobody_is_forgotten_with_a_task_in_its_hands(deck: Driver, clock: ManualClock) -> None:
    deck.run("b")
    deck.fence("b")
    clock.advance(2 * v.MEMBER_MEMORY)
    deck.led(v.PruneOld, keep=())
    assert owners(deck) == ["a", "b"]
    assert deck.led(v.Reap, owner="b", max_crashes=3) == v.Moved(Code.OK, 1)
    deck.led(v.PruneOld, keep=())
    assert owners(deck) == ["a"]
    assert deck.led(v.Reap, owner="b", max_crashes=3) == v.Moved(Code.NOT_FOUND)


# -- draining and orders ---------------------------------------------------------------------------------------------


def test_draining_is_ordered_and_seen(deck: Driver) -> None:
    assert deck.do(v.Drain("b")) == v.Answer(Code.OK)
    assert member(deck, "b").draining
    assert not member(deck, "a").draining
    assert orders(deck, "b") == [("drain", "", 0)]
    assert deck.do(v.Drain("b", on=False)) == v.Answer(Code.OK)
    assert not member(deck, "b").draining
    assert orders(deck, "b") == [("drain", "", 0), ("undrain", "", 0)]
    assert orders(deck, "a") == []


def test_only_a_live_node_can_be_drained(deck: Driver) -> None:
    deck.fence("b")
    assert deck.do(v.Drain("b")) == v.Answer(Code.NOT_FOUND)
    assert deck.do(v.Drain("unknown")) == v.Answer(Code.NOT_FOUND)
    deck.join("b-2", "b")
    assert deck.do(v.Drain("b")) == v.Answer(Code.OK)
    assert member(deck, "b-2").draining
    assert not member(deck, "b").draining


def test_an_order_stands_until_it_is_done(deck: Driver) -> None:
    deck.do(v.Drain("b"))
    deck.do(v.Drain("b", on=False))
    first, second = deck.do(v.Beat("b")).orders
    assert first.number != second.number
    assert deck.do(v.Beat("b", 0, (second.number, 999_999))).orders == (first,)
    assert deck.do(v.Beat("a", 0, (first.number,))).orders == ()  # nobody acknowledges for others
    assert deck.do(v.Beat("b")).orders == (first,)
    assert deck.do(v.Beat("b", 0, (first.number,))).orders == ()
    deck.do(v.Drain("b"))
    [third] = deck.do(v.Beat("b")).orders
    assert third.number not in (first.number, second.number)


def test_a_cancelled_run_is_told_to_its_owner(deck: Driver) -> None:
    fence = deck.run("b").fence
    answer = deck.happens(ev.Cancel)
    assert (answer.code, answer.status) == (Code.OK, Status.CANCELLED)
    assert orders(deck, "a") == []
    assert orders(deck, "b") == [("cancel", "t1", fence)]
    assert deck.happens(ev.Complete, owner="b", fence=fence).code is Code.STALE
    [order] = deck.do(v.Beat("b")).orders
    assert orders(deck, "b", order.number) == []


@pytest.mark.parametrize("status", [Status.PENDING, Status.FAILED])
def test_a_cancel_of_what_waits_is_no_order(deck: Driver, status: Status) -> None:
    deck.run("b")
    if status is Status.FAILED:
        deck.fail()
    else:
        deck.happens(ev.Release)
    deck.happens(ev.Cancel)
    assert orders(deck, "b") == []


def test_only_an_accepted_cancel_is_an_order(deck: Driver) -> None:
    deck.run("b")
    deck.happens(ev.Cancel, op="one")
    deck.happens(ev.Cancel, op="one")
    deck.happens(ev.Cancel, op="two")
    assert len(orders(deck, "b")) == 1
