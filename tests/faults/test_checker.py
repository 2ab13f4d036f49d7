"""The checker finds each kind of wrong, and nothing where all is well."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.checker import Evidence, Least, Submit, Takeover, check
from tests.faults.ledger import Mark

LEAST = Least(submits=2, kills=1, in_flight=1)


def record(status: str = "completed", attempt: int = 1, crashes: int = 0, retries: int = 1) -> dict[str, Any]:
    counts = {"attempt": attempt, "crashes": crashes, "parameters": {"retries": retries}}
    return {"status": status, **counts, "history": [{"outcome": "completed"}]}


GOOD = Evidence(
    submits=[Submit("a", True), Submit("b", True), Submit("c", None), Submit("d", False), Submit("e", None)],
    ledger=[
        Mark("a", 1, 1, "start"),
        Mark("b", 1, 1, "start"),
        Mark("b", 1, 1, "fail"),
        Mark("a", 2, 2, "start"),
        Mark("a", 2, 2, "end"),
        Mark("b", 5, 2, "start"),
        Mark("b", 5, 2, "fail"),
        Mark("c", 1, 1, "start"),
        Mark("c", 1, 1, "end"),
    ],
    final={"a": record(attempt=2, crashes=1), "b": record("dead-lettered", attempt=2), "c": record()},
    takeovers=[Takeover("a", 0, 1)],
    in_flight=[2],
)


def test_good_evidence_is_good() -> None:
    assert check(GOOD, LEAST) == []


def test_a_released_run_counts_no_attempt() -> None:
    ledger = [*GOOD.ledger, Mark("c", 2, 1, "start"), Mark("c", 2, 1, "end")]
    final = {**GOOD.final, "c": {**record(), "history": [{"outcome": "released"}, {"outcome": "completed"}]}}
    assert check(GOOD._replace(ledger=ledger, final=final), LEAST) == []


def test_what_a_long_history_has_forgotten_is_bounded_by_the_stops() -> None:
    ledger = [*GOOD.ledger, Mark("c", 2, 1, "start"), Mark("c", 2, 1, "end")]
    final = {**GOOD.final, "c": {**record(), "history": [{"outcome": "completed"}] * 20}}
    seen = GOOD._replace(ledger=ledger, final=final)
    assert check(seen._replace(between=1), LEAST) == []
    assert "over budget: c was started 2 times" in check(seen, LEAST)[0]


def test_who_was_frozen_may_begin_what_was_taken_from_it() -> None:
    late = Mark("b", 4, 2, "start", pid=7)
    seen = GOOD._replace(ledger=[*GOOD.ledger, late], final={**GOOD.final, "b": record("dead-lettered", 3, 1)})
    assert check(seen._replace(zombies=frozenset({7})), LEAST) == []
    assert any("fence fell: b" in line for line in check(seen._replace(zombies=frozenset({8})), LEAST))


def wrong_mark(*marks: Mark) -> dict[str, Any]:
    return {"ledger": [*GOOD.ledger, *marks]}


def wrong_record(**records: dict[str, Any]) -> dict[str, Any]:
    return {"final": {**GOOD.final, **records}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"final": {k: v for k, v in GOOD.final.items() if k != "b"}}, "lost: b"),
        (wrong_record(d=record(attempt=0, status="cancelled")), "false refusal: d"),
        (wrong_record(x=record(attempt=0, status="cancelled")), "phantom: x"),
        (wrong_record(b=record("failed", attempt=2)), "unfinished: b is failed"),
        (wrong_mark(Mark("c", 1, 1, "start")), "doubled: c"),
        (wrong_mark(Mark("b", 4, 2, "start")), "fence fell: b from 5 to 4"),
        (wrong_mark(Mark("c", 9, 1, "end")), "no start: c has 'end'"),
        (wrong_mark(Mark("c", 1, 1, "fail")), "no start: c has 'fail'"),
        (wrong_mark(Mark("y", 1, 1, "start")), "unknown: y"),
        (wrong_record(e=record()), "not run: e"),
        (wrong_record(b=record("completed", attempt=2)), "not run: b"),
        (wrong_record(a=record(attempt=4, crashes=2, retries=9)), "over budget: a counts 2 crashes"),
        (wrong_record(b=record("dead-lettered", attempt=3)), "over budget: b counts 3 attempts of 2"),
        (wrong_mark(Mark("c", 2, 2, "start"), Mark("c", 2, 2, "end")), "over budget: c was started 2 times"),
        (
            {
                **wrong_mark(Mark("b", 6, 3, "start"), Mark("b", 6, 3, "fail")),
                **wrong_record(b=record("dead-lettered", attempt=3)),
            },
            "over budget: b failed 3 times",
        ),
        ({"takeovers": [Takeover("a", 0, 0)]}, "not taken back: a"),
        ({"takeovers": [Takeover("a", 0, 2)]}, "not taken back: a"),
        ({"submits": GOOD.submits[1:], "final": GOOD.final}, "too little: 1 acknowledged"),
        ({"in_flight": []}, "too little: 0 kills"),
        ({"in_flight": [2, 0]}, "too little: 0 tasks in flight at kill 2"),
    ],
)
def test_each_wrong_is_found(change: dict[str, Any], said: str) -> None:
    found = check(GOOD._replace(**change), LEAST)
    assert any(said in line for line in found), found
