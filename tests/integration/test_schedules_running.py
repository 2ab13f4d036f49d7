"""Schedules on real nodes: what a kill leaves behind, what stands in code, what a slow handler holds up."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.clients import Client, until
from tests.processes import NodeProcess, Nodes

CODE = """
from pathlib import Path
import time

from taskqueue import task

@task("sweep", {timing})
def sweep(days: int = 7) -> int:
    return days

@task("slow")
def slow(path: str) -> None:
    while not Path(path).exists():
        time.sleep(0.01)
"""
NOTHING = CODE.replace(", {timing}", "")


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def schedule(client: Client, id: str) -> dict[str, Any]:
    reply = client.get(f"/api/schedules/{id}")
    assert reply.status == 200, reply
    shown: dict[str, Any] = reply.json
    return shown


def with_code(node: NodeProcess, text: str) -> None:
    """The node's handlers from its next start on."""
    (node.home / "chores.py").write_text(text)
    node.config |= {"appDir": str(node.home), "handlers": ["chores"]}


def test_what_was_due_while_nobody_lived_follows_its_rule(nodes: Nodes) -> None:
    every, grace = 0.2, 0.5
    node = nodes(misfireGrace=f"{grace}s")
    client = node.start()
    first: dict[str, float] = {}
    for rule in ("skip", "runOnce", "runAll"):
        reply = client.post("/api/schedules", {"id": rule, "payload": None, "every": f"{every}s", "misfire": rule})
        first[rule] = seconds(reply.json["nextRunAt"])
        assert reply.status == 201
    until(lambda: all(len(client.tasks(schedule=rule)) > 3 for rule in first), 15, "all fire")
    node.kill()
    dead = time.time()
    until(lambda: time.time() > dead + 3, 10, "it is down for a while")
    client = node.start()
    back = time.time()
    until(lambda: all(len(client.tasks(schedule=rule, status="completed")) > 8 for rule in first), 15, "all go on")
    made: dict[str, list[float]] = {}
    for rule, begin in first.items():
        client.post(f"/api/schedules/{rule}/pause")
        made[rule] = sorted(seconds(task["runAt"]) for task in client.tasks(schedule=rule))
        earliest = time.time()
        skipped = schedule(client, rule)["skipped"]
        total = len(made[rule]) + sum(skipped.values())
        due = [int((moment - begin) / every + 1e-6) + 1 for moment in (earliest, time.time())]
        assert due[0] <= total <= due[1], "each due time is one task or one counted skip"
        assert len(set(made[rule])) == len(made[rule])
        numbers = [(moment - begin) / every for moment in made[rule]]
        assert all(abs(number - round(number)) < 0.01 for number in numbers), "tasks say when they were due"
        assert set(skipped) <= {"misfire", "paused"}
        assert (skipped.get("misfire", 0) == 0) == (rule == "runAll")
    # Of those that had been due well after the kill and were too old when the next process began:
    missed = {rule: [at for at in made[rule] if dead + every < at < back - 1.5] for rule in made}
    assert missed["skip"] == []
    assert len(missed["runOnce"]) <= 1
    assert len(missed["runAll"]) >= 5


def test_a_schedule_in_code_over_restarts(nodes: Nodes) -> None:
    node = nodes()
    with_code(node, CODE.format(timing='every="100ms"'))
    client = node.start()
    until(lambda: len(client.tasks(schedule="sweep", status="completed")) > 2, 15, "it fires")
    shown = schedule(client, "sweep")
    assert (shown["owner"], shown["every"], shown["orphaned"], shown["payload"]) == ("code", "100ms", False, {})
    assert client.send("DELETE", "/api/schedules/sweep").status == 409
    assert client.send("PUT", "/api/schedules/sweep", {"payload": 1, "every": "1h"}).status == 409
    assert client.post("/api/schedules/sweep/pause").json["paused"] is True
    assert node.end().code == 0

    client = node.start()
    shown = schedule(client, "sweep")
    assert (shown["paused"], shown["orphaned"]) == (True, False)
    before = len(client.tasks(schedule="sweep"))
    assert client.post("/api/schedules/sweep/resume").json["paused"] is False
    until(lambda: len(client.tasks(schedule="sweep")) > before, 15, "it goes on")
    assert node.end().code == 0

    with_code(node, CODE.format(timing='cron="30 2 * * *", timezone="Europe/Berlin"'))
    client = node.start()
    shown = schedule(client, "sweep")
    assert (shown["cron"], shown["every"], shown["timezone"]) == ("30 2 * * *", None, "Europe/Berlin")
    assert node.end().code == 0

    with_code(node, NOTHING)
    client = node.start()
    shown = schedule(client, "sweep")
    assert (shown["paused"], shown["orphaned"], shown["nextRunAt"]) == (True, True, None)
    assert client.send("DELETE", "/api/schedules/sweep").status == 204
    assert node.end().code == 0
    assert schedules(node.start()) == []


def schedules(client: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/api/schedules").json["schedules"]
    return found


def test_overlap_waits_for_a_slow_handler(nodes: Nodes, tmp_path: Path) -> None:
    node = nodes()
    with_code(node, NOTHING)
    client = node.start()
    path = tmp_path / "go"
    body = {"id": "s", "handler": "slow", "payload": {"path": str(path)}, "every": "100ms", "overlap": "skip"}
    assert client.post("/api/schedules", {**body, "payload": {"path": 5}}).status == 422
    assert client.post("/api/schedules", body).status == 201
    until(lambda: schedule(client, "s")["skipped"].get("overlap", 0) >= 5, 15, "due times pass")
    assert [task["status"] for task in client.tasks(schedule="s")] == ["processing"]
    path.touch()
    until(lambda: len(client.tasks(schedule="s", status="completed")) > 3, 15, "it goes on")


def test_trigger_and_delete(nodes: Nodes) -> None:
    client = nodes().start()
    body = {"payload": {"n": 1}, "cron": "@yearly", "parameters": {"tags": ["by-hand"], "priority": "high"}}
    name = client.post("/api/schedules", body).json["id"]
    task = client.post(f"/api/schedules/{name}/trigger").json
    assert (task["schedule"], task["tags"], task["priority"], task["payload"]) == (name, ["by-hand"], 7, {"n": 1})
    assert client.finished(task["id"])["result"] == {"n": 1}
    assert client.send("DELETE", f"/api/schedules/{name}").status == 204
    assert client.task(task["id"])["schedule"] == name, "its tasks stay"


def test_due_times_are_met_to_some_milliseconds(nodes: Nodes) -> None:
    client = nodes().start()
    client.post("/api/schedules", {"id": "s", "payload": None, "every": "250ms"})
    until(lambda: len(client.tasks(schedule="s", status="completed")) >= 8, 15, "it fires")
    done = client.tasks(schedule="s", status="completed")
    late = [seconds(task["startedAt"]) - seconds(task["runAt"]) for task in done]
    assert min(late) >= 0
    assert sorted(late)[len(late) // 2] < 0.25, "long before a node looks by itself"
