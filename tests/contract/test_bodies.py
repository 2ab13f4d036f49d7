"""Payloads and results of all lengths come back as they were given, wherever a backend keeps them."""

from __future__ import annotations

import pytest

from taskqueue.core import events as ev
from taskqueue.core.task import Status
from tests.stores import Driver

LENGTHS = (2, 64, 65, 127, 128, 129, 191, 192, 193, 1_000, 65_536, 65_537)


def body(length: int, letter: str) -> bytes:
    return b'"' + letter.encode() * (length - 2) + b'"'


@pytest.mark.parametrize("length", LENGTHS)
def test_a_body_comes_back_as_it_was(deck: Driver, length: int) -> None:
    payload, result = body(length, "p"), body(length, "r")
    assert deck.add("t1", payload=payload).payload == payload
    ((taken,),) = deck.claim("a").tasks
    assert taken == deck.get("t1")
    assert taken.payload == payload
    deck.happens(ev.Complete, "t1", result=result)
    done = deck.get("t1")
    assert (done.status, done.payload, done.result) == (Status.COMPLETED, payload, result)


@pytest.mark.parametrize("length", LENGTHS)
def test_so_does_that_of_a_task_that_was_tried_before(deck: Driver, length: int) -> None:
    payload, result = body(length, "p"), body(length, "r")
    deck.run("a", "t1", payload=payload, tags=("x",), retries=1)
    deck.fail("t1", delay=0)
    ((taken,),) = deck.claim("a").tasks
    assert taken == deck.get("t1")
    assert taken.payload == payload
    deck.happens(ev.Complete, "t1", op="1", result=result)
    assert (deck.get("t1").payload, deck.get("t1").result) == (payload, result)


@pytest.mark.parametrize("length", LENGTHS)
def test_nothing_of_it_is_left_when_it_is_deleted(deck: Driver, length: int) -> None:
    deck.run("a", "t1", payload=body(length, "p"))
    deck.happens(ev.Complete, "t1", result=body(length, "r"))
    deck.happens(ev.Delete, "t1")
    assert deck.store.get("t1") is None
    deck.add("t1", payload=b"1")
    assert (deck.get("t1").payload, deck.get("t1").result) == (b"1", None)
