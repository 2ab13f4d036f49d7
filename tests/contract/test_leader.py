"""Leading: terms by compare-and-set, and the verbs that only the leader may use."""

from __future__ import annotations

from typing import Any

import pytest

from storage import verbs as v
from taskqueue.core import events as ev
from taskqueue.core.clock import DAY, MINUTE, SECOND, ManualClock
from taskqueue.core.events import Code
from taskqueue.core.states import apply
from taskqueue.core.task import Cause, Status
from tests.factories import draft
from tests.stores import Driver, Memory, Sqlite, everything, group

LED: dict[str, v.Led] = {
    "fence": v.Fence(leader="", epoch=0, owner="b", beat=0),
    "reap": v.Reap(leader="", epoch=0, owner="dead", max_crashes=3),
    "promote": v.PromoteDue(leader="", epoch=0),
    "expire": v.ExpireDue(leader="", epoch=0),
    "prune": v.PruneOld(leader="", epoch=0, keep=(v.Keep(Status.CANCELLED, 0, 0),)),
    "sweep": v.Sweep(leader="", epoch=0),
    "tick": v.Tick(leader="", epoch=0, schedule="s", generation=1, cursor=0, upto=9, drafts=(draft("tick"),)),
}


# -- terms -----------------------------------------------------------------------------------------------------------


def campaign(deck: Driver, owner: str, epoch: int, beat: int) -> v.Elected:
    elected: v.Elected = deck.do(v.Campaign(owner, epoch, beat))
    assert elected.term == deck.store.term()
    return elected


@pytest.fixture
def fresh(deck: Driver) -> Driver:
    """Nobody leads any more; the term is (1, 1)."""
    assert deck.do(v.Resign("a", 1)).code is Code.OK
    return deck


def test_the_first_term(store: Any, clock: ManualClock) -> None:
    deck = Driver(store, clock)
    deck.join("a")
    assert store.term() == v.Term(None, 0, 0)
    assert campaign(deck, "a", 1, 0) == v.Elected(Code.REFUSED, v.Term(None, 0, 0))
    assert campaign(deck, "a", 0, 0) == v.Elected(Code.OK, v.Term("a", 1, 1))


def test_one_of_two_candidates_wins(fresh: Driver) -> None:
    assert campaign(fresh, "b", 1, 1) == v.Elected(Code.OK, v.Term("b", 2, 1))
    assert campaign(fresh, "a", 1, 1) == v.Elected(Code.REFUSED, v.Term("b", 2, 1))


def test_a_leader_renews_whatever_beat_it_saw(deck: Driver) -> None:
    assert campaign(deck, "a", 1, 1) == v.Elected(Code.OK, v.Term("a", 1, 2))
    assert campaign(deck, "a", 1, 1) == v.Elected(Code.OK, v.Term("a", 1, 3))
    assert campaign(deck, "a", 1, 77) == v.Elected(Code.OK, v.Term("a", 1, 4))


@pytest.mark.parametrize(("epoch", "beat"), [(0, 0), (1, 1), (1, 3), (2, 2)])
def test_a_leader_that_renews_keeps_the_others_out(deck: Driver, epoch: int, beat: int) -> None:
    campaign(deck, "a", 1, 1)
    assert campaign(deck, "b", epoch, beat) == v.Elected(Code.REFUSED, v.Term("a", 1, 2))


def test_a_silent_leader_is_deposed_by_who_saw_its_last_beat(deck: Driver) -> None:
    assert campaign(deck, "b", 1, 1) == v.Elected(Code.OK, v.Term("b", 2, 1))
    assert campaign(deck, "a", 1, 1).code is Code.REFUSED
    assert campaign(deck, "a", 2, 1) == v.Elected(Code.OK, v.Term("a", 3, 1))


@pytest.mark.parametrize("owner", ["fenced", "left", "unknown"])
def test_only_a_live_member_can_lead(deck: Driver, owner: str) -> None:
    deck.join("fenced")
    deck.join("left")
    deck.fence("fenced")
    deck.do(v.Deregister("left"))
    deck.do(v.Resign("a", 1))
    assert campaign(deck, owner, 1, 1) == v.Elected(Code.REFUSED, v.Term(None, 1, 1))


