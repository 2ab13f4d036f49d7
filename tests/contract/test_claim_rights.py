"""Claims: what is given up on the way, what a repeat answers, and who may claim at all."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from storage import verbs as v
from taskqueue.core import events as ev
from taskqueue.core.clock import SECOND, ManualClock
from taskqueue.core.events import Code
from taskqueue.core.task import Cause, Status
from tests.stores import Driver, Memory, Sqlite, group, names

# -- what is given up ------------------------------------------------------------------------------------------------


def spoil(deck: Driver, backend: Memory | Sqlite, task_id: str, cause: Cause, **changes: Any) -> None:
    """A waiting task that a claim has to give up for `cause`."""
    if cause is Cause.EXPIRED:
        deck.add(task_id, expires_at=deck.now + SECOND, **changes)
        deck.clock.advance(SECOND)
    else:
        deck.add(task_id, **changes)
        backend.corrupt(task_id)


@pytest.mark.parametrize("cause", [Cause.EXPIRED, Cause.CORRUPT])
def test_what_is_spoilt_is_given_up_and_takes_no_room(
    deck: Driver, backend: Memory | Sqlite, cause: Cause
) -> None:
    for name in ("bad1", "bad2"):
        spoil(deck, backend, name, cause)
    spoil(deck, backend, "elsewhere", cause, handler="other")
    deck.clock.advance(1)
    deck.add("good1")
    deck.add("good2")
    first = deck.claim("a", group(n=1), request=1)
    assert names(first.tasks) == [["good1"]]
    assert sorted(first.given_up, key=str) == [v.GivenUp(name, "echo", cause) for name in ("bad1", "bad2")]
    assert deck.claim("a", group(n=1), request=1) == replace(first, given_up=()), "a repeat tells nothing twice"
    for name in ("bad1", "bad2"):
        task = deck.get(name)
        assert task.status is Status.DEAD_LETTERED
        assert task.error is not None
        assert task.error.cause is cause
        assert (task.attempt, task.fence, task.history) == (0, 0, ())
    assert deck.get("elsewhere").status is Status.PENDING
    last = deck.claim("a", group(n=5), request=2)
    assert (names(last.tasks), last.given_up) == ([["good2"]], ())


def test_each_group_tells_what_it_gave_up(deck: Driver, backend: Memory | Sqlite) -> None:
    spoil(deck, backend, "a", Cause.EXPIRED, handler="x", queue="mail")
    spoil(deck, backend, "b", Cause.CORRUPT, handler="y")
    deck.add("good", handler="y")
    found = deck.claim("a", group("x"), group("y"))
    assert names(found.tasks) == [[], ["good"]]
    assert sorted(found.given_up, key=str) == [v.GivenUp("a", "x", Cause.EXPIRED), v.GivenUp("b", "y", Cause.CORRUPT)]


@pytest.mark.parametrize("cause", [Cause.EXPIRED, Cause.CORRUPT])
def test_many_spoilt_ones_stand_before_a_good_one(deck: Driver, backend: Memory | Sqlite, cause: Cause) -> None:
    for n in range(30):
        spoil(deck, backend, f"bad{n}", cause, priority=9)
    deck.add("good")
    found = deck.claim("a", group(n=1))
    assert names(found.tasks) == [["good"]]
    assert {task.id for task in found.given_up} == {f"bad{n}" for n in range(30)}
    assert len(found.given_up) == 30
    assert deck.store.counts()[Status.DEAD_LETTERED] == 30


def test_an_expiry_to_come_is_no_reason(deck: Driver, clock: ManualClock) -> None:
    deck.add("t1", expires_at=deck.now + SECOND)
    clock.advance(SECOND - 1)
    assert deck.took("a") == ["t1"]


# -- repeats and rights ----------------------------------------------------------------------------------------------


def test_a_repeat_answers_the_same_and_takes_nothing_new(deck: Driver, clock: ManualClock) -> None:
    groups = (group("x", n=2), group("y", n=5))
    for n in range(3):
        deck.add(f"x{n}", handler="x")
        deck.add(f"y{n}", handler="y", priority=n)
    first = deck.claim("a", *groups, request=7)
    assert names(first.tasks) == [["x0", "x1"], ["y2", "y1", "y0"]]
    clock.advance(SECOND)
    again = deck.claim("a", *groups, request=7)
    assert (again.code, again.tasks) == (Code.OK, first.tasks)
    assert deck.get("x2").status is Status.PENDING


def test_a_repeat_answers_only_what_is_still_held(deck: Driver) -> None:
    for name in "abc":
        deck.add(name)
    deck.claim("a", request=1)
    deck.happens(ev.Complete, "a")
    deck.happens(ev.Release, "b")
    assert names(deck.claim("a", request=1).tasks) == [["c"]]
    assert names(deck.claim("b", request=1).tasks) == [["b"]]
    assert names(deck.claim("a", request=1).tasks) == [["c"]]
    assert names(deck.claim("a", request=2).tasks) == [[]]
    assert names(deck.claim("a", request=2).tasks) == [[]]


def test_a_repeat_groups_as_the_claim_did(deck: Driver) -> None:
    deck.add("suspect")
    deck.crash("suspect", times=2)
    for n in range(4):
        deck.add(f"t{n}")
    groups = (group(n=1), group(solo=True, n=1), group(n=9))
    first = deck.claim("a", *groups, request=1)
    assert names(first.tasks) == [["t0"], ["suspect"], ["t1", "t2", "t3"]]
    assert deck.claim("a", *groups, request=1).tasks == first.tasks


def test_a_repeat_groups_by_queue_and_handler(deck: Driver) -> None:
    for queue in ("q1", "q2"):
        for handler in ("x", "y"):
            deck.add(f"{queue}{handler}", queue=queue, handler=handler)
    groups = (group("x", queues=("q2",)), group("x", "y", queues=("q1",)), group("y"))
    first = deck.claim("a", *groups, request=1)
    assert names(first.tasks) == [["q2x"], ["q1x", "q1y"], ["q2y"]]
    assert deck.claim("a", *groups, request=1).tasks == first.tasks


def test_a_repeat_with_other_groups_loses_nothing(deck: Driver) -> None:
    deck.add()
    deck.claim("a", request=1)
    assert names(deck.claim("a", group("other"), request=1).tasks) == [["t1"]]


def test_an_older_request_is_refused(deck: Driver) -> None:
    deck.claim("a", request=5)
    deck.add()
    assert deck.claim("a", request=4) == v.Claimed(Code.REFUSED)
    assert deck.get().status is Status.PENDING
    assert names(deck.claim("b", request=4).tasks) == [["t1"]]  # each owner counts for itself


@pytest.mark.parametrize("owner", ["unknown", "fenced", "left"])
def test_who_is_no_live_member_gets_nothing(deck: Driver, owner: str) -> None:
    deck.join("fenced")
    deck.join("left")
    deck.fence("fenced")
    deck.do(v.Deregister("left"))
    deck.add()
    assert deck.claim(owner) == v.Claimed(Code.FENCED)
    assert deck.get().status is Status.PENDING


def test_a_draining_node_gets_nothing(deck: Driver) -> None:
    deck.add("held", handler="x")
    deck.claim("a", group("x"), request=1)
    deck.add()
    deck.do(v.Drain("a"))
    again = deck.claim("a", group("x"), request=1)
    assert names(again.tasks) == [["held"]]
    claimed = deck.claim("a", group(), group("x"), request=2)
    assert claimed.code is Code.OK
    assert not any(claimed.tasks)
    assert deck.get().status is Status.PENDING
    deck.do(v.Drain("a", on=False))
    assert names(deck.claim("a", request=3).tasks) == [["t1"]]


def test_two_nodes_never_hold_the_same_task(deck: Driver) -> None:
    for n in range(20):
        deck.add(f"t{n:02}")
    taken = [deck.took("ab"[n % 2], group(n=3)) for n in range(8)]
    together = [name for part in taken for name in part]
    assert together == [f"t{n:02}" for n in range(20)]
    assert {held.id for held in deck.store.held("a")} == {name for part in taken[::2] for name in part}
    assert {held.id for held in deck.store.held("b")} == {name for part in taken[1::2] for name in part}
