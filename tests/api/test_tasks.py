"""Tasks, seen and changed over REST."""

from __future__ import annotations

import pytest

from taskqueue.core import events as ev
from taskqueue.core.clock import SECOND
from taskqueue.core.config import Config
from taskqueue.core.views import Filter

COMPLETE = ev.Complete(id="", owner="", fence=0, result=b'{"done":true}')
FAIL = ev.Fail(id="", owner="", fence=0, type="ValueError", message="no", delay=60 * SECOND)
FAIL_FOR_GOOD = ev.Fail(id="", owner="", fence=0, type="ValueError", message="no", final=True)


def test_a_task_whole(api):
    name = api.submit(payload={"to": "x"}, parameters={"tags": ["t"], "timeout": 1.5})
    api.clock.advance(1_500_000)
    api.gateway.run(name, FAIL)
    shown = api.get(f"/api/tasks/{name}").json
    error = {"type": "ValueError", "message": "no", "cause": "error"}
    assert shown == {
        "id": name,
        "handler": "echo",
        "queue": "default",
        "payload": {"to": "x"},
        "parameters": {
            "priority": 4,
            "timeout": "1500ms",
            "queue": "default",
            "retries": 3,
            "keepResult": True,
            "tags": ["t"],
        },
        "status": "failed",
        "priority": 4,
        "createdAt": "2026-09-21T14:13:20.000Z",
        "runAt": "2026-09-21T14:14:21.500Z",
        "startedAt": "2026-09-21T14:13:21.500Z",
        "finishedAt": None,
        "attempt": 1,
        "retriesLeft": 2,
        "crashes": 0,
        "generation": 1,
        "node": "node-1",
        "progress": None,
        "result": None,
        "error": error,
        "history": [
            {
                "attempt": 1,
                "generation": 1,
                "node": "node-1",
                "startedAt": "2026-09-21T14:13:21.500Z",
                "finishedAt": "2026-09-21T14:13:21.500Z",
                "outcome": "failed",
                "error": error,
            }
        ],
        "tags": ["t"],
        "expiresAt": None,
        "schedule": None,
    }


def test_progress_and_result(api):
    name = api.submit()
    api.gateway.run(name, ev.Report(id="", owner="", fence=0, fraction=0.5, note="half way"))
    shown = api.get(f"/api/tasks/{name}").json
    assert (shown["status"], shown["progress"]) == (
        "processing",
        {"fraction": 0.5, "note": "half way", "at": "2026-09-21T14:13:20.000Z"},
    )
    other = api.submit()
    api.gateway.run(other, COMPLETE)
    shown = api.get(f"/api/tasks/{other}").json
    assert (shown["status"], shown["result"]) == ("completed", {"done": True})
    assert shown["finishedAt"] == "2026-09-21T14:13:20.000Z"


def test_a_replayed_task_shows_no_wish_for_a_later_start(api):
    name = api.submit(parameters={"delay": "10s"})
    assert api.get(f"/api/tasks/{name}").json["parameters"]["runAt"] == "2026-09-21T14:13:30.000Z"
    api.post(f"/api/tasks/{name}/cancel")
    api.clock.advance(SECOND)
    shown = api.post(f"/api/tasks/{name}/replay").json
    assert (shown["status"], shown["generation"]) == ("pending", 2)
    assert "runAt" not in shown["parameters"]


