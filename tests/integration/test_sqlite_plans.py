"""How SQLite finds what the statements ask for: by index, never by reading all tasks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from storage import sqlite_sql
from storage.sqlite_sql import statements
from tests.sqlite_files import opened

SCANS = {
    "backup.payloads": "SCAN t",  # of the copy: every payload is read back
    "claim.due": "SCAN tasks USING INDEX tasks_delayed",  # of one row: the first
    "keep.lost": "SCAN tasks USING INDEX tasks_running",  # what runs is little
    "lane.recount": "SCAN tasks USING COVERING INDEX tasks_listed",  # the sweep counts everything
    "read.dead": "SCAN tasks USING INDEX tasks_dead",
}
"""The only statements that walk an index of tasks from its start, and which."""

INDEXES = {
    "claim.ready": "tasks_ready (lane=? AND (eligible_at,id)>(?,?))",
    "claim.solo": "tasks_solo (lane=? AND (eligible_at,id)>(?,?))",
    "claim.taken": "tasks_running (owner=?)",
    "claim.take": "INTEGER PRIMARY KEY (rowid=?)",
    "event.current": "sqlite_autoindex_tasks_1 (id=?)",
    "complete": "INTEGER PRIMARY KEY (rowid=?)",
    "fail": "INTEGER PRIMARY KEY (rowid=?)",
    "promote.due": "tasks_delayed (due_at<?)",
    "keep.expired": "tasks_expiring (expires_at>? AND expires_at<?)",
    "keep.old": "tasks_finished (place=? AND finished_at>? AND finished_at<?)",
    "keep.prune": "tasks_finished (place=? AND finished_at>?)",
    "read.all": "INTEGER PRIMARY KEY (rowid<?)",
    "read.listed": "COVERING INDEX tasks_listed (lane=? AND place=? AND seq<?)",
    "read.scheduled": "COVERING INDEX tasks_scheduled (schedule=? AND seq<?)",
    "read.tagged": "PRIMARY KEY (tag=? AND seq<?)",
    "schedule.busy": "tasks_unfinished (schedule=?)",
    "tally.since": "PRIMARY KEY (detail=? AND minute>?)",
    "tally.forget": "PRIMARY KEY (detail=? AND minute<?)",
    "note.page": "INTEGER PRIMARY KEY (rowid<?)",
    "note.forget": "INTEGER PRIMARY KEY (rowid<?)",
    "submit.twin": "sqlite_autoindex_tasks_1 (id=?)",
    "submit.known": "PRIMARY KEY (key=?)",
}
"""By which index what is asked often, or of many, is found."""


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The steps of every statement."""
    with opened(tmp_path_factory.mktemp("plans")) as store:

        def plan(statement: str) -> list[str]:
            values = [None] * len({*re.findall(r"\?\d+", statement)})
            return [row[3] for row in store._writer.execute(f"EXPLAIN QUERY PLAN {statement}", values)]

        return {name: plan(statement) for name, statement in statements().items()}


def test_no_statement_reads_all_tasks(plans: dict[str, list[str]]) -> None:
    scans = {name: step for name, steps in plans.items() for step in steps if re.match(r"SCAN (tasks|t|tags)\b", step)}
    assert scans == SCANS


@pytest.mark.parametrize(("name", "index"), INDEXES.items(), ids=INDEXES)
def test_what_is_asked_often_is_found_by_index(plans: dict[str, list[str]], name: str, index: str) -> None:
    assert any(step.startswith("SEARCH ") and step.endswith(index) for step in plans[name]), plans[name]


ORDERED = [
    "claim.ready",
    "claim.solo",
    "promote.due",
    "keep.expired",
    "keep.held",
    "read.listed",
    "read.all",
    "read.matching",
    "note.page",
]


@pytest.mark.parametrize("name", ORDERED)
def test_order_comes_from_the_index(plans: dict[str, list[str]], name: str) -> None:
    assert not any("TEMP B-TREE" in step for step in plans[name])


def test_a_statement_that_does_not_take_what_it_says_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "odd.sql").write_text("-- :one\n-- takes: a, b\nSELECT :a\n")
    monkeypatch.setattr(sqlite_sql, "files", lambda package: tmp_path)
    with pytest.raises(ValueError, match=r"odd\.one: takes \['a', 'b'\], but the statement uses \['a'\]"):
        statements.__wrapped__()
