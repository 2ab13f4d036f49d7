"""The `taskqueue` command opens the right door."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from taskqueue import cli


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
        (["nonsense"], ["nonsense"]),
    ],
)
def test_without_a_subcommand_it_is_a_node(started: list[list[str]], argv: list[str], passed: list[str]) -> None:
    assert cli.main(argv) == 7
    assert started == [passed]


def test_the_command_lines_own_arguments_are_taken(started: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["taskqueue", "--port", "0"])
    assert cli.main() == 7
    assert started == [["--port", "0"]]


SUBCOMMANDS = [
    *("submit", "list", "show", "cancel", "retry", "replay", "dead", "schedule", "queue", "nodes", "status"),
    *("top", "doctor", "bench"),
]


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_what_is_not_built_is_refused_by_name(
    started: list[list[str]], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([name, "x"]) == 2
    assert capsys.readouterr().err == f"taskqueue {name}: not available in this version\n"
    assert started == []
