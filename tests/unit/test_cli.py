"""The `taskqueue` command opens the right door."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from taskqueue import cli
from taskqueue.stopping import SIGNALS


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """A node takes them over, and these tests are no process of their own."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What a node would be started with; it ends with exit code 7."""
    calls: list[list[str]] = []
    node = ModuleType("actors.node")

    def main(argv: list[str]) -> int:
        calls.append(argv)
        return 7

    node.main = main  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "actors.node", node)
    return calls


@pytest.mark.parametrize(
    ("argv", "passed"),
    [
        ([], []),
        (["node"], []),
        (["node", "--port", "0"], ["--port", "0"]),
        (["-config", "x.json"], ["-config", "x.json"]),
        (["--port", "0", "node"], ["--port", "0", "node"]),
    ],
)
def test_without_a_subcommand_it_is_a_node(started: list[list[str]], argv: list[str], passed: list[str]) -> None:
    assert cli.main(argv) == 7
    assert started == [passed]


def test_the_command_lines_own_arguments_are_taken(started: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["taskqueue", "--port", "0"])
    assert cli.main() == 7
    assert started == [["--port", "0"]]


@pytest.mark.parametrize("argv", [["nonsense"], ["--help"], ["--version"], ["--url=http://127.0.0.1:1"], ["--json"]])
def test_what_is_no_node_is_none(started: list[list[str]], argv: list[str]) -> None:
    cli.main(argv)
    assert started == []


def test_a_word_to_complete_starts_no_node(started: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TASKQUEUE_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "taskqueue ")
    monkeypatch.setenv("COMP_CWORD", "1")
    cli.main([])
    assert started == []
