"""Whatever comes in, nothing of ours breaks: never 500, and every refusal is a whole problem (see `Api.send`)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.conftest import Api

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
SUBMIT_NAMES = ["tasks", "payload", "handler", "parameters", "id", "priority", "timeout", "delay", "runAt", "expiresAt"]
OTHER_NAMES = ["retries", "queue", "tags", "idempotencyKey", "action", "filter", "ids", "status", "cause", "before"]
SCHEDULE_NAMES = ["cron", "every", "timezone", "misfire", "overlap", "paused"]
NAMES = st.sampled_from([*SUBMIT_NAMES, *OTHER_NAMES, *SCHEDULE_NAMES, "dryRun"])
WORDS = st.sampled_from(["cancel", "failed", "high", "5s", "2026-12-01T08:00:00Z", "x", "mail", "*/5 * * * *", "UTC"])
VALUES = st.recursive(
    LEAVES | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=5),
    max_leaves=15,
)
BODIES = (
    VALUES
    | st.dictionaries(NAMES, VALUES, max_size=5)
    | st.builds(lambda tasks: {"tasks": tasks}, st.lists(st.dictionaries(NAMES, VALUES, max_size=4), max_size=4))
)
RAW = BODIES.map(lambda body: json.dumps(body).encode()) | st.binary(max_size=100)
TAKERS = [
    ("POST", "/api/tasks"),
    ("POST", "/api/tasks/batch"),
    ("POST", "/api/tasks/batch?atomic=true"),
    ("POST", "/api/tasks/bulk"),
    ("PATCH", "/api/tasks/x"),
    ("POST", "/api/schedules"),
    ("PUT", "/api/schedules/x"),
    ("POST", "/api/tasks/x/cancel"),
]
EXPECTED = {200, 201, 204, 207, 400, 404, 405, 409, 413, 415, 421, 422, 429}
MANY = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.mark.parametrize(("method", "path"), TAKERS)
@given(raw=RAW)
@MANY
def test_bodies(api: Api, method: str, path: str, raw: bytes):
    path, _, query = path.partition("?")
    answer = api.send(method, path, raw=raw, query_string=query)
    assert answer.status_code in EXPECTED
    if answer.status_code == 207:
        assert {one["status"] for one in answer.json["items"]} <= EXPECTED


@given(
    names=st.lists(st.sampled_from(["limit", "status", "cursor", "handler", "tag", "wait"]) | st.text(max_size=5)),
    value=st.text(max_size=20) | st.sampled_from(["1", "pending", "5s", "mail"]),
    path=st.sampled_from(["/api/tasks", "/api/dead-letters", "/api/tasks/x", "/api/queues", "/api/stats"]),
)
@MANY
def test_queries(api: Api, names: list[str], value: str, path: str):
    assert api.get(path, params=dict.fromkeys(names, value)).status_code in EXPECTED


@given(query=st.text(alphabet="=&%+;ab01\x7f[]?#/", max_size=40))
@MANY
def test_raw_queries(api: Api, query: str):
    assert api.get("/api/tasks", query_string=query.lstrip("?")).status_code in EXPECTED


@given(
    path=st.lists(st.text(max_size=10) | st.sampled_from(["api", "tasks", "queues", "x", "cancel", ".."]), max_size=6),
    method=st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS"]),
)
@MANY
def test_paths(api: Api, path: list[str], method: str):
    answer = api.send(method, "/" + "/".join(path).replace("?", "").lstrip("/"))
    assert answer.status_code in EXPECTED


@given(
    headers=st.dictionaries(
        st.sampled_from(["Content-Type", "Idempotency-Key", "Host", "Accept"]), st.text(max_size=30)
    )
)
@MANY
def test_headers(api: Api, headers: dict[str, Any]):
    headers = {name: value.encode("latin-1", "ignore").decode("latin-1") for name, value in headers.items()}
    assert api.post("/api/tasks", {"payload": 1}, headers=headers).status_code in EXPECTED
