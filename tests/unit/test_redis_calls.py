"""Which verbs share a call of a script."""

from __future__ import annotations

from typing import Any

import pytest

from storage import verbs as v
from storage.redis_calls import MOST_BYTES, PER_CALL, PER_OPERATION, plan
from taskqueue.core import events as ev
from tests.factories import draft


def sizes(verbs: list[Any]) -> list[int]:
    """How many verbs each call is for. Each is in one, in its place."""
    refused: dict[int, Any] = {}
    calls = plan(verbs, refused)
    assert refused == {}
    assert [place for call in calls for place in call.places] == list(range(len(verbs)))
    assert [verb for call in calls for verb in call.verbs] == verbs
    return [len(call.places) for call in calls]


def submit(name: str, payload: bytes = b"1") -> v.Submit:
    return v.Submit(draft(name, payload=payload), None)


def complete(name: str, result: bytes | None = b"1") -> ev.Complete:
    return ev.Complete(id=name, owner="a", fence=1, result=result)


def test_submits_and_ends_share_calls_up_to_a_number() -> None:
    names = [f"t{n}" for n in range(2 * PER_CALL + 1)]
    assert sizes([submit(name) for name in names]) == [PER_CALL, PER_CALL, 1]
    assert sizes([complete(name) for name in names]) == [PER_CALL, PER_CALL, 1]
    assert sizes([complete(name, None) for name in names[:PER_CALL]]) == [PER_CALL]


@pytest.mark.parametrize("make", [submit, complete])
def test_large_bodies_share_calls_up_to_a_number_of_bytes(make: Any) -> None:
    third = b"x" * (MOST_BYTES // 3 + 1)
    assert sizes([make(f"t{n}", third) for n in range(7)]) == [3, 3, 1]
    assert sizes([make("t1", third * 3), make("t2"), make("t3", third * 3)]) == [1, 2]


def test_what_is_answered_with_whole_tasks_shares_calls_of_less() -> None:
    names = [f"t{n}" for n in range(PER_OPERATION + 1)]
    for kind in (ev.Cancel, ev.Retry, ev.Replay, ev.Delete):
        assert sizes([kind(id=name) for name in names]) == [PER_OPERATION, 1]


def test_all_else_has_a_call_of_its_own() -> None:
    assert sizes([v.Pause(f"q{n}") for n in range(3)]) == [1, 1, 1]
