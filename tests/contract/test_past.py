"""What is remembered of the past: counts by minute, and who changed what."""

from __future__ import annotations

from typing import Any

import pytest

from storage import verbs as v
from taskqueue.core import tally
from taskqueue.core.clock import MINUTE, SECOND, ManualClock
from taskqueue.core.errors import UnknownCursor
from taskqueue.core.events import Code
from taskqueue.core.views import NoteView
from tests.stores import Driver

ODD = ["", "run@a.b:c:17", "wait:3", 'x"\'\\/@é', "%_*", "$[0]", "null", "a\nb"]


def count(deck: Driver, minute: int, counts: dict[str, int] | None = None, **gauges: int) -> None:
    assert deck.do(v.Tally(minute, counts or {}, gauges)) == v.Answer(Code.OK)


# -- tallies -----------------------------------------------------------------------------------------------------------


def test_counts_add_up_by_minute(deck: Driver) -> None:
    minute = tally.minute(deck.now)
    count(deck, minute, {"submitted": 3, "completed@echo": 1})
    count(deck, minute, {"submitted": 4, "failed@echo": 2, "none": 0})
    count(deck, minute + MINUTE, {"submitted": 5})
    assert deck.store.tallies(minute) == {
        minute: {"submitted": 7, "completed@echo": 1, "failed@echo": 2, "none": 0},
        minute + MINUTE: {"submitted": 5},
    }


def test_of_a_gauge_the_last_word_counts(deck: Driver) -> None:
    minute = tally.minute(deck.now)
    count(deck, minute, {"submitted": 1}, pending=9, failed=3)
    count(deck, minute, {"submitted": 1}, pending=5)
    assert deck.store.tallies(minute) == {minute: {"submitted": 2, "pending": 5, "failed": 3}}


def test_a_minute_of_which_nothing_was_said_is_not_there(deck: Driver) -> None:
    count(deck, tally.minute(deck.now))
    assert deck.store.tallies(0) == {}


def test_tallies_are_told_in_order_from_a_moment_on(deck: Driver) -> None:
    first = tally.minute(deck.now)
    for n in (2, 0, 3, 1):
        count(deck, first + n * MINUTE, {"n": n})
    assert list(deck.store.tallies(first)) == [first + n * MINUTE for n in range(4)]
    assert list(deck.store.tallies(first + 1)) == [first + n * MINUTE for n in (1, 2, 3)]
    assert deck.store.tallies(first + 4 * MINUTE) == {}


def test_names_are_taken_literally(deck: Driver) -> None:
    counts = {name: n for n, name in enumerate(ODD)}
    for _ in range(2):
        count(deck, 0, counts)
    assert deck.store.tallies(0) == {0: {name: 2 * n for name, n in counts.items()}}


def prune(deck: Driver) -> None:
    while deck.led(v.PruneOld, keep=(), limit=10).more:
        pass


def test_details_are_forgotten_before_the_rest(deck: Driver, clock: ManualClock) -> None:
    minute = tally.minute(deck.now)
    totals, details = {"submitted": 1}, {"completed@echo": 1, "run@echo:3": 2}
    count(deck, minute, totals | details)
    clock.jump(minute + v.DETAILS_KEPT - deck.now)
    prune(deck)
    assert deck.store.tallies(0) == {minute: totals | details}
    clock.advance(1)
    prune(deck)
    assert deck.store.tallies(0) == {minute: totals}
    clock.jump(minute + v.TALLIES_KEPT - deck.now)
    count(deck, minute + MINUTE, totals)
    prune(deck)
    assert deck.store.tallies(0) == {minute: totals, minute + MINUTE: totals}
    clock.advance(1)
    prune(deck)
    assert deck.store.tallies(0) == {minute + MINUTE: totals}


def test_many_counts_are_forgotten_in_the_end(deck: Driver, clock: ManualClock) -> None:
    for n in range(5):
        count(deck, deck.now, {f"completed@h{i}": n for i in range(21)} | {f"wait:{i}": n for i in range(21)})
        clock.advance(MINUTE)
    count(deck, deck.now + v.TALLIES_KEPT, {"submitted": 1})
    clock.advance(v.TALLIES_KEPT)
    prune(deck)
    assert deck.store.tallies(0) == {deck.now: {"submitted": 1}}


# -- notes -------------------------------------------------------------------------------------------------------------


def note(target: str, **changes: Any) -> v.Note:
    return v.Note(**{"token": "ci", "action": "cancel", "target": target, **changes})


def pages(deck: Driver, limit: int) -> list[list[str]]:
    """The targets of the whole log, page by page."""
    found: list[list[str]] = []
    cursor = None
    while True:
        page = deck.store.notes(limit, cursor)
        found.append([entry.target for entry in page.notes])
        cursor = page.cursor
        if cursor is None:
            return found


def test_the_log_is_read_from_its_end(deck: Driver, clock: ManualClock) -> None:
    first = deck.now
    assert deck.do(note("t1")) == v.Answer(Code.OK)
    clock.advance(SECOND)
    deck.do(note("'; DROP TABLE notes; --", token="", action="é", count=17))
    page = deck.store.notes(50)
    assert page.notes == (
        NoteView(deck.now, "", "é", "'; DROP TABLE notes; --", 17),
        NoteView(first, "ci", "cancel", "t1", 1),
    )
    assert page.cursor is None


@pytest.mark.parametrize(("limit", "lengths"), [(1, [1] * 6), (2, [2, 2, 2]), (4, [4, 2]), (6, [6]), (7, [6])])
def test_pages_of_the_log_join(deck: Driver, limit: int, lengths: list[int]) -> None:
    assert pages(deck, limit) == [[]]
    for n in range(6):
        deck.do(note(f"t{n}"))
    found = pages(deck, limit)
    assert [len(page) for page in found] == lengths
    assert [target for page in found for target in page] == [f"t{n}" for n in range(5, -1, -1)]


def test_a_cursor_of_the_log_outlives_new_entries(deck: Driver) -> None:
    for n in range(4):
        deck.do(note(f"t{n}"))
    page = deck.store.notes(2)
    deck.do(note("new"))
    assert [entry.target for entry in deck.store.notes(2, page.cursor).notes] == ["t1", "t0"]


def test_the_log_has_an_end(deck: Driver) -> None:
    surplus = 5
    deck.store.execute([note(f"t{n}") for n in range(v.NOTES_KEPT)])
    before = deck.store.notes(v.NOTES_KEPT - 2)
    deck.store.execute([note(f"t{n}") for n in range(v.NOTES_KEPT, v.NOTES_KEPT + surplus)])
    prune(deck)
    [first, last] = pages(deck, v.NOTES_KEPT - 1)
    assert [*first, *last] == [f"t{n}" for n in range(v.NOTES_KEPT + surplus - 1, surplus - 1, -1)]
    rest = deck.store.notes(50, before.cursor)
    assert (rest.notes, rest.cursor) == ((), None)  # what it would have shown is gone


@pytest.mark.parametrize("cursor", ["", "x", "n", "n-1", "é", "9" * 40, "n1'", "\x00"])
def test_a_cursor_from_elsewhere_is_an_error(deck: Driver, cursor: str) -> None:
    deck.do(note("t1"))
    with pytest.raises(UnknownCursor):
        deck.store.notes(50, cursor)
