"""Submits: what is stored, what is a repeat, what is refused; keys, capacity, batches that are all or nothing."""

from __future__ import annotations

from typing import Any

import pytest

from storage import verbs as v
from taskqueue.core import events as ev
from taskqueue.core.clock import HOUR, MINUTE, SECOND, ManualClock
from taskqueue.core.events import Code
from taskqueue.core.task import Status, born
from tests.factories import draft
from tests.stores import Driver, everything

OTHER = b"another body"


def ids(deck: Driver) -> list[str]:
    return [task.id for task in everything(deck.store)]


def codes(answers: tuple[v.Submitted, ...]) -> list[Code]:
    return [answer.code for answer in answers]


def batch(deck: Driver, *drafts: Any, capacity: int | None = None) -> tuple[v.Submitted, ...]:
    answers: tuple[v.Submitted, ...] = deck.do(v.SubmitAll(drafts, capacity))
    assert len(answers) == len(drafts)
    return answers


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tags": ("x", "y"), "key": "k", "schedule": "nightly", "keep_result": False, "priority": 9, "retries": 0},
        {"delay": MINUTE},
        {"run_at": 1_790_000_000 * SECOND + HOUR},
        {"run_at": SECOND},
        {"expires_at": 1_790_000_000 * SECOND + HOUR},
        {"payload": '"ünïcode \U0001f600"'.encode()},
        {"payload": b'"' + b"x" * 100_000 + b'"'},
        {"handler": "a.b:c-d", "queue": "Q_1", "timeout": 1},
    ],
)
def test_a_submit_stores_the_draft(deck: Driver, changes: dict[str, Any]) -> None:
    assert deck.submit("t1", **changes) == v.Submitted(Code.OK, "t1", Status.PENDING, deck.now)
    assert deck.get() == born(draft("t1", **changes), deck.now)


def test_the_same_body_again_answers_with_the_task_as_it_is(deck: Driver) -> None:
    created = deck.add().created_at
    deck.clock.advance(SECOND)
    assert deck.submit() == v.Submitted(Code.DUP, "t1", Status.PENDING, created)
    deck.run("a")
    assert deck.submit() == v.Submitted(Code.DUP, "t1", Status.PROCESSING, created)
    deck.happens(ev.Complete)
    before = deck.get()
    assert deck.submit() == v.Submitted(Code.DUP, "t1", Status.COMPLETED, created)
    assert deck.get() == before


def test_another_body_under_the_same_id_is_a_conflict(deck: Driver) -> None:
    before = deck.add()
    answer = deck.submit(digest=OTHER, payload=b"2")
    assert (answer.code, answer.id) == (Code.CONFLICT, "t1")
    assert deck.get() == before


def test_after_a_delete_an_id_is_free(deck: Driver) -> None:
    deck.add()
    deck.happens(ev.Cancel)
    deck.happens(ev.Delete)
    assert deck.submit(digest=OTHER).code is Code.OK
    assert deck.get().digest == OTHER


def test_capacity_counts_what_waits(deck: Driver) -> None:
    deck.add("ready")
    deck.add("delayed", delay=MINUTE)
    deck.run("a", "failed", handler="other")
    deck.fail("failed")
    deck.run("a", "running", handler="third")
    assert deck.submit("t1", capacity=3) == v.Submitted(Code.FULL, "t1")
    assert deck.store.get("t1") is None
    assert deck.submit("t1", capacity=4).code is Code.OK
    deck.happens(ev.Cancel, "failed")
    deck.happens(ev.Cancel, "delayed")
    assert deck.submit("t2", capacity=2).code is Code.FULL
    assert deck.submit("t2", capacity=3).code is Code.OK
    assert deck.submit("t3", capacity=None).code is Code.OK


def test_a_repeat_is_answered_also_when_full(deck: Driver) -> None:
    deck.add("t1", key="k")
    deck.add("t2")
    assert deck.submit("t2", capacity=0).code is Code.DUP
    assert deck.submit("t9", key="k", digest=draft("t1").digest, capacity=0).code is Code.DUP
    assert deck.submit("t2", digest=OTHER, capacity=0).code is Code.CONFLICT
    assert deck.submit("t9", key="k", digest=OTHER, capacity=0).code is Code.MISMATCH