def test_resigning(deck: Driver) -> None:
    assert deck.do(v.Resign("b", 1)) == v.Answer(Code.DEPOSED)
    assert deck.do(v.Resign("a", 0)) == v.Answer(Code.DEPOSED)
    assert deck.store.term().owner == "a"
    assert deck.do(v.Resign("a", 1)) == v.Answer(Code.OK)
    assert deck.store.term() == v.Term(None, 1, 1)
    assert deck.do(v.Resign("a", 1)) == v.Answer(Code.DEPOSED)
    assert campaign(deck, "a", 1, 1) == v.Elected(Code.OK, v.Term("a", 2, 1))


@pytest.mark.parametrize("verb", list(LED.values()), ids=list(LED))
@pytest.mark.parametrize("leader", [("b", 1), ("a", 0), ("a", 2), ("unknown", 1), ("resigned", 3)])
def test_who_does_not_lead_changes_nothing(
    deck: Driver, clock: ManualClock, verb: v.Led, leader: tuple[str, int]
) -> None:
    deck.join("dead")
    deck.do(v.PutSchedule(v.Schedule(id="s", spec=b"{}", cursor=0)))
    deck.add("cancelled")
    deck.happens(ev.Cancel, "cancelled")
    deck.add("delayed", delay=SECOND)
    deck.add("expired", expires_at=deck.now + SECOND)
    deck.run("dead", "held", handler="x")
    deck.fence("dead")
    if leader[0] == "resigned":
        deck.do(v.Resign("a", 1))
    clock.advance(MINUTE)
    before = (everything(deck.store), deck.store.members(), deck.store.schedules())
    fields = {name: getattr(verb, name) for name in verb.__struct_fields__}
    answer = deck.do(type(verb)(**{**fields, "leader": leader[0], "epoch": leader[1]}))
    assert answer == (v.Answer if isinstance(verb, v.Fence | v.Tick) else v.Moved)(Code.DEPOSED)
    assert (everything(deck.store), deck.store.members(), deck.store.schedules()) == before
    if leader[0] != "resigned":  # and the true leader's verb would have changed something
        deck.do(type(verb)(**{**fields, "leader": "a", "epoch": 1}))
        after = (everything(deck.store), deck.store.members(), deck.store.schedules())
        assert (after == before) == isinstance(verb, v.Sweep)


# -- the dead --------------------------------------------------------------------------------------------------------


def test_a_beat_saves_from_the_fence(deck: Driver) -> None:
    seen = deck.beats("b")
    deck.do(v.Beat("b"))
    assert deck.led(v.Fence, owner="b", beat=seen) == v.Answer(Code.STALE)
    assert deck.do(v.Beat("b")).code is Code.OK
    assert deck.led(v.Fence, owner="b", beat=deck.beats("b")) == v.Answer(Code.OK)
    assert deck.do(v.Beat("b")).code is Code.FENCED


def test_a_fence_is_for_good_and_repeatable(deck: Driver) -> None:
    deck.fence("b")
    assert deck.led(v.Fence, owner="b", beat=deck.beats("b")) == v.Answer(Code.OK)
    assert deck.led(v.Fence, owner="b", beat=deck.beats("b") + 1) == v.Answer(Code.OK)
    assert deck.led(v.Fence, owner="unknown", beat=0) == v.Answer(Code.NOT_FOUND)


def test_only_the_fenced_are_reaped(deck: Driver) -> None:
    before = deck.run("b")
    assert deck.led(v.Reap, owner="b", max_crashes=3) == v.Moved(Code.REFUSED)
    assert deck.get() == before
    deck.fence("b")
    assert deck.get() == before
    assert deck.led(v.Reap, owner="b", max_crashes=3) == v.Moved(Code.OK, 1)
    assert deck.get() == apply(before, ev.Crash(id="t1", max_crashes=3), deck.now)
    assert deck.led(v.Reap, owner="b", max_crashes=3) == v.Moved(Code.OK, 0)


def test_the_reaped_is_free_for_others_and_the_zombie_is_refused(deck: Driver) -> None:
    fence = deck.run("b").fence
    deck.die("b")
    assert deck.took("a") == ["t1"]
    for kind, fields in ((ev.Complete, {}), (ev.Release, {}), (ev.Report, {"fraction": 1.0})):
        assert deck.happens(kind, owner="b", fence=fence, **fields).code is Code.STALE
    assert deck.happens(ev.Complete, result=b"1").code is Code.OK


