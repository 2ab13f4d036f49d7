"""The table of routes: every path, every method, every Host."""

from __future__ import annotations

import re

import pytest

from api.app import ROUTES
from taskqueue.core.config import Config
from taskqueue.core.task import Status
from taskqueue.core.views import Health

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
PATHS = {
    route.path: re.sub(r"\{\w+:\w+\}", "node-1", route.path.replace("{file:path}", "index.html")) for route in ROUTES
}
TAKEN = {(route.method, route.path) for route in ROUTES}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", METHODS)
def test_what_a_path_does_not_take_is_405_with_allow(api, method, path):
    answer = api.send(method, PATHS[path])
    if (method, path) in TAKEN:
        assert answer.status_code != 405
        return
    assert answer.status_code == 405
    allowed = {name.strip() for name in answer.headers["allow"].split(",")}
    assert {name for name, at in TAKEN if at == path} <= allowed
    assert method not in allowed


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/",
        "/api/tasks/",
        "/api/tasks/x/explode",
        "/api/tasks/x/cancel/",
        "/api/schedules/",
        "/api/schedules/x/explode",
        "/api/lease",
        "/metrics/",
        "/docs/",
        "/dashboard",
        "/dashboard/none.js",
        "/dashboard/../calls.py",
        "/dashboard/index.html/",
        "/favicon.ico",
        "/API/tasks",
        "/healthz/",
        "/\x00",
    ],
)
def test_anything_else_is_404(api, path):
    answer = api.get(path)
    assert (answer.status_code, answer.json["detail"]) == (404, "There is nothing at this path")


@pytest.mark.parametrize("path", sorted(path for method, path in TAKEN if method == "GET" and "{" not in path))
def test_head_is_a_get_without_its_body(api, path):
    asked, shown = api.get(path), api.send("HEAD", path)
    assert (shown.status_code, shown.content) == (asked.status_code, b"")
    assert shown.headers["content-length"] == asked.headers["content-length"]


def test_a_method_that_nobody_knows_is_refused(api):
    assert api.send("TRACE", "/api/tasks").status_code == 405


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes(api, path):
    assert (api.get(path).status_code, api.get(path).json) == (200, {"ok": True, "problems": []})
    api.gateway.health = Health(ok=False, problems=("the store does not answer",))
    answer = api.get(path)
    assert (answer.status_code, answer.json) == (503, {"ok": False, "problems": ["the store does not answer"]})


ANSWERED = ["localhost", "localhost:8080", "LOCALHOST", "127.0.0.1:1", "[::1]", "[::1]:8080", "localhost.", "api.local"]
UNKNOWN = ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8080", "", "[::2]", "[", ":", "a" * 65_536]


@pytest.mark.parametrize("host", ANSWERED)
def test_known_hosts_are_answered(api_with, host):
    api = api_with(Config(allowed_hosts=("API.local",)))
    assert api.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", UNKNOWN)
def test_unknown_hosts_are_not(api, host):
    answer = api.post("/api/tasks", {"payload": 1}, headers={"Host": host})
    assert answer.status_code == 421
    assert api.gateway.calls == []


def test_the_host_that_is_bound_is_known(api_with):
    api = api_with(Config(api_host="10.0.0.7"))
    assert api.get("/healthz", headers={"Host": "10.0.0.7:8080"}).status_code == 200


def test_queues(api):
    api.submit(parameters={"queue": "mail"})
    api.clock.advance(1_234_567)
    assert api.post("/api/queues/mail/pause").json == {"name": "mail", "paused": True}
    (queue,) = api.get("/api/queues").json["queues"]
    assert queue == {
        "name": "mail",
        "paused": True,
        "pending": 1,
        "failed": 0,
        "processing": 0,
        "oldestAge": 1.235,
        "submittedPerSecond": 1.235,
        "finishedPerSecond": 0.0,
        "unserved": ["ghost"],
    }
    assert api.post("/api/queues/mail/purge").json == {"count": 1}
    (queue,) = api.get("/api/queues").json["queues"]
    assert (queue["pending"], queue["oldestAge"]) == (0, None)
    assert api.post("/api/queues/mail/resume").json == {"name": "mail", "paused": False}


def test_handlers(api):
    expected = {"name": "echo", "queues": ["default"], "nodes": ["node-1"], "isolation": "thread"}
    assert api.get("/api/handlers").json == {"handlers": [{**expected, "schema": {"type": "object"}}]}


def test_cluster(api):
    api.submit()
    assert api.get("/api/cluster/status").json == {
        "mode": "standalone",
        "leader": "node-1",
        "term": 1,
        "durability": "full",
        "nodes": {"alive": 1, "late": 0, "dead": 0, "draining": 0},
        "tasks": {state.value: int(state is Status.PENDING) for state in Status},
        "redis": None,
        "uptime": 1.235,
        "version": "0.1.0",
    }
    (node,) = api.get("/api/cluster/nodes").json["nodes"]
    assert node == {
        "id": "node-1",
        "incarnation": "node-1@1",
        "status": "alive",
        "leader": True,
        "host": "host",
        "pid": 42,
        "startedAt": "2026-09-21T14:13:20.000Z",
        "lastHeartbeat": "2026-09-21T14:13:20.000Z",
        "workers": 5,
        "running": 0,
        "queues": ["default"],
        "handlers": ["echo"],
    }


def test_drain_and_undrain(api):
    answer = api.post("/api/cluster/nodes/node-1/drain")
    assert (answer.status_code, answer.json) == (202, {"id": "node-1", "draining": True})
    assert api.post("/api/cluster/nodes/node-1/undrain").json == {"id": "node-1", "draining": False}
    assert api.post("/api/cluster/nodes/node-2/drain").status_code == 404


def test_every_answer_is_counted_by_its_route(api):
    api.submit()
    api.get("/api/tasks/task1")
    api.get("/api/tasks/other")
    api.get("/api/tasks/a'b")
    api.send("HEAD", "/healthz")
    api.post("/api/tasks", raw=b"{")
    api.send("PUT", "/api/queues/mail/purge")
    api.get("/")
    api.get("/%s" % ("x" * 1_000))
    api.get("/healthz", headers={"Host": "evil.example"})
    api.gateway.failing = ZeroDivisionError("a bug")
    api.get("/api/queues")
    assert api.gateway.answers == {
        ("/api/tasks", 201): 1,
        ("/api/tasks/{id}", 200): 1,
        ("/api/tasks/{id}", 404): 1,
        ("/healthz", 200): 1,
        ("/api/tasks", 400): 1,
        ("/api/queues/{name}/purge", 405): 1,
        ("/", 200): 1,
        ("other", 404): 2,
        ("other", 421): 1,
        ("/api/queues", 500): 1,
    }