def test_a_refused_submit_uses_up_neither_key_nor_id(deck: Driver) -> None:
    assert deck.submit("t1", key="k", capacity=0).code is Code.FULL
    deck.add("t2")
    assert deck.submit("t2", key="k", digest=OTHER).code is Code.CONFLICT
    assert deck.submit("t3", key="k").code is Code.OK


# -- idempotency keys ------------------------------------------------------------------------------------------------


def test_a_key_answers_with_the_first_answer(deck: Driver, clock: ManualClock) -> None:
    first = deck.submit("t1", key="k", digest=b"body")
    clock.advance(HOUR)
    deck.run("a")
    deck.happens(ev.Complete)
    again = v.Submitted(Code.DUP, "t1", Status.PENDING, first.created_at)
    assert deck.submit("t2", key="k", digest=b"body") == again
    assert deck.submit("t1", key="k", digest=b"body") == again
    deck.happens(ev.Delete)
    assert deck.submit("t3", key="k", digest=b"body") == again
    assert ids(deck) == []


@pytest.mark.parametrize("atomic", [False, True])
def test_a_key_that_comes_with_a_known_id_stands_for_it_from_then_on(deck: Driver, atomic: bool) -> None:
    send = (lambda name, **said: batch(deck, draft(name, **said))[0]) if atomic else deck.submit
    deck.submit("t1", digest=b"body")
    assert send("t1", key="k", digest=b"body").code is Code.DUP
    assert send("t2", key="k", digest=OTHER).code is Code.MISMATCH
    deck.run("a")
    deck.happens(ev.Complete)
    deck.happens(ev.Delete)
    again = send("t1", key="k", digest=b"body")
    assert (again.code, again.id) == (Code.DUP, "t1")
    assert ids(deck) == []


def test_within_a_batch_a_key_that_comes_with_a_known_id_stands_for_it_too(deck: Driver) -> None:
    first, again, other = (draft("t1", digest=b"body", key=key) for key in (None, "k", "k"))
    assert codes(batch(deck, first, again, other)) == [Code.OK, Code.DUP, Code.DUP]
    assert deck.submit("t2", key="k", digest=OTHER).code is Code.MISMATCH


def test_a_key_with_another_body_is_a_mismatch(deck: Driver) -> None:
    deck.add("t1", key="k", digest=b"body")
    assert deck.submit("t2", key="k", digest=OTHER).code is Code.MISMATCH
    assert deck.submit("t1", key="k", digest=OTHER).code is Code.MISMATCH
    assert ids(deck) == ["t1"]


def test_a_key_is_over_after_its_lifetime(deck: Driver, clock: ManualClock) -> None:
    deck.add("t1", key="k", digest=b"body")
    clock.advance(v.KEY_LIFETIME - 1)
    assert deck.submit("t2", key="k", digest=OTHER).code is Code.MISMATCH
    clock.advance(1)
    assert deck.submit("t2", key="k", digest=OTHER).code is Code.OK
    clock.advance(v.KEY_LIFETIME - 1)  # the second use has a lifetime of its own
    assert deck.submit("t3", key="k", digest=OTHER).id == "t2"


