"""What must hold after any number of crashes, as one pure function over what was seen: what clients were answered, what
handlers wrote into the ledger, and what the store says in the end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from taskqueue.core.task import HISTORY_LENGTH
from tests.faults.ledger import Mark

TERMINAL = ("completed", "dead-lettered", "cancelled")


class Submit(NamedTuple):
    """A task that a client sent; `stored`: True, False, or None where it never learnt it."""

    task: str
    stored: bool | None


class Takeover(NamedTuple):
    """A task that a killed node held: its crashes then, and soon after the next start."""

    task: str
    before: int
    after: int


class Evidence(NamedTuple):
    """All that was seen. `final`: the tasks as REST shows them; `in_flight`: how many ran at each kill; `between`: how
    many more kills hit a node that was starting or stopping; `zombies`: processes that were frozen, and so may begin
    what was taken from them meanwhile.
    """

    submits: Sequence[Submit]
    ledger: Sequence[Mark]
    final: Mapping[str, Mapping[str, Any]]
    takeovers: Sequence[Takeover]
    in_flight: Sequence[int]
    between: int = 0
    zombies: frozenset[int] = frozenset()


class Least(NamedTuple):
    """Less than this proves nothing."""

    submits: int
    kills: int
    in_flight: int


def check(seen: Evidence, least: Least) -> list[str]:
    """Everything that is wrong, one line each; nothing where all is well."""
    return [*_enough(seen, least), *_kept(seen), *_ledger(seen), *_budgets(seen), *_taken_back(seen)]


def _enough(seen: Evidence, least: Least) -> Iterator[str]:
    acknowledged = sum(submit.stored is True for submit in seen.submits)
    if acknowledged < least.submits:
        yield f"too little: {acknowledged} acknowledged submits, at least {least.submits} wanted"
    if len(seen.in_flight) < least.kills:
        yield f"too little: {len(seen.in_flight)} kills, at least {least.kills} wanted"
    for kill, count in enumerate(seen.in_flight, 1):
        if count < least.in_flight:
            yield f"too little: {count} tasks in flight at kill {kill}, at least {least.in_flight} wanted"


def _kept(seen: Evidence) -> Iterator[str]:
    for task, stored in seen.submits:
        if stored is True and task not in seen.final:
            yield f"lost: {task} was acknowledged and is not there"
        if stored is False and task in seen.final:
            yield f"false refusal: {task} was refused and is there"
    sent = {submit.task for submit in seen.submits}
    for task, record in seen.final.items():
        if task not in sent:
            yield f"phantom: {task} is there and nobody sent it"
        if record["status"] not in TERMINAL:
            yield f"unfinished: {task} is {record['status']}"


def _ledger(seen: Evidence) -> Iterator[str]:
    last: dict[str, int] = {}
    phases: dict[tuple[str, int], list[str]] = defaultdict(list)
    for mark in seen.ledger:
        run = phases[mark.task, mark.fence]
        if mark.phase == "start":
            if run:
                yield f"doubled: {mark.task} started twice with fence {mark.fence}"
            if mark.fence < last.get(mark.task, 0) and mark.pid not in seen.zombies:
                yield f"fence fell: {mark.task} from {last[mark.task]} to {mark.fence}"
            last[mark.task] = max(mark.fence, last.get(mark.task, 0))
        elif run != ["start"]:
            yield f"no start: {mark.task} has {mark.phase!r} with fence {mark.fence} after {run}"
        run.append(mark.phase)
    for task in last.keys() - seen.final.keys():
        yield f"unknown: {task} ran and is not there"
    for task, record in seen.final.items():
        if record["status"] == "completed" and phases[task, last.get(task, 0)] != ["start", "end"]:
            yield f"not run: {task} is completed, and its last run was {phases[task, last.get(task, 0)]}"


def _budgets(seen: Evidence) -> Iterator[str]:
    starts: dict[str, int] = defaultdict(int)
    fails: dict[str, int] = defaultdict(int)
    for mark in seen.ledger:
        starts[mark.task] += mark.phase == "start"
        fails[mark.task] += mark.phase == "fail"
    kills = len(seen.in_flight) + seen.between + len(seen.zombies)
    for task, record in seen.final.items():
        tries, crashes = record["parameters"]["retries"] + 1, record["crashes"]
        if crashes > kills:
            yield f"over budget: {task} counts {crashes} crashes, and there were {kills} kills"
        if record["attempt"] - crashes > tries:
            yield f"over budget: {task} counts {record['attempt'] - crashes} attempts of {tries}, crashes aside"
        released = sum(entry["outcome"] == "released" for entry in record["history"])
        if len(record["history"]) >= HISTORY_LENGTH:
            released = seen.between  # what was released has been forgotten
        if starts[task] > record["attempt"] + released:
            yield f"over budget: {task} was started {starts[task]} times, and counts {record['attempt']} attempts"
        if fails[task] > tries + crashes:
            yield f"over budget: {task} failed {fails[task]} times, with {tries} attempts and {crashes} crashes"


def _taken_back(seen: Evidence) -> Iterator[str]:
    for task, before, after in seen.takeovers:
        if after != before + 1:
            yield f"not taken back: {task} counted {before} crashes when its node was killed, then {after}"