def test_unknown_ids_are_404(api):
    for method, path in [("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("POST", "/retry"), ("POST", "/replay")]:
        assert api.send(method, "/api/tasks/nobody" + path).status_code == 404
    assert api.send("PATCH", "/api/tasks/nobody", {"priority": 1}).status_code == 404


@pytest.mark.parametrize(
    ("wait", "seconds"), [("20s", 20), ("60s", 60), ("0.5", 0.5), ("60", 60), ("500ms", 0.5), ("1m", 60)]
)
def test_a_wait_is_handed_on(api, wait, seconds):
    name = api.submit()
    assert api.get(f"/api/tasks/{name}?wait={wait}").status_code == 200
    assert ("wait", name, seconds) in api.gateway.calls


def test_no_wait_does_not_wait(api):
    name = api.submit()
    api.get(f"/api/tasks/{name}?wait=0")
    api.get(f"/api/tasks/{name}")
    assert not [call for call in api.gateway.calls if call[0] == "wait"]


def test_the_list_is_newest_first_in_pages(api):
    names = []
    for _ in range(5):
        names.append(api.submit())
        api.clock.advance(SECOND)
    seen, cursor, pages = [], None, 0
    while True:
        page = api.get("/api/tasks?limit=2" + (f"&cursor={cursor}" if cursor else "")).json
        seen += [one["id"] for one in page["tasks"]]
        cursor, pages = page["nextCursor"], pages + 1
        if cursor is None:
            break
    assert seen == names[::-1]
    assert pages >= 3


@pytest.mark.parametrize(
    ("query", "filter"),
    [
        ("status=dead-lettered", Filter(status="dead-lettered")),
        ("status=pending&handler=email.send", Filter(status="pending", handler="email.send")),
        ("queue=mail&tag=a:b&schedule=nightly", Filter(queue="mail", tag="a:b", schedule="nightly")),
    ],
)
def test_filters_are_handed_on(api, query, filter):
    assert api.get(f"/api/tasks?{query}&limit=7").status_code == 200
    assert api.gateway.calls[-1] == ("find", filter, 7, None)


def test_a_list_has_fifty_where_nobody_says(api):
    api.get("/api/tasks")
    assert api.gateway.calls == [("find", Filter(), 50, None)]


def test_dead_letters_with_their_counts(api):
    dead = api.submit()
    api.gateway.run(dead, FAIL_FOR_GOOD)
    api.submit()
    answer = api.get("/api/dead-letters").json
    assert [one["id"] for one in answer["tasks"]] == [dead]
    assert answer["nextCursor"] is None
    assert answer["counts"] == [{"handler": "echo", "cause": "error", "count": 1}]
    assert api.get("/api/dead-letters?cause=crash").json["tasks"] == []


def test_a_waiting_task_can_be_changed(api):
    name = api.submit()
    answer = api.send(
        "PATCH",
        f"/api/tasks/{name}",
        {"priority": "critical", "runAt": "2026-12-01T08:00:00Z", "expiresAt": "2027-12-01T08:00:00Z", "tags": ["b"]},
    )
    assert answer.status_code == 200
    shown = answer.json
    assert (shown["priority"], shown["tags"]) == (9, ["b"])
    assert (shown["runAt"], shown["expiresAt"]) == ("2026-12-01T08:00:00.000Z", "2027-12-01T08:00:00.000Z")
    shown = api.send("PATCH", f"/api/tasks/{name}", {"runAt": None, "expiresAt": None}).json
    assert (shown["runAt"], shown["expiresAt"], shown["priority"]) == ("2026-09-21T14:13:20.000Z", None, 9)


def test_what_the_state_does_not_allow_is_409_and_changes_nothing(api):
    name = api.submit()
    api.gateway.run(name, COMPLETE)
    before = api.get(f"/api/tasks/{name}").json
    for method, path, body in [
        ("POST", "/cancel", None),
        ("POST", "/retry", None),
        ("POST", "/replay", None),
        ("PATCH", "", {"priority": 1}),
    ]:
        assert api.send(method, f"/api/tasks/{name}{path}", body).status_code == 409
    assert api.get(f"/api/tasks/{name}").json == before


def test_cancel_retry_replay_delete(api):
    name = api.submit()
    api.gateway.run(name, FAIL)
    assert api.post(f"/api/tasks/{name}/retry").json["status"] == "pending"
    assert api.send("DELETE", f"/api/tasks/{name}").status_code == 409
    assert api.post(f"/api/tasks/{name}/cancel", {}).json["status"] == "cancelled"
    answer = api.send("DELETE", f"/api/tasks/{name}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert api.get(f"/api/tasks/{name}").status_code == 404


def test_an_action_takes_no_body(api):
    name = api.submit()
    assert api.post(f"/api/tasks/{name}/cancel", {"reason": "x"}).status_code == 422
    assert api.post(f"/api/tasks/{name}/cancel", raw=b"x", headers={"Content-Type": "text/plain"}).status_code == 415
    assert api.get(f"/api/tasks/{name}").json["status"] == "pending"


def test_bulk_counts_then_acts(api):
    names = [api.submit(parameters={"tags": ["old"]}) for _ in range(3)]
    other = api.submit()
    body = {"action": "cancel", "filter": {"tag": "old"}}
    assert api.post("/api/tasks/bulk", {**body, "dryRun": True}).json == {"count": 3}
    assert {task.status for task in api.stored()} == {"pending"}
    assert api.post("/api/tasks/bulk", body).json == {"count": 3}
    assert api.post("/api/tasks/bulk", body).json == {"count": 0}
    assert api.get(f"/api/tasks/{other}").json["status"] == "pending"
    assert api.post("/api/tasks/bulk", {"action": "replay", "filter": {"ids": names[:1]}}).json == {"count": 1}


def test_bulk_leaves_alone_what_comes_later(api):
    api.post("/api/tasks/bulk", {"action": "cancel", "filter": {}})
    call = api.gateway.calls[-1]
    assert call == ("bulk", "cancel", Filter(before=api.clock.now()), None, False)
    moment = "2026-09-21T14:13:20.000Z"
    api.clock.advance(SECOND)
    wanted = {"status": "failed", "handler": "h", "queue": "q", "tag": "t", "cause": "timeout", "before": moment}
    api.post("/api/tasks/bulk", {"action": "retry", "filter": {**wanted, "ids": []}, "dryRun": True})
    seen = Filter(status="failed", handler="h", queue="q", tag="t", cause="timeout", before=api.clock.now() - SECOND)
    assert api.gateway.calls[-1] == ("bulk", "retry", seen, (), True)


def test_ten_thousand_ids_fit_into_a_bulk(api_with, problems):
    api = api_with(Config())
    ids = [f"{n:064d}" for n in range(10_000)]
    assert api.post("/api/tasks/bulk", {"action": "delete", "filter": {"ids": ids}}).json == {"count": 0}
    answer = api.post("/api/tasks/bulk", {"action": "delete", "filter": {"ids": [*ids, "x"]}})
    assert (answer.status_code, list(problems(answer))) == (422, ["$.filter.ids"])