def test_pruning_forgets_only_keys_that_are_over(deck: Driver, clock: ManualClock) -> None:
    deck.add("t1", key="old", digest=b"body")
    clock.advance(v.KEY_LIFETIME // 2)
    deck.add("t2", key="young", digest=b"body")
    clock.advance(v.KEY_LIFETIME // 2)
    deck.led(v.PruneOld, keep=())
    assert deck.submit("t3", key="young", digest=b"body").id == "t2"
    assert deck.submit("t4", key="old", digest=b"body").code is Code.OK


def test_keys_differ_by_every_character(deck: Driver) -> None:
    for n, key in enumerate(["k", "K", "k ", "", "ключ", "k%", "k\x7f"]):
        assert deck.submit(f"t{n}", key=key).code is Code.OK


# -- batches ---------------------------------------------------------------------------------------------------------


def test_a_batch_is_stored_in_its_order(deck: Driver) -> None:
    answers = batch(deck, draft("c"), draft("a", key="k"), draft("b", delay=MINUTE))
    assert answers == tuple(v.Submitted(Code.OK, name, Status.PENDING, deck.now) for name in "cab")
    assert ids(deck) == ["b", "a", "c"]
    assert deck.submit("x", key="k", digest=draft("a").digest).id == "a"


def test_an_empty_batch_is_answered_with_nothing(deck: Driver) -> None:
    assert batch(deck) == ()


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (draft("old", digest=OTHER), Code.CONFLICT),
        (draft("t9", key="used", digest=OTHER), Code.MISMATCH),
        (draft("t1", digest=OTHER), Code.CONFLICT),
        (draft("t9", key="mine", digest=OTHER), Code.MISMATCH),
    ],
)
def test_one_wrong_item_holds_back_the_batch(deck: Driver, wrong: Any, code: Code) -> None:
    deck.add("old", key="used")
    before = everything(deck.store)
    answers = batch(deck, draft("t1"), draft("t2", key="mine"), wrong, draft("t3"))
    assert codes(answers) == [Code.WAITS, Code.WAITS, code, Code.WAITS]
    assert [answer.id for answer in answers] == ["t1", "t2", wrong.id, "t3"]
    assert everything(deck.store) == before
    assert deck.submit("t4", key="mine", digest=OTHER).code is Code.OK  # the key was not used up


def test_repeats_within_a_batch(deck: Driver) -> None:
    deck.add("old", key="used", digest=b"body")
    answers = batch(
        deck,
        draft("t1", key="k", digest=b"body"),
        draft("t1", digest=b"body"),
        draft("t2", key="k", digest=b"body"),
        draft("t3", key="used", digest=b"body"),
        draft("old", digest=b"body"),
    )
    assert codes(answers) == [Code.OK, *[Code.DUP] * 4]
    assert [answer.id for answer in answers] == ["t1", "t1", "t1", "old", "old"]
    assert ids(deck) == ["t1", "old"]


def test_a_batch_over_the_capacity_is_held_back_whole(deck: Driver) -> None:
    deck.add("old")
    answers = batch(deck, draft("t1", key="k"), draft("t2"), draft("t3"), capacity=3)
    assert Code.FULL in codes(answers)
    assert set(codes(answers)) <= {Code.FULL, Code.WAITS}
    assert ids(deck) == ["old"]
    # Repeats take no room.
    answers = batch(deck, draft("t1", key="k"), draft("old"), draft("t1"), draft("t2"), capacity=3)
    assert codes(answers) == [Code.OK, Code.DUP, Code.DUP, Code.OK]


def test_a_batch_of_a_thousand(deck: Driver) -> None:
    answers = batch(deck, *(draft(f"t{n:04}") for n in range(1_000)), capacity=1_000)
    assert set(codes(answers)) == {Code.OK}
    assert ids(deck) == [f"t{n:04}" for n in reversed(range(1_000))]


def test_verbs_of_one_call_see_each_other_but_stand_alone(deck: Driver) -> None:
    deck.add("old")
    results = deck.store.execute(
        [
            v.Submit(draft("t1")),
            v.Submit(draft("old", digest=OTHER)),
            v.Claim("a", 1, (v.Group(("echo",), ("default",), 9),)),
            ev.Cancel(id="t1"),
            ev.Cancel(id="none"),
            v.Submit(draft("t1")),
        ]
    )
    found = [result.code for result in results if not isinstance(result, tuple | Exception | v.Schedule)]
    assert found == [Code.OK, Code.CONFLICT, Code.OK, Code.OK, Code.NOT_FOUND, Code.DUP]
    assert deck.get().status is Status.CANCELLED
    assert deck.store.execute([]) == []
