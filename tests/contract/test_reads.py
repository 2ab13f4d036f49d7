"""Reads: what is found, counted, listed, and in which order."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from storage import verbs as v
from taskqueue.core import events as ev
from taskqueue.core.clock import MINUTE, SECOND, ManualClock
from taskqueue.core.errors import UnknownCursor
from taskqueue.core.task import Cause, Status, Task
from taskqueue.core.views import DeadCount, Filter, Held
from tests.factories import draft
from tests.stores import Driver, everything


def found(deck: Driver, **wanted: Any) -> list[str]:
    return [task.id for task in everything(deck.store, Filter(**wanted))]


@pytest.fixture
def zoo(deck: Driver, clock: ManualClock) -> Driver:
    """Tasks of many kinds, each a second younger than the one before it."""
    deck.add("t1", tags=("red", "big"), handler="x")
    clock.advance(SECOND)
    deck.run("a", "t2", queue="mail", schedule="nightly", tags=("red",), handler="y")
    deck.happens(ev.Complete, "t2", result=b"1")
    clock.advance(SECOND)
    deck.run("a", "t3", handler="y")
    deck.fail("t3", final=True, cause=Cause.DISCARDED)
    clock.advance(SECOND)
    deck.run("a", "t4", queue="mail", retries=0)
    deck.fail("t4", cause=Cause.TIMEOUT)
    clock.advance(SECOND)
    deck.run("a", "t5", tags=("redder",))
    deck.fail("t5", delay=MINUTE)
    clock.advance(SECOND)
    deck.add("t6", queue="mail")
    deck.happens(ev.Cancel, "t6")
    deck.run("b", "t7", queue="mail", handler="z")
    return deck


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        ({}, ["t7", "t6", "t5", "t4", "t3", "t2", "t1"]),
        ({"status": Status.PENDING}, ["t1"]),
        ({"status": Status.PROCESSING}, ["t7"]),
        ({"status": Status.COMPLETED}, ["t2"]),
        ({"status": Status.FAILED}, ["t5"]),
        ({"status": Status.DEAD_LETTERED}, ["t4", "t3"]),
        ({"status": Status.CANCELLED}, ["t6"]),
        ({"handler": "y"}, ["t3", "t2"]),
        ({"queue": "mail"}, ["t7", "t6", "t4", "t2"]),
        ({"tag": "red"}, ["t2", "t1"]),
        ({"tag": "big"}, ["t1"]),
        ({"tag": "re"}, []),
        ({"tag": "r%"}, []),
        ({"tag": '"red"'}, []),
        ({"schedule": "nightly"}, ["t2"]),
        ({"cause": Cause.DISCARDED}, ["t3"]),
        ({"cause": Cause.TIMEOUT}, ["t4"]),
        ({"cause": Cause.ERROR}, ["t5"]),
        ({"before": 1_790_000_000 * SECOND - 1}, []),
        ({"before": 1_790_000_000 * SECOND}, ["t1"]),
        ({"before": 1_790_000_001 * SECOND}, ["t2", "t1"]),
        ({"status": Status.DEAD_LETTERED, "queue": "mail"}, ["t4"]),
        ({"status": Status.DEAD_LETTERED, "cause": Cause.TIMEOUT, "handler": "echo", "queue": "mail"}, ["t4"]),
        ({"tag": "red", "handler": "y", "schedule": "nightly", "status": Status.COMPLETED}, ["t2"]),
        ({"tag": "red", "status": Status.FAILED}, []),
        ({"handler": "'; DROP TABLE tasks; --"}, []),
    ],
)
def test_filters(zoo: Driver, wanted: dict[str, Any], ids: list[str]) -> None:
    assert found(zoo, **wanted) == ids


def test_an_update_of_tags_is_found(zoo: Driver) -> None:
    zoo.happens(ev.Update, "t1", tags=("blue", "big"))
    assert found(zoo, tag="red") == ["t2"]
    assert found(zoo, tag="blue") == ["t1"]
    assert found(zoo, tag="big") == ["t1"]


# -- pages -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 1000])
def test_pages_join_without_gap_or_repeat(zoo: Driver, limit: int) -> None:
    assert [task.id for task in everything(zoo.store, limit=limit)] == [f"t{n}" for n in range(7, 0, -1)]


def test_newest_means_created_last(deck: Driver) -> None:
    for name in "bca":
        deck.add(name)  # all at the same microsecond
    assert found(deck) == ["a", "c", "b"]
    deck.clock.jump(-MINUTE)
    deck.add("z")
    assert found(deck) == ["z", "a", "c", "b"]


def test_the_last_page_has_no_cursor(zoo: Driver) -> None:
    assert zoo.store.find(Filter(), 7).cursor is None
    page = zoo.store.find(Filter(), 6)
    assert page.cursor is not None
    assert [task.id for task in zoo.store.find(Filter(), 6, page.cursor).tasks] == ["t1"]


def test_an_empty_store_has_an_empty_page(deck: Driver) -> None:
    page = deck.store.find(Filter(), 50)
    assert (page.tasks, page.cursor) == ((), None)


def test_a_cursor_outlives_changes(zoo: Driver) -> None:
    page = zoo.store.find(Filter(), 2)
    assert [task.id for task in page.tasks] == ["t7", "t6"]
    zoo.happens(ev.Delete, "t6")
    zoo.happens(ev.Cancel, "t5")
    zoo.happens(ev.Delete, "t5")
    zoo.add("t8")
    rest = zoo.store.find(Filter(), 50, page.cursor)
    assert [task.id for task in rest.tasks] == ["t4", "t3", "t2", "t1"]


@pytest.mark.parametrize("cursor", ["", "x", "-1", "b", "é", "9" * 40, "b1'", "\x00", "null", "[]", "1; DROP TABLE t"])
def test_a_cursor_from_elsewhere_is_an_error(zoo: Driver, cursor: str) -> None:
    with pytest.raises(UnknownCursor):
        zoo.store.find(Filter(), 50, cursor)


def test_a_page_examines_no_more_than_its_share(deck: Driver) -> None:
    deck.do(v.SubmitAll((draft("needle", tags=("x",), handler="h"),)))
    hay = v.EXAMINED_PER_PAGE + 10
    deck.do(v.SubmitAll(tuple(draft(f"t{n}", handler="h") for n in range(hay))))
    page = deck.store.find(Filter(handler="h", status=Status.PENDING, before=deck.now, cause=Cause.CORRUPT), 50)
    assert page.tasks == ()
    assert page.cursor is not None
    rest = deck.store.find(Filter(handler="h", before=deck.now, cause=Cause.CORRUPT), 50, page.cursor)
    assert (rest.tasks, rest.cursor) == ((), None)
    assert found(deck, tag="x") == ["needle"]


def test_filters_find_the_same_among_very_many_lanes(deck: Driver) -> None:
    lanes = range(1_010)
    deck.do(v.SubmitAll(tuple(draft(f"t{n}", handler=f"h{n}", queue=f"q{n % 2}", priority=n % 10) for n in lanes)))
    deck.happens(ev.Cancel, "t7")
    assert found(deck, status=Status.PENDING) == [f"t{n}" for n in reversed(lanes) if n != 7]
    assert found(deck, queue="q1", status=Status.PENDING) == [f"t{n}" for n in reversed(lanes) if n % 2 and n != 7]
    assert found(deck, status=Status.CANCELLED) == found(deck, handler="h7") == ["t7"]
    assert found(deck, handler="h8", queue="q1") == []


# -- the others ------------------------------------------------------------------------------------------------------


def test_get_and_statuses(zoo: Driver) -> None:
    assert zoo.store.get("none") is None
    assert zoo.store.get("' OR 1=1 --") is None
    assert zoo.store.statuses(["t1", "none", "t4", "t1"]) == {"t1": Status.PENDING, "t4": Status.DEAD_LETTERED}
    assert zoo.store.statuses([]) == {}


def test_statuses_of_thousands(deck: Driver) -> None:
    ids = [f"t{n}" for n in range(3_000)]
    deck.do(v.SubmitAll(tuple(draft(name) for name in ids[::3])))
    assert deck.store.statuses(ids) == dict.fromkeys(ids[::3], Status.PENDING)


def test_counts(zoo: Driver) -> None:
    assert zoo.store.counts() == {
        Status.PENDING: 1,
        Status.PROCESSING: 1,
        Status.COMPLETED: 1,
        Status.FAILED: 1,
        Status.DEAD_LETTERED: 2,
        Status.CANCELLED: 1,
    }


def test_dead_letters_by_handler_and_cause(zoo: Driver) -> None:
    assert sorted(zoo.store.dead(), key=str) == sorted(
        [DeadCount("y", Cause.DISCARDED, 1), DeadCount("echo", Cause.TIMEOUT, 1)], key=str
    )
    zoo.happens(ev.Replay, "t3")
    assert zoo.store.dead() == [DeadCount("echo", Cause.TIMEOUT, 1)]


def test_queues_are_listed_while_they_hold_or_are_paused(deck: Driver, clock: ManualClock) -> None:
    assert deck.store.queues() == []
    deck.do(v.Pause("empty"))
    deck.run("a", "t1", queue="mail")
    assert [(view.name, view.paused, view.oldest) for view in deck.store.queues()] == [
        ("empty", True, None),
        ("mail", False, None),
    ]
    deck.happens(ev.Complete)
    deck.do(v.Resume("empty"))
    assert [view.name for view in deck.store.queues()] == ["mail"]
    deck.happens(ev.Delete)
    assert deck.store.queues() == []


def test_the_oldest_is_who_could_run_for_longest(deck: Driver, clock: ManualClock) -> None:
    first = deck.add("t1", priority=0).eligible_at
    clock.advance(SECOND)
    deck.add("t2", priority=9, handler="other")
    deck.add("t3", delay=MINUTE)
    [view] = deck.store.queues()
    assert view.oldest == first
    deck.happens(ev.Cancel, "t1")
    assert deck.store.queues()[0].oldest == deck.now
    deck.happens(ev.Cancel, "t2")
    assert deck.store.queues()[0].oldest is None
    suspect = deck.add("t4", queue="q")
    deck.crash("t4", times=2)
    assert [view.oldest for view in deck.store.queues() if view.name == "q"] == [suspect.eligible_at]


def test_what_an_owner_holds(zoo: Driver) -> None:
    assert zoo.store.held("b") == [Held("t7", zoo.get("t7").fence)]
    assert zoo.store.held("a") == []
    assert zoo.store.held("unknown") == []


def test_a_store_that_answers_has_nothing_to_say(deck: Driver) -> None:
    assert deck.store.check() is None
    assert deck.store.durability in ("full", "fsync", "replicated", "weak")


def test_close_is_idempotent(deck: Driver, backend: Any, request: pytest.FixtureRequest, tmp_path: Any) -> None:
    (tmp_path / "second").mkdir()
    other = type(backend)(tmp_path / "second", deck.clock)
    other.store.close()
    other.store.close()


def test_reads_from_other_threads_see_whole_tasks(deck: Driver) -> None:
    """Writers go on while readers read; every task that is read is one that was stored as a whole."""
    over = threading.Event()
    trouble: list[BaseException] = []
    torn: list[Task] = []

    def read() -> None:
        try:
            while not over.is_set():
                for task in everything(deck.store, limit=7):
                    if (task.owner is None) == (task.status is Status.PROCESSING):
                        torn.append(task)
                deck.store.queues()
                assert sum(deck.store.counts().values()) <= 40
                deck.store.held("a")
                deck.store.members()
        except BaseException as error:
            trouble.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for n in range(40):
            deck.add(f"t{n}")
            for name in deck.took("a"):
                deck.happens(ev.Complete, name)
    finally:
        over.set()
        for reader in readers:
            reader.join(timeout=30)
    assert not any(reader.is_alive() for reader in readers)
    assert trouble == []
    assert torn == []
