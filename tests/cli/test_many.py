"""submit --from: many tasks from a file."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Call
from tests.clients import Client


def test_lines_are_payloads(cli: Call, node: Client, tmp_path: Path) -> None:
    file = tmp_path / "payloads.jsonl"
    file.write_text("".join(f'{{"n": {n}}}\n\n' for n in range(2_500)))
    said = cli("submit", "echo", "--from", str(file), "--tag", "lines", "--delay", "1h")
    ids = said.out.splitlines()
    assert (said.code, len(set(ids))) == (0, 2_500)
    assert said.err == "2,500 tasks submitted\n"
    stored = {task["id"]: task["payload"]["n"] for task in node.tasks(tag="lines")}
    assert [stored[name] for name in ids] == [*range(2_500)], "in their order"
    assert cli("delete", "--all", "--tag", "lines", "--yes").out == "0 tasks deleted\n"
    assert cli("cancel", "--all", "--tag", "lines", "--yes").out == "2,500 tasks cancelled\n"


def test_lines_are_tasks(cli: Call, node: Client) -> None:
    lines = [
        {"handler": "echo", "payload": 1, "id": "one-of-many", "parameters": {"queue": "own"}},
        {"payload": 2, "id": "two-of-many"},
    ]
    given = "\n".join(map(json.dumps, lines))
    said = cli("submit", "--from", "-", "--queue", "given", "--retries", "1", input=given)
    assert said.out.splitlines() == ["one-of-many", "two-of-many"]
    one, two = (node.task(name)["parameters"] for name in said.out.split())
    assert (one["queue"], one["retries"], two["queue"]) == ("own", 1, "given"), "a line's own word counts"


def test_what_is_wrong_is_said_by_line_and_stops_no_other(cli: Call, node: Client) -> None:
    lines = ["nonsense", '{"payload": 1, "id": "good-1"}', "", "[]", '{"payload": 2, "id": "not good"}', "{}"]
    lines += ['{"payload": 3, "id": "good-2"}', "\x00", '{"payload": NaN}']
    said = cli("submit", "--from", "-", input="\n".join(lines))
    assert (said.code, said.out.split()) == (1, ["good-1", "good-2"])
    errors = said.err.splitlines()
    assert [line.split(":")[0] for line in errors[:-1]] == ["line 1", "line 4", "line 5", "line 6", "line 8", "line 9"]
    assert errors[-1] == "2 tasks submitted, 6 refused"
    assert "$.id" in errors[2]
    assert "$.payload" in errors[3]
    told = [
        json.loads(line) for line in cli("submit", "--from", "-", "--json", input="\n".join(lines[:2])).out.splitlines()
    ]
    assert told[0]["line"] == 1
    assert told[1] == {"id": "good-1"}
