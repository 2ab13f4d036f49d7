"""Claims: whose turn it is, which lanes, how many, what a repeat answers, what is given up on the way."""

from __future__ import annotations

from typing import Any

import pytest

from storage import verbs as v
from taskqueue.core import events as ev
from taskqueue.core.clock import HOUR, MINUTE, SECOND, ManualClock
from taskqueue.core.config import Config
from taskqueue.core.events import Code
from taskqueue.core.task import Cause, Status, Task
from tests.stores import Driver, Memory, Sqlite, group

AGING = Config().priority_aging


def names(tasks: tuple[tuple[Task, ...], ...]) -> list[list[str]]:
    return [[task.id for task in part] for part in tasks]


# -- order -----------------------------------------------------------------------------------------------------------


def test_first_in_first_out(deck: Driver, clock: ManualClock) -> None:
    for name in "cab":
        deck.add(name)
        clock.advance(1)
    assert deck.took("a") == ["c", "a", "b"]


def test_ties_go_by_id(deck: Driver) -> None:
    for name in ("b", "a", "B", "a-1"):
        deck.add(name)
    assert deck.took("a") == ["B", "a", "a-1", "b"]


def test_higher_priority_runs_first(deck: Driver, clock: ManualClock) -> None:
    for priority in (0, 4, 9, 1):
        deck.add(f"p{priority}", priority=priority)
        clock.advance(SECOND)
    assert deck.took("a") == ["p9", "p4", "p1", "p0"]


@pytest.mark.parametrize(("waited", "first"), [(AGING - 1, "high"), (AGING, "aged"), (AGING + 1, "aged")])
def test_one_level_is_a_head_start(deck: Driver, clock: ManualClock, waited: int, first: str) -> None:
    deck.add("aged", priority=4)
    clock.advance(waited)
    deck.add("high", priority=5)
    assert deck.took("a", group(n=1)) == [first]


def test_a_run_at_sets_the_rank(deck: Driver, clock: ManualClock) -> None:
    deck.add("later", run_at=deck.now + 2 * SECOND)
    deck.add("delayed", delay=SECOND)
    clock.advance(SECOND + 1)
    deck.add("now")
    clock.advance(SECOND)
    assert deck.took("a") == ["delayed", "now", "later"]


def test_a_retry_and_a_release_keep_the_rank(deck: Driver, clock: ManualClock) -> None:
    deck.run("a", "failed")
    deck.fail("failed", delay=SECOND)
    clock.advance(1)
    deck.run("a", "released")
    clock.advance(1)
    deck.add("young")
    clock.advance(SECOND)
    deck.happens(ev.Release, "released")
    assert deck.took("a") == ["failed", "released", "young"]


def test_a_replay_and_a_snooze_stand_at_the_end(deck: Driver, clock: ManualClock) -> None:
    deck.run("a", "snoozed")
    deck.add("replayed")
    deck.happens(ev.Cancel, "replayed")
    clock.advance(1)
    deck.add("young")
    clock.advance(1)
    deck.happens(ev.Replay, "replayed")
    deck.happens(ev.Snooze, "snoozed", delay=SECOND)
    clock.advance(SECOND)
    assert deck.took("a") == ["young", "replayed", "snoozed"]


def test_an_update_changes_the_turn(deck: Driver, clock: ManualClock) -> None:
    for name in "abcd":
        deck.add(name)
        clock.advance(1)
    deck.happens(ev.Update, "c", priority=9)
    deck.happens(ev.Update, "a", run_at=deck.now + SECOND)
    deck.happens(ev.Update, "b", run_at=deck.now + MINUTE)
    clock.advance(SECOND)
    assert deck.took("a") == ["c", "d", "a"]
    deck.happens(ev.Update, "b", run_at=None)
    assert deck.took("a") == ["b"]


def test_nothing_is_claimed_early(deck: Driver, clock: ManualClock) -> None:
    due = deck.now + MINUTE
    deck.add("t1", run_at=due)
    clock.advance(MINUTE - 1)
    claimed = deck.claim("a")
    assert names(claimed.tasks) == [[]]
    assert claimed.next_due == due
    clock.advance(1)
    claimed = deck.claim("a")
    assert names(claimed.tasks) == [["t1"]]
    assert claimed.next_due is None