def test_reaping_goes_in_bites(deck: Driver) -> None:
    for n in range(5):
        deck.add(f"t{n}")
    deck.claim("b")
    deck.run("a", "other", handler="x")
    deck.fence("b")
    bites = [deck.led(v.Reap, owner="b", max_crashes=3, limit=2) for _ in range(3)]
    assert [(bite.count, bite.more) for bite in bites] == [(2, True), (2, True), (1, False)]
    assert deck.store.counts()[Status.PENDING] == 5
    assert deck.store.held("b") == []
    assert deck.get("other").owner == "a"


def test_the_guilty_is_found_and_its_neighbours_are_not_blamed(deck: Driver) -> None:
    for name in ("guilty", "innocent"):
        deck.add(name)
    for n in range(2):
        owner = f"v{n}"
        deck.join(owner)
        assert sorted(deck.took(owner)) == ["guilty", "innocent"]
        deck.die(owner)
    deck.join("last")
    assert deck.took("last", group()) == []
    assert deck.took("last", group(solo=True, n=1)) == ["guilty"]
    assert deck.die("last").ids == ("guilty",)
    error = deck.get("guilty").error
    assert error is not None
    assert (deck.get("guilty").status, error.cause) == (Status.DEAD_LETTERED, Cause.CRASH)
    assert deck.took("a", group(solo=True)) == ["innocent"]
    deck.happens(ev.Complete, "innocent")
    assert not deck.get("innocent").solo


# -- time ------------------------------------------------------------------------------------------------------------


def test_promotion_goes_by_due_time_in_bites(deck: Driver, clock: ManualClock) -> None:
    for n in (4, 2, 5, 1, 3):
        deck.add(f"t{n}", delay=n * SECOND)
    deck.add("t9", delay=MINUTE)
    clock.advance(5 * SECOND)
    assert deck.led(v.PromoteDue, limit=2) == v.Moved(Code.OK, 2, (), True)
    assert [deck.get(f"t{n}").delayed for n in range(1, 6)] == [False, False, True, True, True]
    assert deck.led(v.PromoteDue, limit=3) == v.Moved(Code.OK, 3, (), False)
    assert deck.led(v.PromoteDue) == v.Moved(Code.OK, 0, (), False)
    assert deck.get("t9").delayed


def test_a_promoted_failure_is_pending(deck: Driver, clock: ManualClock) -> None:
    deck.run("a")
    deck.fail(delay=SECOND)
    clock.advance(SECOND)
    assert deck.led(v.PromoteDue).count == 1
    assert deck.get().status is Status.PENDING
    assert deck.took("b") == ["t1"]


def test_expiry_takes_all_that_waits(deck: Driver, clock: ManualClock) -> None:
    soon = deck.now + SECOND
    deck.run("a", "running", handler="x", expires_at=soon)
    deck.run("a", "failed", handler="y", expires_at=soon)
    deck.fail("failed", delay=MINUTE)
    deck.add("delayed", delay=MINUTE, expires_at=soon)
    deck.add("ready", expires_at=soon - 1)
    deck.add("later", expires_at=soon + 1)
    deck.add("never")
    clock.advance(SECOND)
    first = deck.led(v.ExpireDue, limit=2)
    assert (first.code, first.count, first.more) == (Code.OK, 2, True)
    assert "ready" in first.ids
    second = deck.led(v.ExpireDue, limit=2)
    assert (second.count, second.more) == (1, False)
    assert {*first.ids, *second.ids} == {"ready", "delayed", "failed"}
    for name in ("ready", "delayed", "failed"):
        task = deck.get(name)
        assert task.error is not None
        assert (task.status, task.error.cause) == (Status.DEAD_LETTERED, Cause.EXPIRED)
    assert deck.led(v.ExpireDue) == v.Moved(Code.OK, 0, (), False)


# -- retention -------------------------------------------------------------------------------------------------------

KEEP = tuple(v.Keep(status, DAY, 100) for status in (Status.COMPLETED, Status.CANCELLED, Status.DEAD_LETTERED))


def finish(deck: Driver, task_id: str, status: Status) -> None:
    """A task that ends in `status` now."""
    if status is Status.CANCELLED:
        deck.add(task_id)
        deck.happens(ev.Cancel, task_id)
        return
    deck.run("a", task_id)
    if status is Status.COMPLETED:
        deck.happens(ev.Complete, task_id)
    else:
        deck.fail(task_id, final=True)


