"""Log lines: complete, one line each whatever is in them, and no more than one handler."""

from __future__ import annotations

import contextvars
import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from taskqueue import logs

log = logging.getLogger("tests.logs")

Said = Callable[..., list[str]]


@pytest.fixture
def said() -> Iterator[Said]:
    """Sets logging up, has something logged, and gives the lines."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level

    def run(action: Callable[[], object], format: str = "json", level: str = "info") -> list[str]:
        stream = io.StringIO()
        root.handlers.clear()  # pytest's own would raise for a record that cannot be formatted
        logs.setup(level, format, "node-1", stream)
        action()
        return stream.getvalue().split("\n")[:-1]

    yield run
    root.handlers[:] = before
    root.setLevel(level)


def only(lines: list[str]) -> Any:
    (line,) = lines
    return json.loads(line)


def test_a_json_line_says_all(said: Said) -> None:
    line = only(said(lambda: log.info("listening on %s", "port 1", extra={"event": "ready", "port": 1})))
    at = line.pop("time")
    assert line == {
        "level": "info",
        "event": "ready",
        "message": "listening on port 1",
        "logger": "tests.logs",
        "node": "node-1",
        "port": 1,
    }
    assert len(at) == len("2026-12-01T08:00:00.000Z")
    assert at.endswith("Z")


def test_a_text_line_says_the_same(said: Said) -> None:
    (line,) = said(lambda: log.warning("late by %d s", 3, extra={"event": "late", "by": 3}), "text")
    assert line.split(" ", 1)[1] == "WARNING node-1 tests.logs late by 3 s by=3"


def test_a_record_carries_the_task_that_runs(said: Said) -> None:
    def handler() -> None:
        logs.current_task.set("t1")
        log.info("from a handler")

    def run() -> None:
        contextvars.copy_context().run(handler)
        log.info("from the node")

    inside, outside = map(json.loads, said(run))
    assert inside["task"] == "t1"
    assert "task" not in outside
    assert " [t1] from a handler" in said(run, "text")[0]
    assert only(said(lambda: log.info("x", extra={"task": "t2"})))["task"] == "t2"


@pytest.mark.parametrize("format", ["text", "json"])
@pytest.mark.parametrize("evil", ["a\nb", "a\r\nb", "a\x1b[31mb", "a\u2028b", "a\x00b", "a\ud800b"])
def test_nothing_breaks_a_line(said: Said, format: str, evil: str) -> None:
    lines = said(lambda: log.info("got %s", evil, extra={"more": evil, "task": evil}), format)
    assert len(lines) == 1
    assert lines[0].isprintable()
    if format == "json":
        assert only(lines)["message"] == f"got {evil}"


def fail() -> None:
    try:
        raise ValueError("first\nINFO forged line")
    except ValueError:
        log.exception("it failed")


def test_an_exception_is_one_string_in_json(said: Said) -> None:
    line = only(said(fail))
    assert line["message"] == "it failed"
    assert line["exc"].startswith("Traceback")
    assert line["exc"].endswith("INFO forged line")


def test_an_exceptions_lines_are_marked_in_text(said: Said) -> None:
    first, *rest = said(fail, "text")
    assert first.endswith("it failed")
    assert len(rest) > 3
    assert all(line.startswith("  | ") for line in rest)
    assert rest[-1] == "  | INFO forged line"


def test_a_stack_that_was_asked_for_is_shown(said: Said) -> None:
    line = only(said(lambda: log.info("here", stack_info=True)))
    assert line["exc"].startswith("Stack (most recent call last)")


def test_the_level_holds(said: Said) -> None:
    def all_levels() -> None:
        for level in ("debug", "info", "warning", "error"):
            getattr(log, level)(level)

    for number, level in enumerate(("debug", "info", "warning", "error")):
        heard = [json.loads(line)["level"] for line in said(all_levels, level=level)]
        assert heard == ["debug", "info", "warning", "error"][number:]


def test_setting_up_again_replaces(said: Said) -> None:
    said(lambda: None)
    first, second = io.StringIO(), io.StringIO()
    logs.setup("info", "json", "n", first)
    logs.setup("info", "json", "n", second)
    log.info("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("\n") == 1


def test_a_wrong_call_costs_its_text_and_not_the_line(said: Said, capsys: pytest.CaptureFixture[str]) -> None:
    line = only(said(lambda: log.info("%d apples", "many")))
    assert line["message"].startswith("'%d apples' ('many',)")
    assert capsys.readouterr().err == ""


def test_what_json_does_not_know_is_shown_all_the_same(said: Said) -> None:
    assert only(said(lambda: log.info("x", extra={"of": {1}})))["of"] == "{1}"


def test_a_reader_that_is_gone_stops_nobody(said: Said, capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    said(lambda: None)
    logs.setup("info", "json", "n", stream)
    stream.close()
    log.info("into the void")
    assert capsys.readouterr().err == ""


def test_a_stdout_that_is_not_utf8_loses_no_line(said: Said) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    said(lambda: None)
    logs.setup("info", "text", "n", stream)
    log.info("grün")
    stream.flush()
    assert b"gr\\xfcn" in raw.getvalue()


def test_it_writes_to_stdout(said: Said, capsys: pytest.CaptureFixture[str]) -> None:
    said(lambda: None)
    logs.setup("info", "json", "n")
    log.info("here")
    assert json.loads(capsys.readouterr().out)["message"] == "here"
