"""How tasks come in over REST, and what is kept out: on a node in its own process, over real sockets."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from tests.clients import Client, Reply
from tests.processes import Nodes


def problem(reply: Reply, status: int) -> dict[str, Any]:
    """The problem that the answer has to be."""
    assert reply.status == status, reply
    assert reply.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = reply.json
    assert (told["status"], told.keys() >= {"type", "title", "detail"}) == (status, True)
    assert b"Traceback" not in reply.raw
    return told


# -- what comes in -----------------------------------------------------------------------------------------------------


def test_defaults_of_a_handler(client: Client) -> None:
    plain = client.task(client.submit("typed", {"to": "a"}))
    assert (plain["priority"], plain["queue"]) == (7, "posts")
    assert (plain["parameters"]["retries"], plain["parameters"]["timeout"]) == (5, "40s")
    said = client.task(client.submit("typed", {"to": "a"}, priority="low", queue="other", retries=0, timeout=1.5))
    assert (said["priority"], said["queue"]) == (1, "other")
    assert (said["parameters"]["retries"], said["parameters"]["timeout"]) == (0, "1500ms")
    assert client.finished(said["id"])["result"] == {"to": "a", "count": 1}


def test_batch(client: Client) -> None:
    tasks: list[Any] = [{"handler": "echo", "payload": n, "parameters": {"tags": ["batch"]}} for n in range(1_000)]
    tasks[10] = {"handler": "echo"}
    tasks[20] = {"payload": 1, "parameters": {"priority": "urgent"}}
    tasks[30] = "no task"
    tasks[40] = {"handler": "typed", "payload": {"to": 5}}
    reply = client.post("/api/tasks/batch", {"tasks": tasks})
    assert reply.status == 207
    items = reply.json["items"]
    wrong = {n: item for n, item in enumerate(items) if item["status"] != 201}
    assert {n: item["status"] for n, item in wrong.items()} == dict.fromkeys((10, 20, 30, 40), 422)
    assert wrong[10]["error"]["errors"][0]["path"] == "$.payload"
    assert wrong[20]["error"]["errors"][0]["path"] == "$.parameters.priority"
    assert wrong[40]["error"]["errors"][0]["path"] == "$.payload.to"
    for n in (0, 500, 999):
        assert client.finished(items[n]["id"])["result"] == n
    assert len(client.tasks(tag="batch")) == 996


def test_atomic_batch(client: Client) -> None:
    tasks: list[Any] = [{"payload": n, "parameters": {"tags": ["atom"]}} for n in range(10)]
    spoilt = [*tasks, {"payload": 1, "colour": "red"}]
    told = problem(client.post("/api/tasks/batch?atomic=true", {"tasks": spoilt}), 422)
    assert [one["path"] for one in told["errors"]] == ["$.tasks[10].colour"]
    assert client.tasks(tag="atom") == []
    reply = client.post("/api/tasks/batch?atomic=true", {"tasks": tasks})
    assert [item["status"] for item in reply.json["items"]] == [201] * 10
    assert len(client.tasks(tag="atom")) == 10


def test_client_ids(client: Client) -> None:
    body = {"id": "order-1", "payload": {"a": 1, "b": [2.0]}, "parameters": {"tags": ["ids"]}}
    first = client.post("/api/tasks", body)
    assert first.status == 201
    same = b'{"parameters": {"tags": ["ids"]}, "payload":{"b":[2],"a":1.0},"id":"order-1"}'
    repeat = client.post("/api/tasks", raw=same)
    assert (repeat.status, repeat.json["id"], repeat.json["createdAt"]) == (200, "order-1", first.json["createdAt"])
    problem(client.post("/api/tasks", {**body, "payload": 2}), 409)
    batch = client.post("/api/tasks/batch", {"tasks": [body, {**body, "payload": 2}, body]}).json["items"]
    assert [item["status"] for item in batch] == [200, 409, 200]
    assert len(client.tasks(tag="ids")) == 1


def test_idempotency_keys(client: Client) -> None:
    body = {"payload": "once", "parameters": {"tags": ["keys"]}}
    key = {"Idempotency-Key": "order-17"}
    first = client.post("/api/tasks", body, headers=key)
    assert first.status == 201
    repeat = client.post("/api/tasks", body, headers=key)
    assert (repeat.status, repeat.json["id"]) == (200, first.json["id"])
    inside = {**body, "parameters": {"tags": ["keys"], "idempotencyKey": "order-17"}}
    assert client.post("/api/tasks", inside).status == 200
    assert client.post("/api/tasks/batch", {"tasks": [inside, inside]}).json["items"][1]["status"] == 200
    problem(client.post("/api/tasks", {**body, "payload": "twice"}, headers=key), 422)
    problem(client.post("/api/tasks", inside, headers={"Idempotency-Key": "another"}), 422)
    client.finished(first.json["id"])
    assert client.send("DELETE", f"/api/tasks/{first.json['id']}").status == 204
    late = client.post("/api/tasks", body, headers=key)
    assert (late.status, late.json["id"]) == (200, first.json["id"]), "also after the task is gone"
    assert client.tasks(tag="keys") == []


def test_a_full_queue(nodes: Nodes, lives: dict[str, Any]) -> None:
    node = nodes(**lives, queueSize=3)
    client = node.start()
    letter = client.submit("raises", {"what": "discard"})
    client.finished(letter)
    names = [client.submit("echo", n, delay="1h") for n in range(2)]
    names.append(client.submit("raises", {"what": "retry", "delay": "1h"}))
    client.reaches(names[-1], "failed")
    full = client.post("/api/tasks", {"payload": 1})
    problem(full, 429)
    assert int(full.headers["retry-after"]) >= 1
    items = client.post("/api/tasks/batch", {"tasks": [{"payload": 1}, {"payload": 2}]}).json["items"]
    assert [item["status"] for item in items] == [429, 429]
    problem(client.post("/api/tasks/batch?atomic=true", {"tasks": [{"payload": 1}]}), 429)
    # What has been in before, comes in again.
    assert client.post(f"/api/tasks/{letter}/replay").status == 200
    assert client.finished(letter)["generation"] == 2
    assert client.post(f"/api/tasks/{names[-1]}/retry").status == 200
    assert client.post(f"/api/tasks/{names[0]}/cancel").status == 200
    assert client.finished(client.submit("echo", "room"))["result"] == "room"
    assert len(client.tasks()) == 5
    assert node.end().code == 0


# -- what stays out ----------------------------------------------------------------------------------------------------

DEEP = b"[" * 100_000
LONG = "n" * 65_536
SQL = "x'; DROP TABLE tasks; --"

BODIES: dict[str, tuple[bytes | dict[str, Any], int, str | None]] = {
    "nothing": (b"", 400, None),
    "half an object": (b'{"payload": ', 400, None),
    "two values": (b'{"payload": 1} {}', 400, None),
    "brackets": (DEEP, 400, None),
    "brackets inside": (b'{"payload": ' + DEEP, 400, None),
    "balanced brackets": (b'{"payload": ' + DEEP[:50_000] + b"]" * 50_000 + b"}", 400, None),
    "objects": (b'{"payload": ' + b'{"a":' * 20_000 + b"1" + b"}" * 20_001, 400, None),
    "NaN": (b'{"payload": NaN}', 400, None),
    "infinity": (b'{"payload": -Infinity}', 400, None),
    "too great a number": (b'{"payload": 1e999}', 422, "$.payload"),
    "half a surrogate pair": (b'{"payload": "\\ud800"}', 400, None),
    "half a pair in a name": (b'{"handler": "\\udfff", "payload": 1}', 400, None),
    "not UTF-8": (b'{"payload": "\xff\xfe"}', 400, None),
    "UTF-16": ('{"payload": 1}'.encode("utf-16"), 400, None),
    "a list": (b"[]", 422, "$"),
    "a number": (b"5", 422, "$"),
    "no payload": ({"handler": "echo"}, 422, "$.payload"),
    "unknown field": ({"payload": 1, "__proto__": {}}, 422, "$.__proto__"),
    "unknown parameter": ({"payload": 1, "parameters": {"prio": 1}}, 422, "$.parameters.prio"),
    "parameters as text": ({"payload": 1, "parameters": "high"}, 422, "$.parameters"),
    "unknown priority": ({"payload": 1, "parameters": {"priority": "urgent"}}, 422, "$.parameters.priority"),
    "priority 10": ({"payload": 1, "parameters": {"priority": 10}}, 422, "$.parameters.priority"),
    "priority true": ({"payload": 1, "parameters": {"priority": True}}, 422, "$.parameters.priority"),
    "negative delay": ({"payload": 1, "parameters": {"delay": "-5s"}}, 422, "$.parameters.delay"),
    "endless delay": ({"payload": 1, "parameters": {"delay": "99999999d"}}, 422, "$.parameters.delay"),
    "no time-out": ({"payload": 1, "parameters": {"timeout": 0}}, 422, "$.parameters.timeout"),
    "many retries": ({"payload": 1, "parameters": {"retries": 1001}}, 422, "$.parameters.retries"),
    "half a retry": ({"payload": 1, "parameters": {"retries": 0.5}}, 422, "$.parameters.retries"),
    "tomorrow": ({"payload": 1, "parameters": {"runAt": "tomorrow"}}, 422, "$.parameters.runAt"),
    "no such day": ({"payload": 1, "parameters": {"runAt": "2026-02-30T00:00:00Z"}}, 422, "$.parameters.runAt"),
    "21 tags": ({"payload": 1, "parameters": {"tags": [f"t{n}" for n in range(21)]}}, 422, "$.parameters.tags"),
    "NUL in a name": ({"payload": 1, "handler": "e\0cho"}, 422, "$.handler"),
    "long handler": ({"payload": 1, "handler": LONG}, 422, "$.handler"),
    "long queue": ({"payload": 1, "parameters": {"queue": LONG}}, 422, "$.parameters.queue"),
    "long id": ({"payload": 1, "id": LONG}, 422, "$.id"),
    "SQL as handler": ({"payload": 1, "handler": SQL}, 422, "$.handler"),
    "SQL as id": ({"payload": 1, "id": SQL}, 422, "$.id"),
    "SQL as tag": ({"payload": 1, "parameters": {"tags": [SQL]}}, 422, "$.parameters.tags[0]"),
    "format as queue": ({"payload": 1, "parameters": {"queue": "{0.__class__}%s%n"}}, 422, "$.parameters.queue"),
    "reserved id": ({"payload": 1, "id": "batch"}, 422, "$.id"),
    "wrong payload": ({"handler": "typed", "payload": {"to": "a", "count": "5"}}, 422, "$.payload.count"),
    "payload short of a field": ({"handler": "typed", "payload": {}}, 422, "$.payload.to"),
    "too large": ({"payload": "x" * 100_001}, 413, None),
}


@pytest.fixture
def unchanged(client: Client) -> Any:
    """Nothing is stored by what the test does, and the node is well afterwards."""
    before = client.counts()
    yield
    assert client.counts() == before
    assert client.get("/readyz").status == 200


@pytest.mark.usefixtures("unchanged")
def test_bodies_that_are_refused(client: Client) -> None:
    for case, (body, status, path) in BODIES.items():
        reply = client.post("/api/tasks", raw=body if isinstance(body, bytes) else json.dumps(body).encode())
        assert reply.status == status, (case, reply.status, reply.raw[:300])
        told = problem(reply, status)
        assert path is None or path in {one["path"] for one in told["errors"]}, (case, told)
        assert len(reply.raw) < 2_000, case


@pytest.mark.usefixtures("unchanged")
def test_batches_that_are_refused(client: Client) -> None:
    for body, status in (
        (b'{"tasks": []}', 422),
        (b'{"tasks": {}}', 422),
        (b'{"tasks": [1], "more": 1}', 422),
        (b'{"tasks": ' + DEEP, 400),
        (b'{"tasks": [' + b"1," * 10_000 + b"1]}", 422),
        (b'{"tasks": [' + b" " * 33_600_000 + b"]}", 413),
    ):
        problem(client.post("/api/tasks/batch", raw=body), status)
    inner = b'{"tasks": [{"payload": ' + DEEP + b"]" * 100_000 + b'}, {"payload": NaN}]}'
    assert client.post("/api/tasks/batch", raw=inner).status in (207, 400)


@pytest.mark.usefixtures("unchanged")
def test_requests_that_are_refused(client: Client) -> None:
    good = b'{"payload": 1}'
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"):
        problem(client.post("/api/tasks", raw=good, headers={"Content-Type": kind}), 415)
    for method, path in (("PUT", "/api/tasks"), ("DELETE", "/api/tasks"), ("POST", "/healthz"), ("PATCH", "/")):
        problem(client.send(method, path), 405)
    assert client.send("PUT", "/api/tasks").headers["allow"]
    for path in ("/nowhere", "/api/tasks/..%2f..%2fetc%2fpasswd", "/api/tasks/x%27%20OR%201=1", "/api/tasks/%00"):
        problem(client.get(path), 404)
    for query, name in (
        ("limit=0", "?limit"),
        ("limit=%27", "?limit"),
        ("limit=99999999999999999999", "?limit"),
        ("status=lost", "?status"),
        ("handler=x%27--", "?handler"),
        ("tag=%00", "?tag"),
        ("queue=%7B0%7D", "?queue"),
        ("cursor=zzz", "?cursor"),
        ("sort=id", "?sort"),
    ):
        told = problem(client.get(f"/api/tasks?{query}"), 422)
        assert [one["path"] for one in told["errors"]] == [name]
    assert client.get(f"/api/tasks/{LONG}").status in (404, 414, 431)
    assert client.get("/api/tasks", handler=LONG).status in (414, 422, 431)
    for body in (
        {"action": "explode", "filter": {}},
        {"action": "cancel"},
        {"action": "cancel", "filter": {"ids": [SQL]}},
        {"action": "delete", "filter": {"status": "completed' OR 1=1"}},
        {"action": "cancel", "filter": {}, "dryRun": "yes"},
    ):
        problem(client.post("/api/tasks/bulk", body), 422)
    problem(client.send("PATCH", "/api/tasks/nobody", {}), 422)
    assert client.get("/").status == 200
    assert client.send("GET", "/api/tasks", headers={"Host": "evil.example"}).status == 421


@pytest.mark.usefixtures("unchanged")
def test_sockets_that_speak_no_http(client: Client) -> None:
    for sent in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 50\r\n\r\n12345",
        b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ):
        with socket.create_connection(("127.0.0.1", client.port), timeout=10) as connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.makefile("rb").read()
        assert not answer or answer.startswith((b"HTTP/1.0 4", b"HTTP/1.1 4")), (sent, answer)
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as connection:
        connection.sendall(b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
        connection.sendall(b'Content-Length: 1000\r\n\r\n{"payload": 1}')  # and never the rest
    assert client.get("/healthz").status == 200
