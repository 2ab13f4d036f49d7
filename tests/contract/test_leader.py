"""The leader's verbs: fence and reap, promote and expire, prune, sweep."""

from __future__ import annotations

import pytest

from storage import verbs as v
from taskqueue.core import events as ev
from taskqueue.core.clock import DAY, MINUTE, SECOND, ManualClock
from taskqueue.core.events import Code
from taskqueue.core.states import apply
from taskqueue.core.task import Cause, Status
from tests.stores import Driver, Memory, Sqlite, everything, group

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
