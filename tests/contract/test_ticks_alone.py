"""Lone ticks: while a task of the schedule is not finished, the next one is skipped."""

from __future__ import annotations

from typing import Any

import pytest

from storage import verbs as v
from taskqueue.core import events as ev
from taskqueue.core.clock import MINUTE, SECOND, ManualClock
from taskqueue.core.events import Code
from taskqueue.core.task import Status
from tests.factories import draft
from tests.schedules import put, stored, tick
from tests.stores import Driver, everything


def alone(deck: Driver, *ids: str, **changes: Any) -> v.Answer:
    """A lone tick of the schedule as it is now."""
    now = stored(deck)
    seen = {"generation": now.generation, "cursor": now.cursor, "upto": now.cursor + 100}
    return tick(deck, *(draft(name, schedule="s") for name in ids), **seen, alone=True, **changes)


def test_alone_where_nothing_is_under_way_the_first_is_submitted(deck: Driver, clock: ManualClock) -> None:
    put(deck)
    deck.add("of another", schedule="another")
    deck.add("of none")
    clock.advance(SECOND)
    assert alone(deck, "one").code is Code.OK
    assert (stored(deck).skipped, stored(deck).last_run_at) == ({}, deck.now)
    deck.happens(ev.Cancel, "one")
    clock.advance(SECOND)
    assert alone(deck, "two", "three", "four", skipped={"misfire": 1}).code is Code.OK
    assert deck.get("two").status is Status.PENDING
    assert deck.store.statuses(["three", "four"]) == {}
    after = stored(deck)
    assert (after.cursor, after.skipped, after.last_run_at) == (300, {"misfire": 1, "overlap": 2}, deck.now)


def test_alone_while_one_is_under_way_none_is_submitted(deck: Driver) -> None:
    put(deck, last_run_at=5, skipped={"overlap": 1})
    deck.add("busy", schedule="s")
    assert alone(deck, "one", "two", skipped={"overlap": 4}).code is Code.OK
    assert [task.id for task in everything(deck.store)] == ["busy"]
    after = stored(deck)
    assert (after.cursor, after.skipped, after.last_run_at) == (200, {"overlap": 7}, 5)


def test_alone_nothing_due_is_nothing_skipped(deck: Driver) -> None:
    put(deck)
    deck.add("busy", schedule="s")
    assert alone(deck, skipped={"misfire": 1}).code is Code.OK
    assert (stored(deck).cursor, stored(deck).skipped) == (200, {"misfire": 1})


def test_not_alone_it_submits_whatever_is_under_way(deck: Driver) -> None:
    put(deck)
    deck.add("busy", schedule="s")
    assert tick(deck, draft("one", schedule="s"), draft("two", schedule="s")).code is Code.OK
    assert stored(deck).skipped == {}
    assert set(deck.store.statuses(["one", "two"])) == {"one", "two"}


def test_what_is_not_finished_is_under_way(deck: Driver, clock: ManualClock) -> None:
    put(deck)
    deck.add(schedule="s", delay=MINUTE, expires_at=deck.now + 9 * MINUTE)

    def busy() -> bool:
        before = stored(deck).skipped.get("overlap", 0)
        assert alone(deck, "t1").code is Code.OK  # its id is taken: it makes nothing new
        return stored(deck).skipped.get("overlap", 0) > before

    assert busy()  # it waits for its time
    clock.advance(MINUTE)
    deck.run("a")
    assert busy()  # it runs
    deck.fail(delay=MINUTE)
    assert busy()  # it waits for its retry
    clock.advance(MINUTE)
    deck.led(v.PromoteDue)
    assert busy()  # it waits for its turn
    deck.crash(times=2)
    assert busy()  # it waits as a suspect
    deck.run("a")
    deck.happens(ev.Complete)
    assert not busy()
    deck.happens(ev.Delete)
    deck.run("a", schedule="s")
    deck.fail(final=True)
    assert not busy()
    deck.happens(ev.Replay)
    assert busy()
    clock.advance(10 * MINUTE)
    deck.happens(ev.Cancel)
    assert not busy()
    deck.happens(ev.Delete)
    assert not busy()
    assert deck.get().status is Status.PENDING  # that tick has made it anew
    assert busy()


def test_a_tick_whose_tasks_exist_has_made_none(deck: Driver) -> None:
    put(deck)
    assert alone(deck, skipped={"misfire": 1}) == v.Answer(Code.OK)
    assert alone(deck, "one") == v.Answer(Code.OK, Status.PENDING)
    assert alone(deck, "two") == v.Answer(Code.OK)
    seen = {"cursor": stored(deck).cursor, "upto": 900}
    assert tick(deck, draft("one", schedule="s"), **seen) == v.Answer(Code.OK)
    assert tick(deck, draft("one"), draft("two"), cursor=900, upto=901) == v.Answer(Code.OK, Status.PENDING)


@pytest.mark.parametrize("alone", [False, True])
def test_a_tick_says_whether_it_made_a_task(deck: Driver, alone: bool) -> None:
    put(deck)
    assert tick(deck, skipped={"misfire": 1}, alone=alone) == v.Answer(Code.OK)
    made = tick(deck, draft("one", schedule="s"), alone=alone, cursor=200, upto=300)
    assert made == v.Answer(Code.OK, Status.PENDING)
    again = tick(deck, draft("two", schedule="s"), alone=alone, cursor=300, upto=400)
    assert again.status is (None if alone else Status.PENDING)