def test_next_due_is_the_earliest(deck: Driver) -> None:
    deck.add("t1", delay=MINUTE)
    deck.add("t2", delay=SECOND)
    assert deck.claim("a").next_due == deck.now + SECOND
    deck.happens(ev.Cancel, "t2")
    assert deck.claim("a").next_due == deck.now + MINUTE


def test_a_wall_clock_that_goes_back_holds_up_nothing_that_is_ready(deck: Driver, clock: ManualClock) -> None:
    first = deck.run("a", "t1")
    deck.happens(ev.Release, "t1")
    deck.add("t2")
    clock.jump(-HOUR)
    assert sorted(deck.took("a")) == ["t1", "t2"]
    assert deck.get("t1").fence > first.fence


def test_fences_grow(deck: Driver, clock: ManualClock) -> None:
    fences = []
    for step in (0, 1, -SECOND, HOUR, -HOUR):
        clock.jump(step)
        fences.append(deck.run("a").fence)
        deck.happens(ev.Release)
    assert fences == sorted(set(fences))


def test_a_claim_promotes_what_is_due_but_not_too_much(deck: Driver, clock: ManualClock) -> None:
    count = v.PROMOTED_PER_CLAIM
    for n in range(count + 10):
        deck.add(f"t{n:03}", delay=SECOND + n)
    clock.advance(MINUTE)
    claimed = deck.claim("a", group(n=1_000))
    assert names(claimed.tasks) == [[f"t{n:03}" for n in range(count)]]
    assert claimed.next_due is not None
    assert claimed.next_due <= deck.now
    assert len(deck.took("a", group(n=1_000))) == 10


def test_a_claim_promotes_other_lanes_too(deck: Driver, clock: ManualClock) -> None:
    deck.add("t1", delay=SECOND, handler="other")
    clock.advance(SECOND)
    deck.claim("a", group("echo"))
    assert not deck.get().delayed
    assert deck.get().status is Status.PENDING


# -- groups and lanes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4])
def test_no_more_than_there_is_room(deck: Driver, n: int) -> None:
    for name in "abc":
        deck.add(name)
    assert deck.took("a", group(n=n)) == list("abc"[:n])


def test_lanes_are_handlers_times_queues(deck: Driver) -> None:
    for queue in ("q1", "q2", "q3"):
        for handler in ("x", "y", "z"):
            deck.add(f"{queue}{handler}", queue=queue, handler=handler)
    assert deck.took("a", group("x", "y", queues=("q1", "q2"))) == ["q1x", "q1y", "q2x", "q2y"]
    assert deck.took("a", group("z", queues=("*",), n=2)) == ["q1z", "q2z"]
    assert deck.took("a", group("none", queues=("*",))) == []
    assert deck.took("a", group("x", queues=("none",))) == []
    assert deck.took("a", group("x", "z", queues=("*",))) == ["q3x", "q3z"]


def test_lanes_are_merged_by_rank(deck: Driver, clock: ManualClock) -> None:
    for n in range(12):
        deck.add(f"t{n:02}", handler="xyz"[n % 3], queue=f"q{n % 2}")
        clock.advance(1)
    assert deck.took("a", group("x", "y", "z", n=7)) == [f"t{n:02}" for n in range(7)]
    assert deck.took("a", group("x", "y", "z", queues=("q1",))) == ["t07", "t09", "t11"]


def test_a_lane_that_nobody_serves_is_in_nobodys_way(deck: Driver) -> None:
    for n in range(300):
        deck.add(f"unserved{n}", handler=f"h{n}", priority=9)
    deck.add("t1", priority=0)
    assert deck.took("a", group(n=1)) == ["t1"]


def test_a_task_is_in_one_group_only(deck: Driver) -> None:
    for name in "abcde":
        deck.add(name)
    deck.add("f", handler="other")
    claimed = deck.claim("a", group(n=2), group("other", "echo", n=2), group("echo", n=9))
    assert names(claimed.tasks) == [["a", "b"], ["c", "d"], ["e"]]


