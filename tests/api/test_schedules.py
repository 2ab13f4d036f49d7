"""Schedules over REST: made, shown, changed, steered; what is refused, and how."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from storage import verbs as v
from taskqueue import task
from taskqueue.core.clock import HOUR, MINUTE
from taskqueue.core.errors import Unavailable
from taskqueue.core.schedule import Owner, Spec
from taskqueue.core.times import parse_time

WHOLE = {
    "id": "nightly",
    "handler": "report.make",
    "payload": {"kind": "full", "n": 1.0},
    "cron": "30 2 * * *",
    "timezone": "Europe/Berlin",
    "misfire": "runAll",
    "overlap": "skip",
    "paused": False,
    "parameters": {"priority": "low", "timeout": "20m"},
}


@task("report.make")
def make_report(kind: str, n: float = 1.0) -> None:
    """Checks its payload."""


@pytest.fixture
def nightly(api):
    assert api.post("/api/schedules", WHOLE).status_code == 201
    return "/api/schedules/nightly"


def in_code(api, name="swept"):
    """A schedule that stands in code."""
    spec = Spec(handler=name, payload=b"{}", every=MINUTE, anchor=api.clock.now(), owner=Owner.CODE)
    api.gateway.schedules.declare(name, spec)
    api.gateway.code |= {name}
    return f"/api/schedules/{name}"


def test_a_schedule_whole(api):
    answer = api.post("/api/schedules", WHOLE)
    assert (answer.status_code, answer.headers["location"]) == (201, "/api/schedules/nightly")
    assert answer.json == {
        **WHOLE,
        "every": None,
        "orphaned": False,
        "owner": "api",
        "nextRunAt": "2026-09-22T00:30:00.000Z",
        "lastRunAt": None,
        "skipped": {},
    }
    assert api.get("/api/schedules/nightly").json == answer.json
    assert api.get("/api/schedules").json == {"schedules": [answer.json]}


def test_a_schedule_in_few_words(api):
    shown = api.post("/api/schedules", {"payload": None, "every": 90}).json
    assert (shown["id"], shown["handler"], shown["payload"], shown["every"]) == ("task1", "echo", None, "90s")
    assert (shown["cron"], shown["timezone"], shown["parameters"]) == (None, "UTC", {})
    assert (shown["misfire"], shown["overlap"], shown["paused"]) == ("runOnce", "allow", False)
    assert shown["nextRunAt"] == "2026-09-21T14:14:50.000Z"


def test_a_known_id_is_409_and_changes_nothing(api, nightly):
    assert api.post("/api/schedules", {"id": "nightly", "payload": 1, "every": "1s"}).status_code == 409
    assert api.get(nightly).json["cron"] == "30 2 * * *"


def test_put_creates_and_replaces(api):
    answer = api.send("PUT", "/api/schedules/x", {"payload": 1, "every": "1m", "id": "x", "paused": True})
    assert (answer.status_code, answer.json["paused"], answer.json["nextRunAt"]) == (201, True, None)
    answer = api.send("PUT", "/api/schedules/x", {"payload": 2, "cron": "@hourly"})
    assert (answer.status_code, answer.json["payload"], answer.json["every"], answer.json["paused"]) == (
        200,
        2,
        None,
        False,
    )
    assert answer.json["nextRunAt"] == "2026-09-21T15:00:00.000Z"
    assert len(api.get("/api/schedules").json["schedules"]) == 1


def test_put_under_another_id_is_422(api, problems):
    answer = api.send("PUT", "/api/schedules/x", {"payload": 1, "every": "1m", "id": "y"})
    assert (answer.status_code, list(problems(answer))) == (422, ["$.id"])
    assert api.get("/api/schedules").json == {"schedules": []}


def test_delete(api, nightly):
    answer = api.send("DELETE", nightly)
    assert (answer.status_code, answer.content) == (204, b"")
    assert api.get(nightly).status_code == 404
    assert api.send("DELETE", nightly).status_code == 404


def test_pause_and_resume(api, nightly):
    answer = api.post(f"{nightly}/pause")
    assert (answer.status_code, answer.json["paused"], answer.json["nextRunAt"]) == (200, True, None)
    api.clock.advance(48 * HOUR)
    answer = api.post(f"{nightly}/resume")
    assert (answer.status_code, answer.json["paused"]) == (200, False)
    assert (answer.json["nextRunAt"], answer.json["skipped"]) == ("2026-09-24T00:30:00.000Z", {"paused": 2})


def test_trigger_answers_its_task(api, nightly):
    answer = api.post(f"{nightly}/trigger")
    assert answer.status_code == 200
    shown = answer.json
    assert (shown["handler"], shown["schedule"], shown["status"]) == ("report.make", "nightly", "pending")
    assert (shown["payload"], shown["priority"], shown["parameters"]["timeout"]) == (WHOLE["payload"], 1, "20m")
    assert api.get(f"/api/tasks/{shown['id']}").json == shown
    assert [one["id"] for one in api.get("/api/tasks", params={"schedule": "nightly"}).json["tasks"]] == [shown["id"]]


def test_trigger_works_while_paused(api, nightly):
    api.post(f"{nightly}/pause")
    assert api.post(f"{nightly}/trigger").status_code == 200


def test_trigger_of_a_task_that_is_not_taken_is_told(api, nightly):
    api.gateway.away = True
    assert api.post(f"{nightly}/trigger").status_code == 503


@pytest.mark.parametrize(("query", "count"), [("", 5), ("count=1", 1), ("count=100", 100)])
def test_preview(api, nightly, query, count):
    answer = api.get(f"{nightly}/preview", query_string=query)
    times = answer.json["times"]
    assert (answer.status_code, len(times), times[0]) == (200, count, "2026-09-22T00:30:00.000Z")
    assert times == sorted(set(times))


def test_preview_follows_the_clocks_of_the_zone(api):
    api.send("PUT", "/api/schedules/d", {"payload": 1, "cron": "30 2 * * *", "timezone": "Europe/Berlin"})
    api.clock.jump(parse_time("2026-10-23T12:00:00Z") - api.clock.now())
    times = api.get("/api/schedules/d/preview", query_string="count=3").json["times"]
    assert times == ["2026-10-24T00:30:00.000Z", "2026-10-25T00:30:00.000Z", "2026-10-26T01:30:00.000Z"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/trigger"), ("GET", "/preview")],
)
def test_an_unknown_one_is_404(api, method, path):
    answer = api.send(method, f"/api/schedules/none{path}")
    assert (answer.status_code, answer.json["detail"]) == (404, "no schedule has the id none")


WRONG = [
    ({"cron": "0 0 31 2 *"}, "$.cron"),
    ({"cron": "* * * *"}, "$.cron"),
    ({"cron": None}, "$.cron"),
    ({}, "$.cron"),
    ({"cron": "@daily", "every": "1h"}, "$.cron"),
    ({"every": "0s"}, "$.every"),
    ({"every": "-5s"}, "$.every"),
    ({"every": "99ms"}, "$.every"),
    ({"cron": "@daily", "timezone": "Mars/Olympus"}, "$.timezone"),
    ({"cron": "@daily", "timezone": "../../etc/passwd"}, "$.timezone"),
    ({"cron": "@daily", "misfire": "maybe"}, "$.misfire"),
    ({"cron": "@daily", "overlap": True}, "$.overlap"),
    ({"cron": "@daily", "paused": 1}, "$.paused"),
    ({"cron": "@daily", "nextRunAt": "now"}, "$.nextRunAt"),
    ({"cron": "@daily", "owner": "code"}, "$.owner"),
    ({"cron": "@daily", "id": "a b"}, "$.id"),
    ({"cron": "@daily", "parameters": {"delay": "1s"}}, "$.parameters.delay"),
    ({"cron": "@daily", "parameters": {"timeout": 0}}, "$.parameters.timeout"),
    ({"cron": "@daily", "handler": "report.make", "payload": {"kind": 5}}, "$.payload.kind"),
    ({"cron": "@daily", "handler": "report.make", "payload": {"kind": "a", "x": 1}}, "$.payload.x"),
    ({"cron": "@daily", "payload": ...}, "$.payload"),
]


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(("body", "complaint"), WRONG, ids=lambda value: str(value)[:60])
def test_what_cannot_be_meant_is_422_with_its_path(api, problems, method, body, complaint):
    api.gateway.known = {"report.make": make_report.handler}
    sent = {name: value for name, value in {"payload": 1, **body}.items() if value is not ...}
    answer = api.send(method, "/api/schedules" if method == "POST" else "/api/schedules/x", sent)
    assert (answer.status_code, list(problems(answer))) == (422, [complaint])
    assert api.gateway.store.schedules() == []


def test_a_payload_that_is_too_large_is_413(small):
    assert small.post("/api/schedules", {"payload": "x" * 2_000, "every": "1h"}).status_code == 413


def test_a_schedule_in_code_is_steered_but_not_changed(api):
    path = in_code(api)
    shown = api.get(path).json
    assert (shown["owner"], shown["orphaned"], shown["paused"]) == ("code", False, False)
    assert api.send("DELETE", path).status_code == 409
    assert api.send("PUT", path, {"payload": 1, "every": "1h"}).status_code == 409
    assert api.post("/api/schedules", {"id": "swept", "payload": 1, "every": "1h"}).status_code == 409
    assert api.get(path).json == shown
    assert api.post(f"{path}/pause").json["paused"] is True
    assert api.post(f"{path}/resume").json["paused"] is False
    assert api.post(f"{path}/trigger").status_code == 200


def test_one_that_nobody_declares_any_more_is_orphaned_and_can_go(api):
    path = in_code(api)
    api.gateway.code = frozenset()
    shown = api.get(path).json
    assert (shown["orphaned"], shown["paused"], shown["nextRunAt"]) == (True, True, None)
    assert api.send("DELETE", path).status_code == 204


def test_a_schedule_whose_zone_is_gone_is_shown_all_the_same(api, nightly):
    stored = api.gateway.store.schedule("nightly")
    spec = replace(Spec.decode(stored.spec), timezone="Atlantis/Capital")
    api.gateway.store.execute([v.PutSchedule(replace(stored, spec=spec.encode()), (stored.generation, stored.cursor))])
    shown = api.get(nightly).json
    assert (shown["timezone"], shown["nextRunAt"]) == ("Atlantis/Capital", None)
    assert len(api.get("/api/schedules").json["schedules"]) == 1
    assert api.get(f"{nightly}/preview").status_code == 409
    assert api.send("PUT", nightly, {"payload": 1, "every": "1h"}).status_code == 200


def test_a_store_that_is_away_is_503(api, nightly):
    api.gateway.failing = Unavailable("no answer")
    asked = [("GET", "/api/schedules"), ("GET", nightly), ("DELETE", nightly), ("POST", f"{nightly}/pause")]
    assert {api.send(method, path).status_code for method, path in asked} == {503}
