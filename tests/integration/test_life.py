"""The life of a task over REST, along the table of states, on a node in its own process."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.clients import Client, until
from tests.processes import Nodes, open_gate


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def later(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def outcomes(task: dict[str, Any]) -> list[str]:
    return [entry["outcome"] for entry in task["history"]]


def words(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


# -- run and end -------------------------------------------------------------------------------------------------------


def test_complete(client: Client, tmp_path: Path) -> None:
    name = client.submit("gate", {"path": str(tmp_path / "open")}, tags=["a", "b"], priority=9, timeout="50s")
    running = client.reaches(name, "processing")
    assert running["attempt"] == 1
    assert running["result"] is None
    assert running["finishedAt"] is None
    progress = until(lambda: client.task(name)["progress"], 5, "progress is shown")
    assert (progress["fraction"], progress["note"]) == (0.5, "half way")
    open_gate(tmp_path, "ok")
    task = client.finished(name)
    assert task["status"] == "completed"
    assert task["result"] == "ok"
    assert (task["attempt"], task["retriesLeft"], task["crashes"], task["generation"]) == (1, 3, 0, 1)
    assert task["error"] is None
    assert (task["priority"], task["tags"], task["parameters"]["timeout"]) == (9, ["a", "b"], "50s")
    assert moment(task["createdAt"]) <= moment(task["startedAt"]) <= moment(task["finishedAt"])
    (entry,) = task["history"]
    assert (entry["attempt"], entry["generation"], entry["outcome"]) == (1, 1, "completed")
    (node,) = client.get("/api/cluster/nodes").json["nodes"]
    assert entry["node"] == task["node"] == node["id"]


def test_fail_and_complete_at_last(client: Client) -> None:
    task = client.finished(client.submit("flaky", {"failures": 2}))
    assert (task["status"], task["result"]) == ("completed", 3)
    assert (task["attempt"], task["retriesLeft"]) == (3, 1)
    assert outcomes(task) == ["failed", "failed", "completed"]
    assert task["history"][0]["error"] == {"type": "ValueError", "message": "attempt 1", "cause": "error"}
    first, second, third = task["history"]
    # 20 ms and 30 ms, give or take a fifth
    assert moment(second["startedAt"]) - moment(first["finishedAt"]) >= timedelta(milliseconds=15)
    assert moment(third["startedAt"]) - moment(second["finishedAt"]) >= timedelta(milliseconds=23)


def test_dead_letters(client: Client) -> None:
    spent = client.finished(client.submit("flaky", {"failures": 9}, retries=1))
    assert (spent["status"], spent["attempt"], spent["retriesLeft"]) == ("dead-lettered", 2, 0)
    assert spent["error"] == {"type": "ValueError", "message": "attempt 2", "cause": "error"}
    given_up = client.finished(client.submit("raises", {"what": "discard"}))
    assert (given_up["status"], given_up["attempt"], given_up["retriesLeft"]) == ("dead-lettered", 1, 3)
    assert given_up["error"]["cause"] == "discarded"
    left = client.finished(client.submit("raises", {"what": "exit"}, retries=0))
    assert left["error"]["type"] == "SystemExit"
    dead = client.get("/api/dead-letters", limit=1000).json
    assert {spent["id"], given_up["id"], left["id"]} <= {task["id"] for task in dead["tasks"]}
    by_reason = {(one["handler"], one["cause"]): one["count"] for one in dead["counts"]}
    assert by_reason["raises", "discarded"] >= 1
    assert sum(by_reason.values()) == client.counts()["dead-lettered"]


@pytest.mark.parametrize(("handler", "payload"), [("pure", {}), ("endless", {}), ("deaf", {"seconds": 5})])
def test_time_out(client: Client, handler: str, payload: dict[str, Any]) -> None:
    began = time.monotonic()
    task = client.finished(client.submit(handler, payload, timeout="100ms", retries=0))
    assert time.monotonic() - began < 3
    assert (task["status"], task["error"]["cause"]) == ("dead-lettered", "timeout")
    assert outcomes(task) == ["timeout"]
    # And the workers are as many as before.
    for name in [client.submit("flaky", {"failures": 0}) for _ in range(10)]:
        assert client.finished(name)["status"] == "completed"


def test_snooze(client: Client, tmp_path: Path) -> None:
    name = client.submit("snooze", {"path": str(tmp_path / "up")})
    until(lambda: len(client.task(name)["history"]) >= 2, 10, "it has snoozed twice")
    (tmp_path / "up").touch()
    task = client.finished(name)
    assert (task["status"], task["result"], task["retriesLeft"]) == ("completed", 1, 3)
    assert {*outcomes(task)} == {"snoozed", "completed"}


def test_release_by_a_restart(nodes: Nodes, lives: dict[str, Any], tmp_path: Path) -> None:
    node = nodes(**lives, shutdownGrace="100ms")
    client = node.start()
    name = client.submit("gate", {"path": str(tmp_path / "open")})
    client.reaches(name, "processing")
    client.post("/api/queues/quiet/pause")
    waits = client.submit("echo", 1, queue="quiet")
    assert node.end().code == 0
    client = node.start()
    client.reaches(name, "processing")
    open_gate(tmp_path, "ok")
    task = client.finished(name)
    assert (task["attempt"], task["retriesLeft"], task["crashes"]) == (1, 3, 0)
    assert outcomes(task) == ["released", "completed"]
    assert client.task(waits)["status"] == "pending", "a pause outlives its node"
    client.post("/api/queues/quiet/resume")
    assert client.finished(waits)["status"] == "completed"
    assert node.end().code == 0


def test_the_last_twenty(client: Client) -> None:
    task = client.finished(client.submit("raises", {"what": "retry", "delay": "1ms"}, retries=22))
    assert (task["attempt"], task["status"]) == (23, "dead-lettered")
    assert [entry["attempt"] for entry in task["history"]] == list(range(4, 24))


def test_results(client: Client) -> None:
    assert client.finished(client.submit("big", {"size": 900}))["result"] == "x" * 900
    unkept = client.finished(client.submit("big", {"size": 2_000}, keepResult=False))
    assert (unkept["status"], unkept["result"]) == ("completed", None)
    large = client.finished(client.submit("big", {"size": 2_000}, retries=0))
    assert (large["status"], large["error"]["type"]) == ("dead-lettered", "ResultTooLarge")
    no_json = client.finished(client.submit("odd", {}, retries=0))
    assert no_json["status"] == "dead-lettered"
    assert "JSON" in no_json["error"]["message"]


def test_two_hundred_at_a_time(client: Client) -> None:
    batch = [{"handler": "meet", "payload": {"number": 200}} for _ in range(200)]
    items = client.post("/api/tasks/batch", {"tasks": batch}).json["items"]
    for item in items:
        assert client.finished(item["id"])["result"] == 200


# -- wait --------------------------------------------------------------------------------------------------------------


def test_delay(client: Client) -> None:
    soon, then = client.submit("echo", 1, delay="300ms"), client.submit("echo", 2, runAt=later(0.4))
    far = client.submit("echo", 3, runAt=later(3600))
    for name in (soon, then):
        task = client.finished(name)
        assert task["status"] == "completed"
        assert moment(task["startedAt"]) >= moment(task["runAt"]) > moment(task["createdAt"])
    assert client.task(far)["status"] == "pending"
    assert client.post(f"/api/tasks/{far}/cancel").json["status"] == "cancelled"


def test_order_and_head_start(client: Client, tmp_path: Path) -> None:
    """A level is worth 100 ms here: who waits long enough goes first."""
    log = tmp_path / "log"

    def submit(word: str, priority: str | int) -> str:
        return client.submit("line", {"path": str(log), "word": word}, queue="order", priority=priority)

    assert client.post("/api/queues/order/pause").json == {"name": "order", "paused": True}
    old = submit("old-low", "low")
    until(lambda: datetime.now(UTC) - moment(client.task(old)["createdAt"]) > timedelta(seconds=0.5), 5, "it is old")
    names = [submit("normal", "normal"), submit("normal-2", 4), submit("new-low", 1), submit("critical", "critical")]
    (queue,) = [queue for queue in client.get("/api/queues").json["queues"] if queue["name"] == "order"]
    assert (queue["paused"], queue["pending"], queue["processing"]) == (True, 5, 0)
    assert queue["oldestAge"] >= 0.5
    client.post("/api/queues/order/resume")
    for name in (old, *names):
        assert client.finished(name)["status"] == "completed"
    assert words(log) == ["critical", "old-low", "normal", "normal-2", "new-low"]


def test_nobody_serves_it(client: Client) -> None:
    name = client.submit("ghost.writer", {"any": "payload"}, queue="haunted")
    (queue,) = [queue for queue in client.get("/api/queues").json["queues"] if queue["name"] == "haunted"]
    assert queue["unserved"] == ["ghost.writer"]
    assert client.finished(client.submit("echo", 1, queue="haunted"))["status"] == "completed"
    assert client.task(name)["status"] == "pending"
    assert "ghost.writer" not in {handler["name"] for handler in client.get("/api/handlers").json["handlers"]}
    assert client.post("/api/queues/haunted/purge").json == {"count": 1}
    assert client.task(name)["status"] == "cancelled"


def test_wait_for_it(client: Client, tmp_path: Path) -> None:
    name = client.submit("gate", {"path": str(tmp_path / "open")})
    began = time.monotonic()
    assert client.get(f"/api/tasks/{name}", wait="200ms").json["status"] == "processing"
    assert 0.2 <= time.monotonic() - began < 2
    seen: list[str] = []
    waiting = threading.Thread(target=lambda: seen.append(client.get(f"/api/tasks/{name}", wait="30s").json["status"]))
    waiting.start()
    (tmp_path / "open").touch()
    waiting.join(5)
    assert seen == ["completed"]


def test_drain(nodes: Nodes, lives: dict[str, Any]) -> None:
    node = nodes(**lives, nodeId="the-only")
    client = node.start()
    assert client.post("/api/cluster/nodes/nobody/drain").status == 404
    assert client.post("/api/cluster/nodes/the-only/drain").status == 202
    until(lambda: client.get("/readyz").status == 503, 5, "it drains")
    name = client.submit("echo", 1)
    (shown,) = client.get("/api/cluster/nodes").json["nodes"]
    assert (shown["status"], client.task(name)["status"]) == ("draining", "pending")
    assert client.post("/api/cluster/nodes/the-only/undrain").status == 202
    assert client.finished(name)["status"] == "completed"
    assert client.get("/readyz").status == 200
    assert node.end().code == 0
