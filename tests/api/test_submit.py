"""POST /api/tasks: what is taken, what a repeat gets, what is refused and how."""

from __future__ import annotations

import gc

import pytest

from taskqueue.core.config import Config
from taskqueue.core.errors import ConfigError, StoreFull, Unavailable


@pytest.fixture(params=["waits", "promises"])
def api(request, api, patient):
    return api if request.param == "waits" else patient


def test_the_smallest_submit_is_an_echo_with_every_default(api):
    answer = api.post("/api/tasks", {"payload": {"a": 1}})
    assert answer.status_code == 201
    assert answer.json == {"id": "task1", "status": "pending", "createdAt": "2026-09-21T14:13:20.000Z"}
    assert answer.headers["location"] == "/api/tasks/task1"
    (task,) = api.stored()
    assert (task.handler, task.queue, task.priority, task.retries, task.payload) == (
        "echo",
        "default",
        4,
        3,
        b'{"a": 1}',
    )


def test_every_parameter_reaches_the_task(api):
    parameters = {
        "priority": "high",
        "timeout": "30s",
        "queue": "mail",
        "retries": 5,
        "runAt": "2026-12-01T08:00:00+01:00",
        "expiresAt": "2027-01-01T00:00:00Z",
        "tags": ["welcome", "b"],
        "idempotencyKey": "order-17",
        "keepResult": False,
    }
    name = api.submit(id="mine", handler="email.send", payload=[1], parameters=parameters)
    assert name == "mine"
    shown = api.get("/api/tasks/mine").json
    assert shown["parameters"] == {
        **parameters,
        "priority": 7,
        "runAt": "2026-12-01T07:00:00.000Z",
        "expiresAt": "2027-01-01T00:00:00.000Z",
    }
    assert (shown["handler"], shown["queue"], shown["payload"]) == ("email.send", "mail", [1])
    assert shown["runAt"] == "2026-12-01T07:00:00.000Z"


@pytest.mark.parametrize("payload", [None, False, 0, "", [], {}, 1.5, "é😀", 10**40])
def test_any_json_value_is_a_payload_and_comes_back_as_it_was(api, payload):
    assert api.get(f"/api/tasks/{api.submit(payload=payload)}").json["payload"] == payload


def test_the_same_id_and_body_is_a_repeat_and_another_body_a_conflict(api):
    body = {"id": "x", "payload": {"a": 1, "b": 2.0}}
    assert api.post("/api/tasks", body).status_code == 201
    again = api.post("/api/tasks", raw=b'{ "payload": {"b": 2, "a": 1.0}, "id":"x"}')
    assert (again.status_code, again.json["id"]) == (200, "x")
    assert api.post("/api/tasks", {"id": "x", "payload": {"a": True, "b": 2}}).status_code == 409
    assert len(api.stored()) == 1


def test_a_key_answers_for_the_first_task_wherever_it_stands(api, problems):
    first = api.post("/api/tasks", {"payload": 1}, headers={"Idempotency-Key": "clé".encode().decode("latin-1")})
    again = api.post("/api/tasks", {"payload": 1, "parameters": {"idempotencyKey": "clé"}})
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json["id"] == first.json["id"]
    other = api.post("/api/tasks", {"payload": 2, "parameters": {"idempotencyKey": "clé"}})
    assert other.status_code == 422
    assert list(problems(other)) == ["$.parameters.idempotencyKey"]


def test_header_and_key_must_agree(api, problems):
    body = {"payload": 1, "parameters": {"idempotencyKey": "a"}}
    assert api.post("/api/tasks", body, headers={"Idempotency-Key": "a"}).status_code == 201
    answer = api.post("/api/tasks", body, headers={"Idempotency-Key": "b"})
    assert (answer.status_code, list(problems(answer))) == (422, ["$.parameters.idempotencyKey"])


@pytest.mark.parametrize("key", ["", "x" * 256, "a\x7f", "\xff\x80"])
def test_a_header_that_is_no_key_is_told_by_its_name(api, problems, key):
    answer = api.post("/api/tasks", {"payload": 1}, headers={"Idempotency-Key": key})
    assert (answer.status_code, list(problems(answer))) == (422, ["Idempotency-Key"])


def test_a_full_queue_says_when_to_come_again(api_with):
    api = api_with(Config(queue_size=1))
    api.submit()
    answer = api.post("/api/tasks", {"payload": 1})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")


def test_an_unknown_outcome_names_the_id_to_repeat(api):
    api.gateway.away = True
    answer = api.post("/api/tasks", {"payload": 1})
    assert (answer.status_code, answer.headers["retry-after"], answer.json["id"]) == (503, "1", "task1")


@pytest.mark.parametrize("error", [StoreFull("no room"), Unavailable("nobody there")])
def test_a_store_that_cannot_is_503_without_an_id(api, error):
    api.gateway.failing = error
    answer = api.post("/api/tasks", {"payload": 1})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "id" not in answer.json


@pytest.mark.parametrize(
    "bug", [RuntimeError("secret detail"), ConfigError("secret detail"), KeyError("secret detail")]
)
def test_a_bug_is_500_and_stands_in_the_log_only(api, caplog, bug):
    api.gateway.failing = bug
    answer = api.post("/api/tasks", {"payload": 1})
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "secret detail" in caplog.text


@pytest.mark.parametrize("size", [2_000, 2_001])
def test_a_payload_may_have_exactly_the_limit(small, size):
    payload = "x" * (size - 2)
    answer = small.post("/api/tasks", {"payload": payload})
    assert answer.status_code == (201 if size == 2_000 else 413)


def test_a_body_over_payload_and_envelope_is_not_even_read(small):
    answer = small.post("/api/tasks", raw=b'{"payload": 1}' + b" " * 70_000)
    assert answer.status_code == 413
    assert small.gateway.calls == []


@pytest.mark.parametrize("body", [{"payload": 1}, {"payload": 1, "parameters": {"priority": "urgent"}}])
def test_a_promise_leaves_nothing_for_the_collector(patient, body):
    gc.collect()
    gc.disable()
    try:
        patient.post("/api/tasks", body)
        assert patient.server.last() is None
    finally:
        gc.enable()