def test_groups_take_the_names_literally(deck: Driver) -> None:
    deck.add("t1", handler="a%", queue="q_")
    assert deck.took("a", group("a%", queues=("qx",)), group("ab", queues=("q_",)), group("*", queues=("q_",))) == []
    assert deck.took("a", group("a%", queues=("q_",))) == ["t1"]


def test_no_groups_no_tasks(deck: Driver) -> None:
    deck.add()
    claimed = deck.do(v.Claim("a", 1, ()))
    assert (claimed.code, claimed.tasks) == (Code.OK, ())


def test_paused_queues_are_skipped(deck: Driver) -> None:
    deck.add("t1", queue="q1")
    deck.add("t2", queue="q2")
    for _ in range(2):
        assert deck.do(v.Pause("q1")).code is Code.OK
    assert deck.took("a", group(queues=("q1",))) == []
    assert deck.took("a", group(queues=("*",))) == ["t2"]
    assert deck.submit("t3", queue="q1").code is Code.OK
    assert deck.took("b", group(queues=("q1", "q2"))) == []
    for _ in range(2):
        assert deck.do(v.Resume("q1")).code is Code.OK
    assert deck.took("a", group(queues=("q1",))) == ["t1", "t3"]


# -- suspects --------------------------------------------------------------------------------------------------------


def test_suspects_are_for_solo_groups_alone(deck: Driver) -> None:
    deck.add("innocent", handler="x")
    deck.add("suspect")
    assert deck.crash("suspect", times=2).solo
    deck.add("t1")
    assert deck.took("a", group()) == ["t1"]
    assert deck.took("a", group("x", "echo", n=1, solo=True)) == ["suspect"]
    assert deck.took("a", group("x", "echo", solo=True)) == []
    assert deck.took("a", group("x")) == ["innocent"]


def test_solo_since_tells_how_long_a_suspect_waits(deck: Driver, clock: ManualClock) -> None:
    assert deck.claim("a").solo_since is None
    deck.add("s1")
    since = deck.crash("s1", times=2).due_at
    clock.advance(SECOND)
    deck.add("s2", queue="q2")
    later = deck.crash("s2", times=2).due_at
    clock.advance(SECOND)
    assert deck.claim("a", group("other")).solo_since is None
    assert deck.claim("a", group("other"), group(queues=("q2",))).solo_since == later
    assert deck.claim("a", group()).solo_since == since
    deck.do(v.Pause("default"))
    assert deck.claim("a", group()).solo_since == later
    deck.do(v.Resume("default"))
    assert deck.took("a", group(n=1, solo=True)) == ["s1"]
    assert deck.claim("a", group()).solo_since == later


def test_a_suspect_that_waits_for_its_retry_is_not_claimable(deck: Driver, clock: ManualClock) -> None:
    deck.add()
    deck.crash(times=2)
    deck.run("a")
    deck.fail(delay=MINUTE)
    assert deck.claim("a", group(solo=True)).solo_since is None
    clock.advance(MINUTE)
    claimed = deck.claim("a", group())
    assert (names(claimed.tasks), claimed.solo_since) == ([[]], deck.now)
    assert deck.took("a", group(solo=True)) == ["t1"]


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
    assert deck.took("a", group(n=1)) == ["good1"]
    for name in ("bad1", "bad2"):
        task = deck.get(name)
        assert task.status is Status.DEAD_LETTERED
        assert task.error is not None
        assert task.error.cause is cause
        assert (task.attempt, task.fence, task.history) == (0, 0, ())
    assert deck.get("elsewhere").status is Status.PENDING
    assert deck.took("a", group(n=5)) == ["good2"]


@pytest.mark.parametrize("cause", [Cause.EXPIRED, Cause.CORRUPT])
def test_many_spoilt_ones_stand_before_a_good_one(deck: Driver, backend: Memory | Sqlite, cause: Cause) -> None:
    for n in range(30):
        spoil(deck, backend, f"bad{n}", cause, priority=9)
    deck.add("good")
    assert deck.took("a", group(n=1)) == ["good"]
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
