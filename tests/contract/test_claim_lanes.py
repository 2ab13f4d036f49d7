"""Claims over many lanes: the order is that of one line, nothing starves, what comes back stands where it belongs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from storage import verbs as v
from taskqueue.core import events as ev
from taskqueue.core.clock import MINUTE, SECOND, ManualClock
from taskqueue.core.config import Config
from taskqueue.core.events import Code
from taskqueue.core.task import rank
from tests.factories import draft
from tests.stores import Driver, group, names

AGING = Config().priority_aging
HANDLERS, QUEUES, PRIORITIES = tuple(f"h{n}" for n in range(20)), ("q0", "q1", "q2"), (0, 1, 4, 5, 8, 9)
LANES = list(product(HANDLERS, QUEUES, PRIORITIES))


def fill(deck: Driver, label: str, **changes: Any) -> list[str]:
    """A new task in each lane, all at the same moment; their ids."""
    drafts = [
        draft(f"{label}-{n:03}", **{"handler": handler, "queue": queue, "priority": priority, **changes})
        for n, (handler, queue, priority) in enumerate(LANES)
    ]
    assert {answer.code for answer in deck.do(v.SubmitAll(tuple(drafts)))} == {Code.OK}
    return [one.id for one in drafts]


def line(deck: Driver, ids: list[str]) -> list[str]:
    """The tasks in the order in which they should run."""
    tasks = map(deck.get, ids)
    return [task.id for task in sorted(tasks, key=lambda t: (rank(t.priority, t.eligible_at, AGING), t.id))]


def test_many_lanes_are_one_line(deck: Driver, clock: ManualClock) -> None:
    assert len(LANES) == 360
    ids = fill(deck, "a")
    clock.advance(AGING)
    ids += fill(deck, "b")
    clock.advance(AGING // 2)
    ids += fill(deck, "c")
    wanted = line(deck, ids)
    took: list[str] = []
    for n in (1, 2, 7, 300, 360, 500):
        took += deck.took("a", group(*HANDLERS, n=n, queues=QUEUES if n % 2 else ("*",)))
        assert took == wanted[: len(took)]
    assert len(took) == len(ids)


def test_an_urgent_task_does_not_wait_for_its_lane(deck: Driver, clock: ManualClock) -> None:
    fill(deck, "old", priority=4)
    for n, (handler, queue, _) in enumerate(LANES[::30]):
        clock.advance(SECOND)
        deck.add(f"urgent{n}", handler=handler, queue=queue, priority=9)
        assert deck.took("a", group(*HANDLERS, n=1)) == [f"urgent{n}"]


def test_nothing_starves(deck: Driver, clock: ManualClock) -> None:
    """A task of the lowest priority, while each claim could be filled with younger ones of the highest."""
    deck.add("last", handler="h0", queue="q0", priority=0)
    for level in range(9):
        fill(deck, f"r{level}", priority=9)
        assert "last" not in deck.took("a", group(*HANDLERS, n=len(LANES)))
        clock.advance(AGING)
    clock.advance(1)
    fill(deck, "r9", priority=9)
    assert deck.took("a", group(*HANDLERS, n=1)) == ["last"]


def test_groups_of_the_same_claim_share_the_line(deck: Driver, clock: ManualClock) -> None:
    wanted = line(deck, fill(deck, "a"))
    odd, every = group(*HANDLERS[1::2], n=9), group(*HANDLERS, n=20)
    odd_ones = [name for name in wanted if deck.get(name).handler in odd.handlers][:9]
    rest = [name for name in wanted if name not in odd_ones]
    assert names(deck.claim("a", odd, every, every).tasks) == [odd_ones, rest[:20], rest[20:40]]


COMES_BACK: dict[str, Callable[[Driver], Any]] = {
    "released": lambda deck: deck.happens(ev.Release, "old"),
    "retried": lambda deck: (deck.fail("old", delay=MINUTE), deck.happens(ev.Retry, "old")),
    "due again": lambda deck: (deck.fail("old", delay=SECOND), deck.clock.advance(SECOND)),
    "after a crash": lambda deck: (deck.die("c"), deck.join("c2", "c")),
    "more urgent": lambda deck: (
        deck.happens(ev.Release, "old"),
        deck.happens(ev.Update, "old", run_at=deck.now + MINUTE),
        deck.clock.advance(MINUTE),
        deck.happens(ev.Update, "old", priority=9),
    ),
    "replayed, more urgent": lambda deck: (
        deck.happens(ev.Cancel, "old"),
        deck.happens(ev.Replay, "old"),
        deck.happens(ev.Update, "old", priority=9),
    ),
}


@pytest.mark.parametrize("back", COMES_BACK.values(), ids=COMES_BACK)
@pytest.mark.parametrize("emptied", [False, True])
def test_what_comes_back_stands_where_it_belongs(
    deck: Driver, clock: ManualClock, back: Callable[[Driver], Any], emptied: bool
) -> None:
    """Its lane has gone on to younger tasks, or has had none since; others wait in other lanes."""
    deck.join("c")
    deck.add("old", handler="x")
    clock.advance(SECOND)
    assert deck.took("c", group("x", "y", n=1)) == ["old"]
    younger = ["y1", "y2"] if emptied else ["x1", "y1", "y2", "x2"]
    for name in younger:
        deck.add(name, handler=name[0])
        clock.advance(SECOND)
    half = len(younger) // 2
    assert deck.took("a", group("x", "y", n=half)) == younger[:half]
    back(deck)
    assert deck.took("a", group("x", "y", n=1)) == ["old"]
    assert deck.took("a", group("x", "y")) == younger[half:]


def test_a_queue_that_goes_on_stands_where_it_belongs(deck: Driver, clock: ManualClock) -> None:
    wanted = line(deck, fill(deck, "a"))
    deck.do(v.Pause("q1"))
    others = [name for name in wanted if deck.get(name).queue != "q1"]
    assert deck.took("a", group(*HANDLERS, n=30)) == others[:30]
    clock.advance(SECOND)
    wanted += line(deck, fill(deck, "b"))
    deck.do(v.Resume("q1"))
    waiting = line(deck, [name for name in wanted if name not in others[:30]])
    assert deck.took("a", group(*HANDLERS, n=300)) == waiting[:300]


def test_a_lane_is_the_same_after_it_was_gone(deck: Driver, clock: ManualClock) -> None:
    """Empty lanes are forgotten; groups that claimed from them claim from them again."""
    for n in range(3):
        deck.add(f"t{n}", queue="q", handler="x", priority=n)
        assert deck.took("a", group("x", "y")) == [f"t{n}"]
        deck.happens(ev.Cancel, f"t{n}")
        clock.advance(SECOND)
        deck.led(v.PruneOld, keep=(v.Keep(deck.get(f"t{n}").status, 0, 0),))
        assert deck.store.queues() == []


def test_groups_that_are_others_each_time_find_the_same_line(deck: Driver, clock: ManualClock) -> None:
    for n in range(200):
        deck.add(f"t{n:03}", handler="xy"[n % 2])
        clock.advance(1)
    for n in range(100):
        assert deck.took("a", group("x", "y", f"other{n}", n=1)) == [f"t{2 * n:03}"]
        assert deck.took("a", group("x", "y", f"other{n}", n=1)) == [f"t{2 * n + 1:03}"]