@pytest.mark.parametrize("status", [keep.status for keep in KEEP])
def test_retention_by_age(deck: Driver, clock: ManualClock, status: Status) -> None:
    finish(deck, "old", status)
    clock.advance(2 * SECOND)
    finish(deck, "young", status)
    deck.add("waits")
    clock.advance(DAY - SECOND)
    assert deck.led(v.PruneOld, keep=KEEP) == v.Moved(Code.OK, 1, ("old",), False)
    assert deck.store.get("old") is None
    assert {task.id for task in everything(deck.store)} == {"young", "waits"}
    assert deck.submit("old", digest=b"another body").code is Code.OK


@pytest.mark.parametrize("status", [keep.status for keep in KEEP])
def test_retention_by_count(deck: Driver, clock: ManualClock, status: Status) -> None:
    for n in (3, 1, 2, 5, 4):
        finish(deck, f"t{n}", status)
        clock.advance(1)
    deck.add("waits")
    assert deck.led(v.PruneOld, keep=(v.Keep(status, DAY, 2),)).ids == ("t3", "t1", "t2")
    assert deck.led(v.PruneOld, keep=(v.Keep(status, DAY, 2),)).count == 0
    assert deck.led(v.PruneOld, keep=(v.Keep(status, DAY, 0),)).ids == ("t5", "t4")
    assert deck.get("waits").status is Status.PENDING


def test_each_state_has_its_own_retention(deck: Driver, clock: ManualClock) -> None:
    for keep in KEEP:
        finish(deck, keep.status.value, keep.status)
    clock.advance(MINUTE)
    old, few = v.Keep(Status.COMPLETED, SECOND, 9), v.Keep(Status.DEAD_LETTERED, DAY, 0)
    pruned = deck.led(v.PruneOld, keep=(old, v.Keep(Status.CANCELLED, DAY, 9), few))
    assert set(pruned.ids) == {"completed", "dead-lettered"}
    assert deck.led(v.PruneOld, keep=()) == v.Moved(Code.OK, 0)
    assert [task.id for task in everything(deck.store)] == ["cancelled"]


def test_retention_goes_in_bites(deck: Driver, clock: ManualClock) -> None:
    for n in range(3):
        finish(deck, f"c{n}", Status.COMPLETED)
        finish(deck, f"x{n}", Status.CANCELLED)
    clock.advance(2 * DAY)
    bites = [deck.led(v.PruneOld, keep=KEEP, limit=2) for _ in range(3)]
    assert [len(bite.ids) for bite in bites] == [2, 2, 2]
    assert [bite.more for bite in bites][:2] == [True, True]
    assert deck.led(v.PruneOld, keep=KEEP, limit=2) == v.Moved(Code.OK, 0, (), False)
    assert everything(deck.store) == []


# -- limbo -----------------------------------------------------------------------------------------------------------


def test_a_healthy_store_has_nothing_to_sweep(deck: Driver) -> None:
    deck.add("waits", delay=MINUTE)
    deck.run("a", "running")
    deck.run("b", "of the dead", handler="x")
    deck.fence("b")
    before = everything(deck.store)
    assert deck.led(v.Sweep) == v.Moved(Code.OK, 0)
    assert everything(deck.store) == before


def test_tasks_of_nobody_are_given_back_uncharged(deck: Driver, backend: Memory | Sqlite) -> None:
    for n in range(3):
        deck.add(f"t{n}")
    deck.claim("b")
    deck.run("a", "other", handler="x")
    before = deck.get("t0")
    backend.lose_member("b")
    first = deck.led(v.Sweep, limit=2)
    assert (first.code, first.count, first.more) == (Code.OK, 2, True)
    assert deck.led(v.Sweep, limit=2) == v.Moved(Code.OK, 1)
    assert deck.led(v.Sweep) == v.Moved(Code.OK, 0)
    assert deck.get("t0") == apply(before, ev.Release(id="t0", owner="b", fence=before.fence), deck.now)
    assert deck.get("other").owner == "a"
    assert deck.took("a") == ["t0", "t1", "t2"]


def test_counts_that_are_off_are_put_right(deck: Driver, backend: Memory | Sqlite) -> None:
    deck.add()
    backend.miscount()
    assert deck.store.counts()[Status.PENDING] != 1
    assert deck.led(v.Sweep) == v.Moved(Code.OK, 1)
    assert deck.store.counts()[Status.PENDING] == 1
