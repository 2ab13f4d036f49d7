"""Schedules: changed by compare-and-set, generations that survive everything, ticks that happen once."""

from __future__ import annotations

from typing import Any

import pytest

from storage import verbs as v
from taskqueue.core import events as ev
from taskqueue.core.clock import MINUTE, SECOND, ManualClock
from taskqueue.core.events import Code
from taskqueue.core.task import Status, born
from tests.factories import draft
from tests.schedules import EVERY_MINUTE, EVERY_SECOND, put, stored, tick
from tests.stores import Driver, everything


def test_a_schedule_is_stored_as_given(deck: Driver) -> None:
    given = {"paused": True, "last_run_at": 5, "skipped": {"misfire": 9, "öffnung": 0}}
    answer = put(deck, **given, generation=7)
    assert answer == v.Schedule(id="s", spec=EVERY_SECOND, cursor=100, generation=1, **given)
    assert deck.store.schedules() == [answer]
    assert deck.store.schedule("s") == answer
    assert deck.store.schedule("another") is None


def test_what_exists_is_not_created(deck: Driver) -> None:
    before = put(deck)
    for spec in (before.spec, b"{}"):
        assert put(deck, spec=spec) == v.Answer(Code.CONFLICT)
    assert deck.store.schedules() == [before]


def test_a_change_of_what_the_writer_saw(deck: Driver) -> None:
    put(deck, skipped={"misfire": 2})
    changes: dict[str, Any] = {"cursor": 300, "paused": True, "skipped": {"overlap": 1}, "last_run_at": 5}
    answer = put(deck, (1, 100), **changes)
    assert answer == v.Schedule(id="s", spec=EVERY_SECOND, generation=1, **changes)
    assert deck.store.schedules() == [answer]


@pytest.mark.parametrize("expect", [(0, 100), (2, 100), (1, 99), (1, 101), (100, 1)])
def test_a_change_of_something_else_is_stale(deck: Driver, expect: tuple[int, int]) -> None:
    before = put(deck)
    assert put(deck, expect, spec=b"{}") == v.Answer(Code.STALE)
    assert deck.store.schedules() == [before]


def test_of_two_writers_that_saw_the_same_one_wins(deck: Driver) -> None:
    put(deck)
    first = put(deck, (1, 100), spec=b'{"first":1}')
    assert put(deck, (1, 100), spec=b'{"second":1}') == v.Answer(Code.STALE)
    assert stored(deck) == first


def test_a_tick_comes_before_a_writer_that_has_not_seen_it(deck: Driver) -> None:
    put(deck)
    tick(deck, draft("one"))
    before = stored(deck)
    assert put(deck, (1, 100), paused=True) == v.Answer(Code.STALE)
    assert stored(deck) == before
    assert put(deck, (1, 200), cursor=200, paused=True).paused


def test_what_is_gone_is_not_changed(deck: Driver) -> None:
    assert put(deck, (0, 0)) == v.Answer(Code.NOT_FOUND)
    put(deck)
    deck.do(v.DropSchedule("s"))
    assert put(deck, (1, 100)) == v.Answer(Code.NOT_FOUND)
    assert deck.store.schedules() == []


def test_only_another_spec_is_a_new_generation(deck: Driver) -> None:
    put(deck)
    assert put(deck, (1, 100), cursor=300).generation == 1
    assert put(deck, (1, 300), cursor=300, paused=True).generation == 1
    assert put(deck, (1, 300), cursor=300, skipped={"misfire": 1}, last_run_at=9).generation == 1
    assert put(deck, (1, 300), spec=EVERY_MINUTE).generation == 2
    assert put(deck, (2, 100), spec=EVERY_MINUTE).generation == 2
    assert put(deck, (2, 100), spec=EVERY_SECOND).generation == 3


def test_a_generation_survives_deletion(deck: Driver) -> None:
    put(deck)
    put(deck, (1, 100), spec=b"{}")
    assert deck.do(v.DropSchedule("s")) == v.Answer(Code.OK)
    assert deck.do(v.DropSchedule("s")) == v.Answer(Code.NOT_FOUND)
    assert deck.store.schedules() == []
    assert put(deck, spec=b"{}").generation == 3
    assert put(deck, id="another").generation == 1


def test_schedules_are_listed_by_id(deck: Driver) -> None:
    for name in ("b", "a", "B"):
        put(deck, id=name)
    assert [schedule.id for schedule in deck.store.schedules()] == ["B", "a", "b"]


def test_the_revision_tells_that_something_was_put_or_dropped(deck: Driver) -> None:
    seen = [deck.store.revision()]

    def is_new() -> bool:
        seen.append(deck.store.revision())
        return seen[-1] not in seen[:-1]

    put(deck)
    assert is_new()
    put(deck, (1, 100), paused=True)
    assert is_new()
    put(deck, (1, 100))
    assert is_new()
    put(deck)  # exists
    put(deck, (9, 9))  # is another by now
    put(deck, (1, 100), id="unknown")
    tick(deck, draft("one"), skipped={"misfire": 1})
    assert not is_new()
    deck.do(v.DropSchedule("s"))
    assert is_new()
    deck.do(v.DropSchedule("s"))  # gone
    assert not is_new()


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


@pytest.mark.parametrize("alone", [False, True])
def test_a_paused_schedule_submits_nothing(deck: Driver, alone: bool) -> None:
    before = put(deck, paused=True)
    deck.add("busy", schedule="s")
    assert tick(deck, draft("one"), skipped={"misfire": 1}, alone=alone).code is Code.REFUSED
    assert deck.store.schedules() == [before]
    assert [task.id for task in everything(deck.store)] == ["busy"]


def test_time_passes_for_a_paused_schedule(deck: Driver) -> None:
    put(deck, paused=True)
    assert tick(deck, skipped={"paused": 3}).code is Code.OK
    after = stored(deck)
    assert (after.paused, after.cursor, after.skipped, after.last_run_at) == (True, 200, {"paused": 3}, None)
    assert tick(deck).code is Code.STALE


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


def test_a_due_time_that_is_past_stands_in_line_from_now_on(deck: Driver, clock: ManualClock) -> None:
    put(deck)
    clock.advance(SECOND)
    late, coming = deck.now - 1, deck.now + MINUTE
    tick(deck, draft("late", schedule="s", run_at=late), draft("coming", schedule="s", run_at=coming))
    shown = {task.id: (task.due_at, task.eligible_at, task.delayed) for task in everything(deck.store)}
    assert shown == {"late": (late, deck.now, False), "coming": (coming, coming, True)}
