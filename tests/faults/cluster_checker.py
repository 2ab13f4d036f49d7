"""What must hold after a run of several nodes, beside what must hold after any (`checker`): pure functions over what
clients were answered, what handlers wrote into the ledger, and the final dump of the store.

Each rule bears the name of the promise in docs/guarantees.md that it looks after.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

from taskqueue.core.task import HISTORY_LENGTH
from tests.faults.checker import TERMINAL, Evidence, Least
from tests.faults.checker import check as check_tasks

COUNTED = ("completed", "failed", "timeout", "crashed")
"""Outcomes that count as an attempt."""


class Keyed(NamedTuple):
    """An answer to a submit with an idempotency key: the id that it named."""

    key: str
    task: str


class Recovery(NamedTuple):
    """How long a task of a dead node waited for its next start; None: it never came."""

    task: str
    seconds: float | None


class Ticks(NamedTuple):
    """A schedule: the ids that the tasks of its due times have, of all that it has decided, and how many of these it
    did not fire.
    """

    schedule: str
    ids: Sequence[str]
    skipped: int


class Stop(NamedTuple):
    """A node that was asked to stop: its exit code, how long it took and might have taken, and what it still held."""

    node: str
    code: int
    seconds: float
    allowed: float
    held: int


class Glance(NamedTuple):
    """Who leads, as somebody saw it."""

    term: int
    leader: str


class ClusterEvidence(NamedTuple):
    """All that was seen.

    Attributes:
        tasks: what the single node's checker looks at.
        sums: checksum of a task's payload as its client sent it.
        keyed: answers to submits with a key.
        recoveries, recover_within: seconds that a dead node's task may wait.
        ticks: the schedules of the run.
        stops: nodes that were asked to stop while work was there.
        glances: terms that were seen.
        guilty: tasks that kill their node, all that is convicted of it.
        counts: how many tasks there are by status, as the store counts them.
        repaired: how much limbo a sweep found at the end.
    """

    tasks: Evidence
    sums: Mapping[str, str] = {}
    keyed: Sequence[Keyed] = ()
    recoveries: Sequence[Recovery] = ()
    recover_within: float = 0.0
    ticks: Sequence[Ticks] = ()
    stops: Sequence[Stop] = ()
    glances: Sequence[Glance] = ()
    guilty: frozenset[str] = frozenset()
    counts: Mapping[str, int] = {}
    repaired: int = 0


class ClusterLeast(NamedTuple):
    """Less than this proves nothing."""

    tasks: Least
    claims: int = 1
    recoveries: int = 0
    ticks: int = 0
    terms: int = 1


def check(seen: ClusterEvidence, least: ClusterLeast) -> list[str]:
    """Everything that is wrong, one line each; nothing where all is well."""
    final = seen.tasks.final
    return [
        *check_tasks(seen.tasks, least.tasks),
        *_enough(seen, least),
        *_keys(seen.keyed),
        *_payloads(seen),
        *(line for record in final.values() for line in _history(record)),
        *_indexes(final, seen.counts, seen.repaired),
        *_recoveries(seen.recoveries, seen.recover_within),
        *(line for ticks in seen.ticks for line in _ticks(ticks, final)),
        *_terms(seen.glances),
        *(line for stop in seen.stops for line in _stop(stop)),
        *_poison(final, seen.guilty),
    ]


def _enough(seen: ClusterEvidence, least: ClusterLeast) -> Iterator[str]:
    fired = sum(record.get("schedule") is not None for record in seen.tasks.final.values())
    for have, wanted, what in (
        (sum(mark.phase == "start" for mark in seen.tasks.ledger), least.claims, "claims that came to a start"),
        (len(seen.recoveries), least.recoveries, "recoveries"),
        (fired, least.ticks, "ticks"),
        (len({glance.term for glance in seen.glances}), least.terms if seen.glances else 0, "terms"),
    ):
        if have < wanted:
            yield f"too little: {have} {what}, at least {wanted} wanted"


def _keys(keyed: Iterable[Keyed]) -> Iterator[str]:
    """D2: the same key names the same task."""
    named: defaultdict[str, set[str]] = defaultdict(set)
    for key, task in keyed:
        named[key].add(task)
    for key, tasks in named.items():
        if len(tasks) > 1:
            yield f"D2: the key {key} named {sorted(tasks)}"


def _payloads(seen: ClusterEvidence) -> Iterator[str]:
    """D5: what a handler got is what the client sent. F4: the result that is kept is that of the last fence."""
    last: dict[str, int] = {}
    for mark in seen.tasks.ledger:
        last[mark.task] = max(mark.fence, last.get(mark.task, 0))
        if mark.sum and mark.task in seen.sums and mark.sum != seen.sums[mark.task]:
            yield f"D5: {mark.task} ran with a payload of sum {mark.sum}, {seen.sums[mark.task]} was sent"
    for task, record in seen.tasks.final.items():
        result = record.get("result")
        fence = result.get("fence") if isinstance(result, dict) else None
        if record["status"] == "completed" and fence is not None and fence != last.get(task):
            yield f"F4: {task} keeps the result of fence {fence}, its last run had {last.get(task)}"


def _history(record: Mapping[str, Any]) -> Iterator[str]:
    """F2: runs of a task follow one another. F3: one end for each generation. S1: the state is what the runs led to."""
    task, history = record["id"], record["history"]
    for one, two in pairwise(history):
        if one["finishedAt"] is None or two["startedAt"] is None:
            continue
        if _seconds(two["startedAt"]) < _seconds(one["finishedAt"]):
            yield f"F2: {task} was claimed at {two['startedAt']}, and held until {one['finishedAt']}"
        if two["generation"] < one["generation"]:
            yield f"S1: {task} went from generation {one['generation']} to {two['generation']}"
    ends = Counter(entry["generation"] for entry in history if entry["outcome"] == "completed")
    for generation, count in ends.items():
        if count > 1:
            yield f"F3: {task} was completed {count} times in generation {generation}"
    present = [entry for entry in history if entry["generation"] == record["generation"]]
    if any(entry["outcome"] == "completed" for entry in present[:-1]):
        yield f"F3: {task} ran on after it was completed"
    last = present[-1]["outcome"] if present else None
    if record["status"] == "completed" and last != "completed":
        yield f"S1: {task} is completed, and its last run was {last}"
    if record["status"] != "completed" and last == "completed":
        yield f"S1: {task} is {record['status']}, and its last run was completed"
    attempts = sum(entry["outcome"] in COUNTED for entry in present)
    if record["status"] in TERMINAL and len(history) < HISTORY_LENGTH and attempts != record["attempt"]:
        yield f"S1: {task} counts {record['attempt']} attempts, its history has {attempts}"


def _indexes(final: Mapping[str, Mapping[str, Any]], counts: Mapping[str, int], repaired: int) -> Iterator[str]:
    """S2: what the store counts is what it lists, and a sweep finds nothing to repair."""
    listed = Counter(str(record["status"]) for record in final.values())
    for status, count in counts.items():
        if count != listed[status]:
            yield f"S2: {count} tasks are counted as {status}, and {listed[status]} are listed"
    if repaired:
        yield f"S2: {repaired} tasks or counts were in limbo"


def _recoveries(recoveries: Iterable[Recovery], within: float) -> Iterator[str]:
    """L3: what a dead node held runs again soon."""
    for task, seconds in recoveries:
        if seconds is None:
            yield f"L3: {task} was held by a dead node and never ran again"
        elif seconds > within:
            yield f"L3: {task} of a dead node waited {seconds:.1f} s, {within:g} are allowed"


def _ticks(ticks: Ticks, final: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """R1, R2: every due time is one task or one counted skip."""
    fired = {task for task, record in final.items() if record.get("schedule") == ticks.schedule}
    for task in sorted(fired.difference(ticks.ids)):
        yield f"R1: {task} of {ticks.schedule} is of no due time that it has decided"
    if len(fired) + ticks.skipped != len(ticks.ids):
        yield f"R2: {ticks.schedule} fired {len(fired)} and skipped {ticks.skipped} of {len(ticks.ids)} due times"


def _terms(glances: Iterable[Glance]) -> Iterator[str]:
    """R3: a term has one leader."""
    leaders: defaultdict[int, set[str]] = defaultdict(set)
    for term, leader in glances:
        leaders[term].add(leader)
    for term, names in leaders.items():
        if len(names) > 1:
            yield f"R3: {sorted(names)} led in term {term}"


def _stop(stop: Stop) -> Iterator[str]:
    """H1: who is asked to stop does, in time, and keeps nothing."""
    if stop.code != 0:
        yield f"H1: {stop.node} ended with {stop.code}"
    if stop.seconds > stop.allowed:
        yield f"H1: {stop.node} took {stop.seconds:.1f} s to stop, {stop.allowed:g} are allowed"
    if stop.held:
        yield f"H1: {stop.node} left {stop.held} tasks behind as its own"


def _poison(final: Mapping[str, Mapping[str, Any]], guilty: frozenset[str]) -> Iterator[str]:
    """P1: who kills nodes is convicted of it, and nobody else."""
    for task, record in final.items():
        error = record.get("error")
        convicted = record["status"] == "dead-lettered" and error is not None and error["cause"] == "crash"
        if convicted and task not in guilty:
            yield f"P1: {task} was convicted, and is innocent"
        if task in guilty and not convicted:
            yield f"P1: {task} kills nodes, and is {record['status']}"


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
