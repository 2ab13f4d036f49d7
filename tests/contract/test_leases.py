"""Leases: members that are no nodes, for one claim of a worker from outside; its runs renew it, the leader ends it."""

from __future__ import annotations

import pytest

from storage import verbs as v
from taskqueue.core import events as ev
from taskqueue.core.clock import SECOND, ManualClock
from taskqueue.core.events import Code
from taskqueue.core.task import Cause, Status
from taskqueue.core.views import LeaseView
from tests.stores import Driver, group, names

TTL = 30 * SECOND


def lease(deck: Driver, owner: str = "w", node: str = "worker", ttl: int = TTL) -> v.Answer:
    answer: v.Answer = deck.do(v.Lease(owner, node, ttl))
    return answer


def renew(deck: Driver, task_id: str = "t1", owner: str = "w", fence: int | None = None) -> v.Answer:
    fence = deck.get(task_id).fence if fence is None else fence
    answer: v.Answer = deck.do(v.Renew(owner, task_id, fence))
    return answer


def beat_of(deck: Driver, owner: str = "w") -> int:
    return next(one.beat for one in deck.store.leases() if one.owner == owner)


def seen(deck: Driver) -> list[str]:
    return [one.owner for one in deck.store.leases()]


# -- coming ----------------------------------------------------------------------------------------------------------


def test_a_lease_is_no_node(deck: Driver) -> None:
    assert lease(deck) == v.Answer(Code.OK)
    assert deck.store.leases() == [LeaseView(owner="w", node="worker", ttl=TTL, beat=1, fenced=False)]
    assert [one.owner for one in deck.store.members()] == ["a", "b"]
    assert set(deck.do(v.Beat("a")).beats) == {"a", "b"}
    assert deck.do(v.Beat("w")) == v.Beaten(Code.FENCED)
    assert deck.do(v.Drain("worker")) == v.Answer(Code.NOT_FOUND)
    seen_term = deck.store.term()
    assert deck.do(v.Campaign("w", seen_term.epoch, seen_term.beat)).code is Code.REFUSED
    assert deck.join("c", "worker") == v.Answer(Code.OK), "the name that it shows is nobody's"


def test_leases_stand_in_order(deck: Driver) -> None:
    for owner in ("w2", "w3", "w1"):
        lease(deck, owner)
    assert seen(deck) == ["w1", "w2", "w3"]


def test_a_repeated_lease_is_renewed_and_says_anew_what_it_is(deck: Driver) -> None:
    lease(deck)
    assert lease(deck, node="other", ttl=2 * TTL) == v.Answer(Code.OK)
    assert deck.store.leases() == [LeaseView(owner="w", node="other", ttl=2 * TTL, beat=2, fenced=False)]


def test_a_node_cannot_be_leased(deck: Driver) -> None:
    assert lease(deck, "a") == v.Answer(Code.REFUSED)
    assert seen(deck) == []
    deck.fence("b")
    assert lease(deck, "b") == v.Answer(Code.FENCED)


def test_a_node_that_is_alone_leaves_leases_alone(deck: Driver) -> None:
    lease(deck)
    deck.run("w")
    assert deck.join("a-2", "a", alone=True).code is Code.OK
    assert renew(deck) == v.Answer(Code.OK, Status.PROCESSING)
    assert deck.happens(ev.Complete).code is Code.OK


# -- claiming --------------------------------------------------------------------------------------------------------


def test_a_lease_claims_as_a_node_does(deck: Driver) -> None:
    lease(deck)
    deck.add("t1")
    deck.add("t2")
    first = deck.claim("w", group(n=1), request=1)
    assert names(first.tasks) == [["t1"]]
    assert deck.claim("w", group(n=1), request=1).tasks == first.tasks
    task = deck.get("t1")
    assert (task.owner, task.node, task.status, task.attempt) == ("w", "worker", Status.PROCESSING, 1)
    assert [one.id for one in deck.store.held("w")] == ["t1"]
    assert deck.claim("unknown").code is Code.FENCED


def test_a_suspect_that_is_taken_first_is_taken_alone(deck: Driver) -> None:
    for name in ("s1", "s2"):
        deck.add(name, handler="x")
        deck.crash(name, times=2)
    deck.add("t1", handler="x")
    lease(deck)
    groups = (group("x", n=1, solo=True), group("x", n=9))
    first = deck.claim("w", *groups, request=1)
    assert names(first.tasks) == [["s1"], []]
    assert deck.claim("w", *groups, request=1).tasks == first.tasks
    lease(deck, "w2")
    assert names(deck.claim("w2", *groups, request=1).tasks) == [["s2"], []]
    lease(deck, "w3")
    assert names(deck.claim("w3", *groups, request=1).tasks) == [[], ["t1"]]


