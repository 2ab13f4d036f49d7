"""Bugs put into the leader's net under hung tasks on purpose; a named test of the conformance suite has to find each.

What the simulator finds of it is in `protocol_bugs.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutation.copies import Bug, outcomes
from tests.mutation.nursery import Nursery

FILE = "actors/overdue.py"

BUGS = (
    Bug(
        "a task is timed, not its run",
        FILE,
        "(one.id, one.fence): before.get((one.id, one.fence)) or _Timer(now) for one in seen.held",
        "(one.id, one.fence): {k[0]: t for k, t in before.items()}.get(one.id) or _Timer(now) for one in seen.held",
        "test_overdue.py::test_what_is_claimed_anew_is_timed_anew[memory]",
    ),
    Bug(
        "the store is not asked whose run it still is",
        "taskqueue/core/states.py",
        "task.owner == event.owner and task.fence == event.fence",
        "task.owner == event.owner",
        "test_overdue.py::test_what_ended_in_between_is_left_alone[memory]",
    ),
    Bug(
        "who stands still is ended for",
        FILE,
        "if self._beats(owner, now) else {}",
        "",
        "test_overdue.py::test_who_stands_still_is_left_to_those_who_declare_the_dead[memory]",
    ),
    Bug(
        "time in which nothing was seen counts",
        FILE,
        "now - self._heard > STALL",
        "now < self._heard",
        "test_overdue.py::test_a_node_that_stood_still_alone_has_time_to_tell[memory]",
    ),
    Bug(
        "everything that is held is read",
        FILE,
        "one.timeout is None and now - one.since >= LONG",
        "one.timeout is None",
        "test_overdue.py::test_what_ends_soon_is_never_read[memory]",
    ),
    Bug(
        "one node after the other, however many",
        FILE,
        "ceil(len(self._holders) * EVERY / ROUND)",
        "1",
        "test_overdue.py::test_many_nodes_are_all_looked_at_within_a_round[memory]",
    ),
)


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_the_suite_finds(nursery: Nursery, copy: Path, bug: Bug) -> None:
    with bug.put_into(copy):
        assert outcomes(nursery, copy, [bug.test]) == {bug.test: "FAILED"}


def test_without_a_bug_all_of_them_pass(nursery: Nursery, copy: Path) -> None:
    assert set(outcomes(nursery, copy, [bug.test for bug in BUGS]).values()) == {"PASSED"}
