"""Claims: whose turn it is, which lanes, how many, what a repeat answers, what is given up on the way."""

from __future__ import annotations

import pytest

from storage import verbs as v
from taskqueue.core import events as ev
from taskqueue.core.clock import HOUR, MINUTE, SECOND, ManualClock
from taskqueue.core.config import Config
from taskqueue.core.events import Code
from taskqueue.core.task import Status
from tests.stores import Driver, group, names

AGING = Config().priority_aging


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


def test_who_may_run_already_keeps_its_place_when_told_to_run_now(deck: Driver, clock: ManualClock) -> None:
    deck.join("n")
    for name in ("first", "second"):
        deck.add(name)
        clock.advance(SECOND)
    before = deck.get("first")
    assert deck.happens(ev.Update, "first", run_at=None).code is Code.OK
    assert deck.happens(ev.Update, "first", run_at=deck.now - MINUTE).code is Code.OK
    after = deck.get("first")
    assert (after.due_at, after.eligible_at, after.delayed) == (before.due_at, before.eligible_at, False)
    assert deck.took("n", group(n=2)) == ["first", "second"]


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


def test_what_has_been_through_something_comes_in_its_turn_too(deck: Driver, clock: ManualClock) -> None:
    large = b'"' + b"x" * 200 + b'"'
    wanted = [f"t{n}" for n in range(7)]
    for name, changes in zip(wanted, ({}, {"tags": ("x",)}, {}, {}, {"key": "k"}, {"payload": large}, {}), strict=True):
        deck.add(name, **changes)
        clock.advance(1)
    ran = deck.claim("a", group(n=2)).tasks[0]
    for task in ran:
        deck.happens(ev.Release, task.id)
    ((*taken,),) = deck.claim("a", group(n=6)).tasks
    assert [task.id for task in taken] == wanted[:6]
    assert taken == [deck.get(name) for name in wanted[:6]]


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