def test_a_damaged_suspect_keeps_nobody_from_the_rest(deck: Driver, backend: object) -> None:
    deck.add("s1")
    deck.crash("s1", times=2)
    deck.add("t1")
    backend.corrupt("s1")  # type: ignore[attr-defined]
    lease(deck)
    claimed = deck.claim("w", group(n=1, solo=True), group(n=9), request=1)
    assert names(claimed.tasks) == [[], ["t1"]]
    assert claimed.given_up == (v.GivenUp("s1", "echo", Cause.CORRUPT),)


# -- renewing --------------------------------------------------------------------------------------------------------


def test_each_of_its_runs_renews_a_lease(deck: Driver) -> None:
    lease(deck)
    for name in ("t1", "t2"):
        deck.add(name)
    deck.claim("w", request=1)
    for n, name in enumerate(("t1", "t2", "t1")):
        assert renew(deck, name) == v.Answer(Code.OK, Status.PROCESSING)
        assert beat_of(deck) == 2 + n


def test_what_is_not_held_renews_nothing(deck: Driver) -> None:
    for owner in ("w", "w2"):
        lease(deck, owner)
    fence = deck.run("w").fence
    deck.add("t2")
    assert renew(deck, fence=fence + 1) == v.Answer(Code.STALE, Status.PROCESSING)
    assert renew(deck, owner="w2") == v.Answer(Code.STALE, Status.PROCESSING)
    assert renew(deck, "t2") == v.Answer(Code.STALE, Status.PENDING)
    assert deck.do(v.Renew("w", "t9", fence)) == v.Answer(Code.NOT_FOUND)
    assert deck.do(v.Renew("unknown", "t1", fence)) == v.Answer(Code.STALE, Status.PROCESSING)
    assert (beat_of(deck), beat_of(deck, "w2")) == (1, 1)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (ev.Complete, Status.COMPLETED),
        (ev.Fail, Status.FAILED),
        (ev.Release, Status.PENDING),
        (ev.Cancel, Status.CANCELLED),
    ],
)
def test_a_run_that_is_over_renews_nothing(deck: Driver, kind: type[ev.Event], status: Status) -> None:
    lease(deck)
    fence = deck.run("w").fence
    answer = deck.fail(delay=SECOND) if kind is ev.Fail else deck.happens(kind)
    assert answer.code is Code.OK
    assert renew(deck, fence=fence) == v.Answer(Code.STALE, status)
    assert beat_of(deck) == 1


def test_a_node_does_not_renew(deck: Driver) -> None:
    before = deck.beats("a")
    deck.run("a")
    assert renew(deck, owner="a") == v.Answer(Code.STALE, Status.PROCESSING)
    assert deck.beats("a") == before


def test_many_renewals_at_once(deck: Driver) -> None:
    for n in range(150):
        lease(deck, f"w{n}")
        deck.add(f"t{n}", handler=f"h{n}")
        deck.run(f"w{n}", f"t{n}")
    verbs = [v.Renew(f"w{n}", f"t{n}", deck.get(f"t{n}").fence + n % 2) for n in range(150)]
    answers = deck.store.execute(verbs)
    assert [a.code for a in answers if isinstance(a, v.Answer)] == [Code.OK, Code.STALE] * 75


# -- ending ----------------------------------------------------------------------------------------------------------


def test_a_lease_is_over_once_nothing_is_held(deck: Driver) -> None:
    lease(deck)
    deck.run("w")
    assert deck.do(v.Deregister("w")) == v.Answer(Code.REFUSED)
    assert deck.happens(ev.Complete).code is Code.OK
    for _ in range(2):
        assert deck.do(v.Deregister("w")) == v.Answer(Code.OK)
    assert seen(deck) == []
    assert lease(deck) == v.Answer(Code.FENCED)
    assert deck.claim("w", request=1).code is Code.FENCED


def test_a_lease_that_took_nothing_leaves_no_trace_where_none_is_wanted(deck: Driver) -> None:
    lease(deck)
    assert names(deck.claim("w", request=1).tasks) == [[]]
    assert deck.do(v.Deregister("w", trace=False)) == v.Answer(Code.OK)
    assert seen(deck) == []
    assert deck.do(v.Deregister("w", trace=False)) == v.Answer(Code.FENCED)
    deck.add()
    assert lease(deck) == v.Answer(Code.OK)
    assert names(deck.claim("w", request=1).tasks) == [["t1"]], "a claim of the same number, and a new one"
    assert deck.do(v.Deregister("w", trace=False)) == v.Answer(Code.REFUSED)


