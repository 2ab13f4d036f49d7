"""Dead letters, schedules, queues, nodes."""

from __future__ import annotations

import json

from tests.cli.conftest import Call
from tests.cli.test_errors import one_line_and_a_hint
from tests.clients import Client, until


def test_dead_letters_are_listed_replayed_and_purged(cli: Call, node: Client) -> None:
    for number in range(3):
        cli("submit", "fail", "{}", "--retries", "0", "--tag", "buried", "--id", f"buried-{number}", "--wait")
    listed = cli("dead", "--tag", "buried")
    assert [line.split()[0] for line in listed.out.splitlines()[1:4]] == ["buried-2", "buried-1", "buried-0"]
    assert listed.out.splitlines()[5:7] == ["all dead letters", "handler  cause  count"]
    answer = cli("dead", "list", "--tag", "buried", "--cause", "error", "--json").json
    assert len(answer["tasks"]) == 3
    assert {"handler", "cause", "count"} == set(answer["counts"][0])
    assert cli("dead", "replay", "--tag", "buried", "--dry-run").out == "3 tasks would be replayed\n"
    assert cli("dead", "replay", "--tag", "buried", input="y\n").out == "3 tasks replayed\n"
    for number in range(3):
        assert node.finished(f"buried-{number}")["generation"] == 2
    assert cli("dead", "purge", "--tag", "buried", "--cause", "timeout", "--yes").out == "0 tasks deleted\n"
    assert cli("dead", "purge", "--tag", "buried", "--yes", "--json").json == {"count": 3}
    assert node.tasks(tag="buried") == []


def test_the_life_of_a_schedule(cli: Call, node: Client) -> None:
    made = cli(
        "schedule",
        "add",
        "echo",
        '{"k": 1}',
        "--id",
        "s1",
        "--cron",
        "0 8 * * *",
        "--timezone",
        "Europe/Berlin",
        "--tag",
        "x",
    )
    assert made.code == 0
    assert "0 8 * * * (Europe/Berlin)" in made.out
    listed = cli("schedule").out.splitlines()
    assert listed[0].split()[0] == "id"
    assert [line.split()[0] for line in listed[1:]] == ["s1"]
    assert cli("schedule", "list", "--json").json["schedules"][0]["parameters"] == {"tags": ["x"]}
    assert cli("schedule", "show", "s1", "--json").json["payload"] == {"k": 1}
    said = cli("schedule", "add", "echo", "1", "--id", "s1", "--every", "1h")
    assert one_line_and_a_hint(said, 1) == "a schedule with the id s1 exists already"
    assert "--replace" in said.err
    put = cli(
        "schedule",
        "add",
        "echo",
        "2",
        "--id",
        "s1",
        "--every",
        "1h",
        "--misfire",
        "skip",
        "--overlap",
        "skip",
        "--replace",
        "--json",
    )
    assert (put.json["every"], put.json["misfire"], put.json["overlap"]) == ("1h", "skip", "skip")
    assert len(cli("schedule", "preview", "s1", "--count", "3").out.splitlines()) == 3
    assert len(cli("schedule", "preview", "s1", "--json").json["times"]) == 5
    assert cli("schedule", "pause", "s1").out == "s1 is paused\n"
    assert "paused" in cli("schedule").out
    assert cli("schedule", "resume", "s1", "--json").json["paused"] is False
    task = cli("schedule", "trigger", "s1").out.strip()
    assert node.finished(task)["schedule"] == "s1"
    assert task in cli("list", "--schedule", "s1").out
    assert cli("schedule", "rm", "s1").out == "s1 deleted\n"
    assert cli("schedule", "rm", "s1").code == 1
    unnamed = cli("schedule", "add", "echo", "1", "--every", "2h", "--paused", "--json").json
    assert unnamed["paused"] is True
    assert cli("schedule", "rm", unnamed["id"], "--json").out == ""


def test_queues_are_held_and_emptied(cli: Call, node: Client) -> None:
    cli("submit", "echo", "1", "--queue", "held", "--wait")
    assert cli("queue", "pause", "held").out == "held is paused\n"
    cli("submit", "echo", "1", "--queue", "held")
    (line,) = [line.split() for line in cli("queue").out.splitlines() if line.startswith("held")]
    assert line[:4] == ["held", "paused", "1", "0"]
    queues = {one["name"]: one for one in cli("queue", "list", "--json").json["queues"]}
    assert queues["held"]["paused"] is True
    no = cli("queue", "purge", "held", input="no\n")
    assert (no.code, no.out) == (1, "")
    assert "cancel 1 task in held?" in no.err
    assert cli("queue", "purge", "held", "--yes").out == "1 task cancelled\n"
    assert cli("queue", "purge", "held", "--yes", "--json").json == {"count": 0}
    assert cli("queue", "resume", "held", "--json").json == {"name": "held", "paused": False}


def test_a_node_is_drained_and_taken_back(cli: Call, node: Client) -> None:
    lines = cli("nodes").out.splitlines()
    assert lines[1].split()[:3] == ["cli-node", "alive", "yes"]
    (one,) = cli("nodes", "list", "--json").json["nodes"]
    assert one["id"] == "cli-node"
    assert cli("nodes", "drain", "cli-node").out == "cli-node drains\n"
    try:
        until(lambda: node.get("/readyz").status == 503, 20, "it drains")
        assert json.loads(cli("doctor", "--json").out)["ok"] is False
    finally:
        assert cli("nodes", "undrain", "cli-node").out == "cli-node claims again\n"
    assert cli("nodes", "drain", "nobody").code == 1
