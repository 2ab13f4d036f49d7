"""Pages end by their bytes, too, but none is empty for that reason."""

from __future__ import annotations

from storage import verbs as v
from taskqueue.core import events as ev
from taskqueue.core.views import Filter
from tests.stores import Driver

LARGE = bytes(v.BYTES_PER_PAGE // 4)


def test_a_page_ends_where_it_is_heavy(deck: Driver) -> None:
    deck.run("a", "t0")
    deck.happens(ev.Complete, "t0", result=LARGE)
    for n in range(1, 9):
        deck.add(f"t{n}", payload=LARGE)
    deck.add("t9", payload=LARGE + LARGE)
    pages = []
    cursor = None
    while not pages or cursor is not None:
        page = deck.store.find(Filter(), 50, cursor)
        pages.append([task.id for task in page.tasks])
        cursor = page.cursor
    assert pages == [["t9", "t8", "t7"], ["t6", "t5", "t4", "t3"], ["t2", "t1", "t0"]]


def test_a_page_that_ends_with_the_last_task_has_no_cursor(deck: Driver) -> None:
    for n in range(4):
        deck.add(f"t{n}", payload=LARGE, tags=("x",))
    page = deck.store.find(Filter(tag="x"), 50)
    assert (len(page.tasks), page.cursor) == (4, None)


def test_a_task_that_is_heavier_than_a_page_is_a_page(deck: Driver) -> None:
    for name in ("t1", "t2"):
        deck.add(name, payload=LARGE * 5)
    page = deck.store.find(Filter(), 50)
    assert [task.id for task in page.tasks] == ["t2"]
    assert [task.id for task in deck.store.find(Filter(), 50, page.cursor).tasks] == ["t1"]


def test_what_does_not_match_weighs_nothing(deck: Driver) -> None:
    deck.add("t0", handler="h")
    for n in range(1, 9):
        deck.add(f"t{n}", payload=LARGE)
    deck.add("t9", handler="h")
    assert [task.id for task in deck.store.find(Filter(handler="h"), 50).tasks] == ["t9", "t0"]
    assert [task.id for task in deck.store.find(Filter(before=deck.now, handler="h"), 50).tasks] == ["t9", "t0"]
