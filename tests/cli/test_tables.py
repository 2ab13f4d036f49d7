"""Tables on a terminal: what names a thing is there however narrow it is."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest
from rich.console import Console

from taskqueue.cli import output
from taskqueue.cli.nodes import node_table
from taskqueue.cli.queues import queue_table
from taskqueue.cli.schedules import _table as schedule_table
from taskqueue.cli.tasks import task_table

AT = "2026-11-24T14:11:14.505Z"
ID = "01a20ccc-d386-7000-af7d-0f693f025b6e"
TICK = "tick-a1bb1a07e22746af3e9f8a4231de439b4dd393d1"
TASK = {
    "handler": "email.send", "queue": "default", "priority": 4, "attempt": 1, "createdAt": AT,
    "status": "dead-lettered", "progress": None, "runAt": AT,
    "error": {"type": "Discard", "message": "no address, " * 9, "cause": "discarded"},
}  # fmt: skip
NODE = {
    "id": "vm-24018-aa5f2b", "status": "alive", "leader": True, "host": "vm", "pid": 24018, "startedAt": AT,
    "lastHeartbeat": AT, "workers": 5, "running": 2, "queues": ["default"], "handlers": ["echo"],
}  # fmt: skip
QUEUE = {
    "name": "default", "paused": False, "pending": 70, "failed": 1, "processing": 2, "oldestAge": 65.0,
    "submittedPerSecond": 0.2, "finishedPerSecond": 0.5, "unserved": ["nobody.serves"],
}  # fmt: skip
SCHEDULE = {
    "id": "daily-report", "cron": "30 8 * * MON-FRI", "every": None, "timezone": "Europe/Berlin",
    "handler": "email.send", "orphaned": False, "paused": False, "nextRunAt": AT, "lastRunAt": AT, "skipped": {},
}  # fmt: skip


class Terminal(io.StringIO):
    """Says that it is one."""

    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, made: Any, width: int) -> list[str]:
    """The lines of what `made` makes on a terminal so wide."""
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", str(width))
    console = Console(file=sys.stdout, width=width, color_system=None, highlight=False)
    with console.capture() as captured:
        console.print(made())
    return captured.get().splitlines()


@pytest.mark.parametrize(
    ("made", "names", "from_width"),
    [
        (lambda: task_table([{**TASK, "id": ID}, {**TASK, "id": TICK}]), [ID, TICK], 50),
        (lambda: node_table([NODE]), ["vm-24018-aa5f2b"], 30),
        (lambda: queue_table([QUEUE]), ["default"], 30),
        (lambda: schedule_table({"schedules": [SCHEDULE]}), ["daily-report"], 30),
    ],
    ids=["tasks", "nodes", "queues", "schedules"],
)
@pytest.mark.parametrize("width", [30, 50, 60, 80, 100, 120, 200])
def test_names_are_whole(
    monkeypatch: pytest.MonkeyPatch, made: Any, names: list[str], from_width: int, width: int
) -> None:
    lines = shown(monkeypatch, made, width)
    assert max(map(len, lines)) <= width
    if width >= from_width:
        assert [line.split()[0] for line in lines[1:]] == names, "a line each, and its name first"


def test_what_matters_less_is_left_out_first(monkeypatch: pytest.MonkeyPatch) -> None:
    head, line = shown(monkeypatch, lambda: task_table([{**TASK, "id": ID}]), 90)
    assert head.split() == ["id", "status", "handler", "error", "or", "note"]
    assert line.startswith(f"{ID}  dead-lettered  email.send  discarded: Discard: ")
    assert line.endswith("…")
    heads = shown(monkeypatch, lambda: task_table([{**TASK, "id": ID}]), 140)[0]
    assert "created (UTC)" in heads
    assert "queue" in heads


def test_a_name_wider_than_the_terminal_goes_on_in_the_next_line(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, lambda: output.table(("+id", "status"), [("x" * 50, "pending")]), 40)
    assert sum(line.count("x") for line in lines) == 50


@pytest.mark.parametrize(
    ("millis", "words"),
    [(None, "-"), (0, "0.0ms"), (0.0001, "1µs"), (0.004, "4µs"), (0.25, "0.2ms"), (12.34, "12.3ms"), (1_500, "1.5s")],
)
def test_what_takes_time_is_not_shown_as_none(millis: float | None, words: str) -> None:
    assert output.millis(millis) == words
