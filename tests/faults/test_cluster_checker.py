"""The checker of clusters finds each kind of wrong, and nothing where all is well."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.checker import Evidence, Least, Submit
from tests.faults.cluster_checker import (
    ClusterEvidence,
    ClusterLeast,
    Glance,
    Keyed,
    Recovery,
    Stop,
    Ticks,
    check,
)
from tests.faults.ledger import Mark

LEAST = ClusterLeast(Least(submits=1, kills=1, in_flight=1), claims=4, recoveries=1, ticks=2, terms=2)


def entry(outcome: str, began: int, ended: int, generation: int = 1) -> dict[str, Any]:
    times = {"startedAt": f"2026-01-01T00:00:{began:02}.000Z", "finishedAt": f"2026-01-01T00:00:{ended:02}.000Z"}
    return {"outcome": outcome, "generation": generation, **times}


def record(id: str, *history: dict[str, Any], status: str = "completed", **fields: Any) -> dict[str, Any]:
    outcomes = [one["outcome"] for one in history]
    counts = {"crashes": outcomes.count("crashed"), "attempt": len(outcomes) - outcomes.count("released")}
    plain = {"id": id, "generation": 1, "parameters": {"retries": 3}, "schedule": None, "error": None, "result": None}
    return {**plain, "status": status, "history": list(history), **counts, **fields}


def tick(number: int, at: int) -> dict[str, Any]:
    return record(f"tick-{number}", entry("completed", at, at + 1), schedule="s")


TASKS = {
    "a": record("a", entry("crashed", 1, 4), entry("completed", 5, 6), result={"fence": 7}),
    "b": record("b", *[entry("crashed", n, n) for n in (1, 2, 3)], status="dead-lettered", error={"cause": "crash"}),
    "tick-1": tick(1, 10),
    "tick-3": tick(3, 30),
}
GOOD = ClusterEvidence(
    tasks=Evidence(
        submits=[Submit(task, True) for task in TASKS],
        ledger=[
            Mark("a", 1, 1, "start", sum="aa"),
            Mark("a", 7, 1, "start", sum="aa"),
            Mark("a", 7, 1, "end"),
            *[Mark(f"tick-{n}", 1, 1, phase) for n in (1, 3) for phase in ("start", "end")],
        ],
        final=TASKS,
        takeovers=[],
        in_flight=[1, 1, 1],
    ),
    sums={"a": "aa"},
    keyed=[Keyed("k", "a"), Keyed("k", "a"), Keyed("l", "b")],
    recoveries=[Recovery("a", 1.0)],
    recover_within=2.0,
    ticks=[Ticks("s", ("tick-1", "tick-2", "tick-3"), skipped=1)],
    stops=[Stop("n1", 0, 1.0, 2.0, 0)],
    glances=[Glance(1, "x"), Glance(2, "y"), Glance(1, "x")],
    guilty=frozenset({"b"}),
    counts={"completed": 3, "dead-lettered": 1, "pending": 0},
)


def test_good_evidence_is_good() -> None:
    assert check(GOOD, LEAST) == []


def tasks(**changes: Any) -> dict[str, Any]:
    return {"tasks": GOOD.tasks._replace(**changes)}


def final(*records: dict[str, Any]) -> dict[str, Any]:
    return tasks(final={**TASKS, **{one["id"]: one for one in records}})


def changed(id: str, **fields: Any) -> dict[str, Any]:
    return final({**TASKS[id], **fields})


CRASHED, COMPLETED = entry("crashed", 1, 4), entry("completed", 5, 6)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (tasks(final={key: value for key, value in TASKS.items() if key != "a"}), "lost: a"),
        ({"keyed": [*GOOD.keyed, Keyed("k", "c")]}, "D2: the key k named ['a', 'c']"),
        ({"sums": {"a": "ab"}}, "D5: a ran with a payload of sum aa"),
        (changed("a", result={"fence": 1}), "F4: a keeps the result of fence 1"),
        (changed("a", history=[entry("crashed", 1, 6), COMPLETED]), "F2: a was claimed at"),
        (changed("a", history=[CRASHED, COMPLETED, entry("completed", 7, 8)]), "F3: a was completed 2 times"),
        (changed("a", history=[entry("completed", 1, 2), entry("crashed", 3, 4)]), "F3: a ran on"),
        (changed("a", history=[entry("failed", 1, 4, generation=2), COMPLETED]), "S1: a went from generation 2"),
        (changed("a", history=[CRASHED]), "S1: a is completed, and its last run was crashed"),
        (changed("a", status="cancelled"), "S1: a is cancelled, and its last run was completed"),
        (changed("a", attempt=3), "S1: a counts 3 attempts, its history has 2"),
        ({"counts": {"completed": 4}}, "S2: 4 tasks are counted as completed, and 3 are listed"),
        ({"counts": {"processing": 1}}, "S2: 1 tasks are counted as processing"),
        ({"repaired": 1}, "S2: 1 tasks or counts were in limbo"),
        ({"recoveries": [Recovery("a", None)]}, "L3: a was held by a dead node"),
        ({"recoveries": [Recovery("a", 2.1)]}, "L3: a of a dead node waited 2.1 s"),
        (final({**TASKS["tick-3"], "id": "tick-9"}), "R1: tick-9 of s is of no due time"),
        ({"ticks": [GOOD.ticks[0]._replace(skipped=0)]}, "R2: s fired 2 and skipped 0 of 3"),
        ({"glances": [*GOOD.glances, Glance(2, "x")]}, "R3: ['x', 'y'] led in term 2"),
        ({"stops": [Stop("n1", 1, 1.0, 2.0, 0)]}, "H1: n1 ended with 1"),
        ({"stops": [Stop("n1", 0, 3.0, 2.0, 0)]}, "H1: n1 took 3.0 s"),
        ({"stops": [Stop("n1", 0, 1.0, 2.0, 4)]}, "H1: n1 left 4 tasks"),
        ({"guilty": frozenset()}, "P1: b was convicted, and is innocent"),
        ({"guilty": frozenset({"a", "b"})}, "P1: a kills nodes, and is completed"),
        (tasks(ledger=GOOD.tasks.ledger[1:]), "too little: 3 claims"),
        ({"recoveries": []}, "too little: 0 recoveries"),
        (tasks(final={key: value for key, value in TASKS.items() if key != "tick-3"}), "too little: 1 ticks"),
        ({"glances": [Glance(1, "x")]}, "too little: 1 terms"),
    ],
)
def test_each_wrong_is_found(change: dict[str, Any], said: str) -> None:
    found = check(GOOD._replace(**change), LEAST)
    assert any(said in line for line in found), found