def test_what_is_over_keeps_its_trace(deck: Driver) -> None:
    lease(deck)
    deck.do(v.Deregister("w"))
    assert deck.do(v.Deregister("w", trace=False)) == v.Answer(Code.OK)
    assert lease(deck) == v.Answer(Code.FENCED)


def test_a_node_always_leaves_a_trace(deck: Driver) -> None:
    assert deck.do(v.Deregister("b", trace=False)) == v.Answer(Code.OK)
    assert [one.owner for one in deck.store.members() if one.left] == ["b"]


def test_a_lease_that_is_not_renewed_dies_as_a_node_does(deck: Driver) -> None:
    lease(deck)
    fence = deck.run("w").fence
    renew(deck)
    assert deck.led(v.Fence, owner="w", beat=1) == v.Answer(Code.STALE)
    assert deck.led(v.Reap, owner="w", max_crashes=3) == v.Moved(Code.REFUSED)
    assert deck.led(v.Fence, owner="w", beat=2) == v.Answer(Code.OK)
    assert deck.store.leases() == [LeaseView(owner="w", node="worker", ttl=TTL, beat=2, fenced=True)]
    assert renew(deck) == v.Answer(Code.STALE, Status.PROCESSING)
    assert deck.happens(ev.Complete, owner="w", fence=fence).code is Code.STALE
    assert lease(deck) == v.Answer(Code.FENCED)
    assert deck.led(v.Reap, owner="w", max_crashes=3) == v.Moved(Code.OK, 1)
    task = deck.get()
    assert (task.status, task.crashes, task.error and task.error.cause) == (Status.PENDING, 1, Cause.CRASH)
    assert task.history[-1].node == "worker"


def test_crashes_of_leases_and_nodes_are_one_budget(deck: Driver) -> None:
    deck.add()
    deck.crash(times=1)
    lease(deck)
    deck.run("w")
    deck.led(v.Fence, owner="w", beat=1)
    deck.led(v.Reap, owner="w", max_crashes=3)
    assert (deck.get().crashes, deck.get().solo) == (2, True)
    lease(deck, "w2")
    deck.run("w2")
    deck.led(v.Fence, owner="w2", beat=1)
    assert deck.led(v.Reap, owner="w2", max_crashes=3).ids == ("t1",)
    assert deck.get().status is Status.DEAD_LETTERED


def test_leases_that_are_over_are_forgotten_soon(deck: Driver, clock: ManualClock) -> None:
    for owner in ("w", "w2"):
        lease(deck, owner)
    deck.run("w2")
    deck.do(v.Deregister("w"))
    deck.led(v.Fence, owner="w2", beat=1)
    clock.advance(v.LEASE_MEMORY - SECOND)
    deck.led(v.PruneOld, keep=())
    assert (lease(deck).code, seen(deck)) == (Code.FENCED, ["w2"])
    clock.advance(2 * SECOND)
    deck.led(v.PruneOld, keep=())
    assert seen(deck) == ["w2"], "not with a task in its hands"
    deck.led(v.Reap, owner="w2", max_crashes=3)
    deck.led(v.PruneOld, keep=())
    assert seen(deck) == []
    assert lease(deck).code is Code.OK
    assert [one.owner for one in deck.store.members()] == ["a", "b"]


def test_of_many_leases_that_are_over_none_is_kept_for_later(deck: Driver, clock: ManualClock) -> None:
    owners = [f"w{n}" for n in range(1_100)]
    for first in range(0, len(owners), 100):
        some = owners[first : first + 100]
        deck.store.execute([verb for owner in some for verb in (v.Lease(owner, "worker", TTL), v.Deregister(owner))])
    clock.advance(v.LEASE_MEMORY + SECOND)
    while deck.led(v.PruneOld, keep=()).more:
        pass
    again = deck.store.execute([v.Lease(owner, "worker", TTL) for owner in owners])
    assert again == [v.Answer(Code.OK)] * len(owners)


def test_a_live_lease_is_never_forgotten(deck: Driver, clock: ManualClock) -> None:
    lease(deck)
    clock.advance(10 * v.MEMBER_MEMORY)
    deck.led(v.PruneOld, keep=())
    deck.led(v.Sweep)
    assert seen(deck) == ["w"]


def test_the_sweep_leaves_what_a_lease_holds(deck: Driver) -> None:
    lease(deck)
    deck.run("w")
    assert deck.led(v.Sweep) == v.Moved(Code.OK)
    assert deck.get().status is Status.PROCESSING


def test_no_order_is_filed_that_nobody_would_carry_out(deck: Driver) -> None:
    lease(deck)
    deck.run("w")
    deck.happens(ev.Cancel)
    assert deck.do(v.Deregister("w")) == v.Answer(Code.OK)
    assert deck.do(v.Beat("a")).orders == ()
