"""Who changed what: every change is noted once, with the token's name, and nothing else is."""

from __future__ import annotations

import json

import pytest

from taskqueue.core import events as ev
from taskqueue.core.access import Role, Token, digest_of
from taskqueue.core.config import Config
from taskqueue.core.task import Cause

CONFIG = Config(api_tokens=(Token(name="boss", role=Role.ADMIN, digest=digest_of("s3cret")),))
EVERY = {"handler": "echo", "payload": 1, "every": "1h"}


@pytest.fixture
def boss(api_of):
    """An API and its admin."""
    api = api_of(CONFIG)
    api.token = "s3cret"
    return api


def entries(api) -> list[tuple[str | None, str, str, int]]:
    found = api.get("/api/audit").json["entries"]
    return [(one["token"], one["action"], one["target"], one["count"]) for one in found]


def dead(api) -> str:
    name = api.submit(parameters={"retries": 0})
    api.gateway.run(name, ev.Fail(id="", owner="", fence=0, type="E", message="m", cause=Cause.ERROR, final=True))
    return name


def test_a_task_is_steered(boss):
    name = boss.submit()
    assert entries(boss) == []  # submits are not changes that somebody makes to what is there
    boss.send("PATCH", f"/api/tasks/{name}", {"priority": 7})
    boss.post(f"/api/tasks/{name}/cancel")
    boss.post(f"/api/tasks/{name}/replay")
    boss.post(f"/api/tasks/{name}/cancel")
    boss.send("DELETE", f"/api/tasks/{name}")
    assert entries(boss) == [("boss", action, name, 1) for action in ("delete", "cancel", "replay", "cancel", "update")]


def test_what_is_refused_is_not_noted(boss):
    name = boss.submit()
    for path in (f"/api/tasks/{name}/replay", f"/api/tasks/{name}/retry", "/api/tasks/none/cancel"):
        assert boss.post(path).status_code in (404, 409)
    assert boss.send("DELETE", f"/api/tasks/{name}").status_code == 409
    assert boss.send("PATCH", f"/api/tasks/{name}", {"priority": 99}).status_code == 422
    assert boss.post("/api/cluster/nodes/none/drain").status_code == 404
    assert boss.post("/api/schedules/none/pause").status_code == 404
    assert boss.post("/api/queues/none/purge").json == {"count": 0}
    assert entries(boss) == []


def test_many_tasks_at_once(boss):
    names = [boss.submit(parameters={"tags": ["x"]}) for _ in range(3)]
    order = {"action": "cancel", "filter": {"tag": "x", "ids": names, "before": "2036-01-01T00:00:00Z"}}
    assert boss.post("/api/tasks/bulk", {**order, "dryRun": True}).json == {"count": 3}
    assert entries(boss) == []
    assert boss.post("/api/tasks/bulk", order).json == {"count": 3}
    ((token, action, target, count),) = entries(boss)
    assert (token, action, count) == ("boss", "cancel", 3)
    assert json.loads(target) == {"tag": "x", "ids": 3, "before": "2036-01-01T00:00:00.000Z"}


def test_queues_and_nodes(boss):
    boss.submit(parameters={"queue": "mail"})
    for path in ("pause", "pause", "resume", "purge", "purge"):
        boss.post(f"/api/queues/mail/{path}")
    boss.post("/api/cluster/nodes/node-1/drain")
    boss.post("/api/cluster/nodes/node-1/undrain")
    assert entries(boss) == [
        ("boss", "undrain", "node-1", 1),
        ("boss", "drain", "node-1", 1),
        ("boss", "purge", "mail", 1),
        ("boss", "resume", "mail", 1),
        ("boss", "pause", "mail", 1),
        ("boss", "pause", "mail", 1),  # asked again; the purge that found nothing is not noted
    ]


def test_schedules(boss):
    boss.post("/api/schedules", {**EVERY, "id": "s"})
    assert boss.post("/api/schedules", {**EVERY, "id": "s"}).status_code == 409
    boss.send("PUT", "/api/schedules/s", {**EVERY, "every": "2h"})
    boss.send("PUT", "/api/schedules/t", EVERY)
    boss.post("/api/schedules/s/pause")
    boss.post("/api/schedules/s/resume")
    boss.post("/api/schedules/s/trigger")
    boss.send("DELETE", "/api/schedules/s")
    done = ("delete", "trigger", "resume", "pause")
    assert entries(boss) == [
        *(("boss", f"schedule.{action}", "s", 1) for action in done),
        ("boss", "schedule.create", "t", 1),
        ("boss", "schedule.replace", "s", 1),
        ("boss", "schedule.create", "s", 1),
    ]


def test_without_tokens_nobody_is_named(api):
    api.post("/api/queues/mail/pause")
    assert entries(api) == [(None, "pause", "mail", 1)]
    (entry,) = api.get("/api/audit").json["entries"]
    assert entry["at"] == "2026-09-21T14:13:20.000Z"


def test_pages_newest_first(boss):
    for n in range(5):
        boss.post(f"/api/queues/q{n}/pause")
    seen, cursor = [], None
    while True:
        page = boss.get("/api/audit", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json
        seen.append([one["target"] for one in page["entries"]])
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert seen == [["q4", "q3"], ["q2", "q1"], ["q0"]]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "cursor=", "cursor=x", "cursor=n-1", "who=me"])
def test_a_bad_query_is_422(boss, query, problems):
    answer = boss.get("/api/audit", query_string=query)
    assert answer.status_code == 422
    assert list(problems(answer)) == [f"?{query.partition('=')[0]}"]


def test_a_dead_letter_that_is_replayed(boss):
    name = dead(boss)
    boss.post("/api/tasks/bulk", {"action": "replay", "filter": {"cause": "error"}})
    assert entries(boss) == [("boss", "replay", '{"cause":"error"}', 1)]
    assert boss.get(f"/api/tasks/{name}").json["status"] == "pending"
