"""A task that cannot be read as it was stored costs nobody else anything: it is shown as far as it can be, given up
when its turn comes, and whoever holds it can still end it. A store in memory keeps nothing that would have to be read.
"""

from __future__ import annotations

import pytest

from storage import verbs as v
from taskqueue.core import events as ev
from taskqueue.core.clock import SECOND
from taskqueue.core.events import Code
from taskqueue.core.task import Cause, Status, TaskError
from taskqueue.core.views import Filter
from tests.stores import Driver, Redis, Sqlite, backends, everything, group

FIELDS = ("history", "tags")
GARBAGE = (b"[x", b"\xff\xfe[")


pytestmark = pytest.mark.parametrize("backend", backends("memory"), indirect=True)


def waits(deck: Driver, task_id: str) -> None:
    """It ran once and waits again, so that there is something to damage."""
    deck.run("a", task_id, tags=("x",))
    assert deck.happens(ev.Release, task_id).code is Code.OK


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("garbage", GARBAGE)
def test_it_is_shown_and_given_up_and_its_neighbours_run(
    deck: Driver, backend: Sqlite | Redis, field: str, garbage: bytes
) -> None:
    waits(deck, "bad")
    deck.add("good")
    backend.garble("bad", field, garbage)
    shown = deck.get("bad")
    assert (shown.status, shown.payload) == (Status.PENDING, b'{"a":1}')
    assert (shown.history, shown.tags)[FIELDS.index(field)] == ()
    assert {task.id for task in everything(deck.store)} == {"bad", "good"}
    assert deck.took("b", group(n=10)) == ["good"]
    given_up = deck.get("bad")
    assert given_up.status is Status.DEAD_LETTERED
    assert given_up.error == TaskError("RecordCorrupt", f"what is stored of it cannot be read: {field}", Cause.CORRUPT)
    assert given_up.owner is None
    assert [dead.count for dead in deck.store.dead()] == [1]
    assert deck.happens(ev.Replay, "bad").code is Code.OK
    assert deck.took("b", group(n=10)) == ["bad"]


def test_without_its_payload_it_is_given_up_and_its_neighbours_run(deck: Driver, backend: Sqlite | Redis) -> None:
    deck.add("bad", payload=b'"' + b"x" * 1_000 + b'"')
    deck.add("good")
    backend.lose_body("bad")
    assert deck.get("bad").payload == b""
    assert {task.id for task in everything(deck.store)} == {"bad", "good"}
    assert deck.took("b", group(n=10)) == ["good"]
    assert (deck.get("bad").status, deck.get("bad").error) == (
        Status.DEAD_LETTERED,
        TaskError("PayloadCorrupt", "the payload is not what was submitted (checksum differs)", Cause.CORRUPT),
    )


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (ev.Complete, {"result": b"1"}),
        (ev.Fail, {"type": "E", "message": "", "delay": SECOND}),
        (ev.Release, {}),
        (ev.Snooze, {"delay": 0}),
        (ev.Cancel, {}),
    ],
)
def test_who_holds_it_can_end_it(
    deck: Driver, backend: Sqlite | Redis, kind: type[ev.Event], fields: dict[str, object], garbage: bytes
) -> None:
    waits(deck, "bad")
    deck.run("b", "bad")
    deck.add("good")
    backend.garble("bad", "history", garbage)
    assert deck.happens(kind, "bad", **fields).code is Code.OK
    assert deck.get("bad").status is not Status.PROCESSING
    assert deck.took("b", group(n=10))[-1] == "good"


def test_it_comes_back_from_a_dead_node(deck: Driver, backend: Sqlite | Redis) -> None:
    waits(deck, "bad")
    deck.run("b", "bad")
    backend.garble("bad", "history")
    backend.garble("bad", "progress")
    assert deck.die("b").count == 1
    assert deck.get("bad").crashes == 1


def test_it_expires(deck: Driver, backend: Sqlite | Redis) -> None:
    waits(deck, "bad")
    deck.happens(ev.Update, "bad", expires_at=deck.now + SECOND)
    backend.garble("bad", "history")
    deck.clock.advance(SECOND)
    assert deck.took("b", group(n=10)) == []
    assert deck.store.find(Filter(cause=Cause.EXPIRED), 10).tasks[0].id == "bad"


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("field", ["queues", "handlers"])
def test_a_member_that_cannot_be_read_hides_nobody(
    deck: Driver, backend: Sqlite | Redis, field: str, garbage: bytes
) -> None:
    deck.run("b", "t1")
    backend.garble_member("b", field, garbage)
    a, b = deck.store.members()
    assert (a.owner, b.owner, getattr(b, field)) == ("a", "b", ())
    assert getattr(a, field) != ()
    assert deck.do(v.Beat("b")).code is Code.OK
    assert deck.die("b").count == 1
    assert deck.took("a") == ["t1"]
