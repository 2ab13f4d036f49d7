"""Schedules: generations that survive everything, and ticks that happen once."""

from __future__ import annotations

from typing import Any

import pytest

from storage import verbs as v
from taskqueue.core import events as ev
from taskqueue.core.clock import SECOND, ManualClock
from taskqueue.core.events import Code
from taskqueue.core.task import Draft, Status, born
from tests.factories import draft
from tests.stores import Driver, everything


def put(deck: Driver, create: bool = False, **changes: Any) -> Any:
    fields = {"id": "s", "spec": b'{"every":"1s"}', "cursor": 100, **changes}
    return deck.do(v.PutSchedule(v.Schedule(**fields), create))


def tick(deck: Driver, *drafts: Draft, **changes: Any) -> v.Answer:
    fields = {"schedule": "s", "generation": 1, "cursor": 100, "upto": 200, **changes}
    answer: v.Answer = deck.led(v.Tick, drafts=drafts, **fields)
    return answer


def stored(deck: Driver) -> v.Schedule:
    [schedule] = deck.store.schedules()
    return schedule


def test_a_schedule_is_stored(deck: Driver) -> None:
    answer = put(deck, create=True)
    assert answer == v.Schedule(id="s", spec=b'{"every":"1s"}', cursor=100, generation=1)
    assert deck.store.schedules() == [answer]


def test_a_new_schedule_has_no_past(deck: Driver) -> None:
    answer = put(deck, last_run_at=5, skipped={"misfire": 9}, generation=7)
    assert (answer.generation, answer.last_run_at, answer.skipped) == (1, None, {})


def test_create_does_not_overwrite(deck: Driver) -> None:
    before = put(deck)
    assert put(deck, create=True, spec=b"{}") == v.Answer(Code.CONFLICT)
    assert deck.store.schedules() == [before]


def test_only_a_change_is_a_new_generation(deck: Driver) -> None:
    before = put(deck)
    tick(deck, draft("tick"), skipped={"misfire": 2})
    ticked = stored(deck)
    assert put(deck, cursor=0) == ticked  # unchanged: it goes on where it was
    changed = put(deck, spec=b'{"every":"2s"}', cursor=300)
    assert (changed.generation, changed.cursor, changed.spec) == (before.generation + 1, 300, b'{"every":"2s"}')
    assert (changed.last_run_at, changed.skipped) == (ticked.last_run_at, ticked.skipped)
    paused = put(deck, spec=b'{"every":"2s"}', paused=True, cursor=300)
    assert (paused.generation, paused.paused) == (before.generation + 2, True)
    assert put(deck, spec=b'{"every":"2s"}', cursor=400).cursor == 400
    assert stored(deck).generation == before.generation + 3


def test_a_generation_survives_deletion(deck: Driver) -> None:
    put(deck)
    put(deck, spec=b"{}")
    assert deck.do(v.DropSchedule("s")) == v.Answer(Code.OK)
    assert deck.do(v.DropSchedule("s")) == v.Answer(Code.NOT_FOUND)
    assert deck.store.schedules() == []
    assert put(deck, create=True).generation == 3


def test_schedules_are_listed_by_id(deck: Driver) -> None:
    for name in ("b", "a", "B"):
        put(deck, id=name)
    assert [schedule.id for schedule in deck.store.schedules()] == ["B", "a", "b"]


# -- ticks -----------------------------------------------------------------------------------------------------------


def test_a_tick_moves_the_cursor_and_submits(deck: Driver, clock: ManualClock) -> None:
    put(deck)
    clock.advance(SECOND)
    drafts = (draft("one", schedule="s", run_at=150), draft("two", schedule="s", run_at=200))
    assert tick(deck, *drafts, skipped={"misfire": 3}).code is Code.OK
    assert everything(deck.store) == [born(one, deck.now) for one in reversed(drafts)]
    after = stored(deck)
    assert (after.cursor, after.last_run_at, after.skipped) == (200, deck.now, {"misfire": 3})
    clock.advance(SECOND)
    assert tick(deck, draft("three"), cursor=200, upto=300, skipped={"misfire": 1, "overlap": 2}).code is Code.OK
    assert stored(deck).skipped == {"misfire": 4, "overlap": 2}
    assert stored(deck).last_run_at == deck.now


def test_a_tick_that_only_skips_is_no_run(deck: Driver) -> None:
    put(deck)
    assert tick(deck, skipped={"misfire": 1}).code is Code.OK
    assert (stored(deck).cursor, stored(deck).last_run_at) == (200, None)


def test_a_repeated_tick_makes_nothing_twice(deck: Driver) -> None:
    put(deck)
    tick(deck, draft("one"), skipped={"misfire": 1})
    before = stored(deck)
    assert tick(deck, draft("one"), draft("two"), skipped={"misfire": 1}).code is Code.STALE
    assert stored(deck) == before
    assert [task.id for task in everything(deck.store)] == ["one"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"cursor": 99}, Code.STALE),
        ({"generation": 2}, Code.STALE),
        ({"generation": 0}, Code.STALE),
        ({"schedule": "unknown"}, Code.NOT_FOUND),
    ],
)
def test_a_tick_of_something_else_is_refused(deck: Driver, changes: dict[str, Any], code: Code) -> None:
    before = put(deck)
    assert tick(deck, draft("one"), **changes).code is code
    assert deck.store.schedules() == [before]
    assert everything(deck.store) == []


def test_a_paused_schedule_does_not_tick(deck: Driver) -> None:
    before = put(deck, paused=True)
    assert tick(deck, draft("one")).code is Code.REFUSED
    assert deck.store.schedules() == [before]
    assert everything(deck.store) == []


def test_a_draft_that_exists_is_left_alone(deck: Driver) -> None:
    put(deck)
    deck.run("a", "one", digest=b"another body")
    before = deck.get("one")
    assert tick(deck, draft("one"), draft("two")).code is Code.OK
    assert deck.get("one") == before
    assert deck.get("two").status is Status.PENDING


def test_a_deleted_schedule_leaves_its_tasks(deck: Driver) -> None:
    put(deck)
    tick(deck, draft("one", schedule="s"))
    deck.do(v.DropSchedule("s"))
    assert deck.get("one").schedule == "s"
    assert deck.happens(ev.Cancel, "one").code is Code.OK
