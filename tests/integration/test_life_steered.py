"""What operators do to tasks over REST, and what time does to them, on a node in its own process."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.clients import Client, Reply, until
from tests.processes import Nodes, open_gate


def later(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def words(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


# -- the table of states -----------------------------------------------------------------------------------------------


def pending(client: Client, path: Path) -> str:
    return client.submit("echo", 1, delay="1h")


def processing(client: Client, path: Path) -> str:
    name = client.submit("gate", {"path": str(path / "never")})
    client.reaches(name, "processing")
    return name


def failed(client: Client, path: Path) -> str:
    name = client.submit("raises", {"what": "retry", "delay": "1h"})
    client.reaches(name, "failed")
    return name


def completed(client: Client, path: Path) -> str:
    name = client.submit("echo", 1)
    assert client.finished(name)["status"] == "completed"
    return name


def dead(client: Client, path: Path) -> str:
    name = client.submit("raises", {"what": "discard"})
    assert client.finished(name)["status"] == "dead-lettered"
    return name


def cancelled(client: Client, path: Path) -> str:
    name = pending(client, path)
    client.post(f"/api/tasks/{name}/cancel")
    return name


def act(client: Client, action: str, name: str) -> Reply:
    """One of the five things that can be done to a task."""
    if action == "delete":
        return client.send("DELETE", f"/api/tasks/{name}")
    if action == "update":
        return client.send("PATCH", f"/api/tasks/{name}", {"tags": ["changed"]})
    return client.post(f"/api/tasks/{name}/{action}")


ACTIONS = ("cancel", "retry", "replay", "delete", "update")
ALLOWED: dict[Callable[[Client, Path], str], dict[str, str | None]] = {
    pending: {"cancel": "cancelled", "update": "pending"},
    processing: {"cancel": "cancelled"},
    failed: {"cancel": "cancelled", "retry": "pending", "update": "failed"},
    completed: {"delete": None},
    dead: {"replay": "pending", "delete": None},
    cancelled: {"replay": "pending", "delete": None},
}


@pytest.mark.parametrize("state", ALLOWED, ids=lambda state: state.__name__)
def test_what_each_state_allows(client: Client, tmp_path: Path, state: Callable[[Client, Path], str]) -> None:
    name = state(client, tmp_path)
    before = client.task(name)
    for action in ACTIONS:
        if action not in ALLOWED[state]:
            reply = act(client, action, name)
            assert reply.status == 409, (action, reply)
            assert before["status"] in reply.json["detail"]
            assert {**client.task(name), "progress": None} == {**before, "progress": None}
    for action, after in ALLOWED[state].items():
        name = state(client, tmp_path)
        reply = act(client, action, name)
        if after is None:
            assert reply.status == 204
            assert client.get(f"/api/tasks/{name}").status == 404
        else:
            assert (reply.status, reply.json["status"]) == (200, after), action


@pytest.mark.parametrize("action", ACTIONS)
def test_unknown_ids(client: Client, action: str) -> None:
    reply = act(client, action, "nobody-knows-it")
    assert (reply.status, reply.headers["content-type"]) == (404, "application/problem+json")


# -- one task ----------------------------------------------------------------------------------------------------------


def test_cancel_while_it_runs(client: Client, tmp_path: Path) -> None:
    log = tmp_path / "log"
    name = client.submit("told", {"path": str(log)})
    until(lambda: words(log) == ["begun"], 10, "it runs")
    cancelled = client.post(f"/api/tasks/{name}/cancel").json
    assert (cancelled["status"], cancelled["attempt"]) == ("cancelled", 0)
    assert [entry["outcome"] for entry in cancelled["history"]] == ["cancelled"]
    until(lambda: words(log) == ["begun", "told"], 10, "the handler is told")
    assert client.task(name) == cancelled, "and its late result is refused"


def test_cancel_a_coroutine(client: Client, tmp_path: Path) -> None:
    name = client.submit("gate", {"path": str(tmp_path / "open")})
    client.reaches(name, "processing")
    assert client.post(f"/api/tasks/{name}/cancel").json["status"] == "cancelled"
    open_gate(tmp_path, "too late")
    (node,) = client.get("/api/cluster/nodes").json["nodes"]
    assert client.finished(client.submit("echo", 1))["status"] == "completed"
    assert (client.task(name)["status"], client.task(name)["result"]) == ("cancelled", None)
    assert node["status"] == "alive"


def test_update(client: Client) -> None:
    name = client.submit("echo", 1, delay="1h", tags=["old"])
    over = later(7200)
    changes = {"priority": "critical", "runAt": later(0.2), "expiresAt": over, "tags": ["new"]}
    reply = client.send("PATCH", f"/api/tasks/{name}", changes)
    assert reply.status == 200
    task = client.finished(name)
    assert (task["status"], task["priority"], task["tags"], task["expiresAt"]) == ("completed", 9, ["new"], over)
    assert name in {one["id"] for one in client.tasks(tag="new")}
    assert name not in {one["id"] for one in client.tasks(tag="old")}


def test_run_now_after_all(client: Client) -> None:
    name = client.submit("echo", 1, delay="1h")
    assert client.send("PATCH", f"/api/tasks/{name}", {"runAt": None}).status == 200
    assert client.finished(name)["status"] == "completed"


def test_retry_now(client: Client) -> None:
    name = client.submit("raises", {"what": "retry", "delay": "1h"}, retries=1)
    waiting = client.reaches(name, "failed")
    assert datetime.fromisoformat(waiting["runAt"]) > datetime.now(UTC) + timedelta(minutes=50)
    assert (waiting["attempt"], waiting["retriesLeft"]) == (1, 0)
    assert client.post(f"/api/tasks/{name}/retry").status == 200
    task = client.finished(name)
    assert (task["status"], task["attempt"]) == ("dead-lettered", 2)


def test_replay(client: Client) -> None:
    name = client.submit("flaky", {"failures": 1}, retries=0)
    assert client.finished(name)["status"] == "dead-lettered"
    again = client.post(f"/api/tasks/{name}/replay").json
    assert (again["status"], again["generation"], again["attempt"], again["error"]) == ("pending", 2, 0, None)
    task = client.finished(name)
    assert [(entry["generation"], entry["attempt"], entry["outcome"]) for entry in task["history"]] == [
        (1, 1, "failed"),
        (2, 1, "failed"),
    ]


def test_delete_frees_the_id(client: Client) -> None:
    name = client.submit("echo", 1, id="phoenix")
    client.finished(name)
    assert client.send("DELETE", f"/api/tasks/{name}").status == 204
    assert client.submit("echo", 2, id="phoenix") == "phoenix"
    assert client.finished("phoenix")["result"] == 2


# -- many --------------------------------------------------------------------------------------------------------------


def test_bulk(client: Client) -> None:
    def bulk(action: str, dry_run: bool = False, **wanted: Any) -> int:
        body = {"action": action, "filter": {"tag": "herd", **wanted}, "dryRun": dry_run}
        reply = client.post("/api/tasks/bulk", body)
        assert reply.status == 200, reply
        count: int = reply.json["count"]
        return count

    names = [client.submit("raises", {"what": "discard"}, tags=["herd"]) for _ in range(3)]
    names += [client.submit("echo", n, tags=["herd"], delay="1h") for n in range(4)]
    client.submit("echo", 1, tags=["other"], delay="1h")
    for name in names[:3]:
        client.finished(name)
    assert bulk("cancel", dry_run=True) == 4
    assert bulk("cancel", dry_run=True, handler="raises") == 0
    assert client.task(names[3])["status"] == "pending"
    assert bulk("cancel", ids=names[3:5]) == 2
    assert bulk("cancel", before=later(-60)) == 0
    assert bulk("cancel") == 2
    assert bulk("cancel") == 0
    assert {client.task(name)["status"] for name in names[3:]} == {"cancelled"}
    assert bulk("replay", cause="discarded") == 3
    for name in names[:3]:
        assert client.finished(name)["generation"] == 2
    assert bulk("retry") == 0
    assert bulk("delete", status="cancelled") == 4
    assert bulk("delete") == 3
    assert client.tasks(tag="herd") == []
    (other,) = client.tasks(tag="other")
    assert other["status"] == "pending"


def test_pages(client: Client) -> None:
    names = [client.submit("echo", n, tags=["paged"], queue="pages") for n in range(25)]
    seen, cursor = [], None
    while True:
        query = {"tag": "paged", "limit": 10, **({"cursor": cursor} if cursor else {})}
        page = client.get("/api/tasks", **query).json
        seen += [task["id"] for task in page["tasks"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert seen == names[::-1]
    assert client.get("/api/tasks", tag="paged", status="failed").json["tasks"] == []


# -- time --------------------------------------------------------------------------------------------------------------


def test_expire(client: Client) -> None:
    name = client.submit("echo", 1, expiresAt=later(0.3), delay="1h")
    task = client.finished(name)
    assert (task["status"], task["error"]["cause"], task["attempt"]) == ("dead-lettered", "expired", 0)
    assert datetime.fromisoformat(task["finishedAt"]) >= datetime.fromisoformat(task["expiresAt"])
    (count,) = [
        one["count"]
        for one in client.get("/api/dead-letters").json["counts"]
        if (one["handler"], one["cause"]) == ("echo", "expired")
    ]
    assert count == 1


def test_retention(nodes: Nodes, lives: dict[str, Any]) -> None:
    """By age and by number; looked at when a node starts, and then every ten seconds."""
    node = nodes(**lives)
    client = node.start()
    done = [client.submit("echo", n) for n in range(5)]
    letters = [client.submit("raises", {"what": "discard"}) for _ in range(5)]
    for name in (*done, *letters):
        client.finished(name)
    gone = [client.submit("echo", n, delay="1h") for n in range(3)]
    for name in gone:
        client.post(f"/api/tasks/{name}/cancel")
    waits = client.submit("echo", 1, delay="1h")
    assert node.end().code == 0
    node.config["retention"] = {"completed": {"max": 2}, "cancelled": {"age": "1ms"}, "deadLettered": {"max": 0}}
    client = node.start()
    until(lambda: len(client.tasks()) == 3, 10, "the old ones are gone")
    assert [task["id"] for task in client.tasks()] == [waits, *done[:2:-1]]
    assert client.counts() == {**dict.fromkeys(client.counts(), 0), "completed": 2, "pending": 1}
    assert node.end().code == 0


def test_what_is_kept_is_what_was_sent(client: Client) -> None:
    payload = {"text": "žluťoučký \0 kůň 🐎", "n": 12345678901234567890, "f": 1e-7, "l": [None, True, {}]}
    assert client.finished(client.submit("echo", payload))["result"] == payload
