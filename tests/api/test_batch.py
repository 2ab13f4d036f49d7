"""POST /api/tasks/batch: each for itself, or all or none."""

from __future__ import annotations

import pytest

from taskqueue.core.config import Config

ATOMIC = "/api/tasks/batch?atomic=true"
BAD = {"payload": 1, "handler": "no spaces", "parameters": {"timeout": 0}}


def batch(api, *tasks, path="/api/tasks/batch"):
    return api.post(path, {"tasks": list(tasks)})


def test_each_item_is_answered_in_order(small):
    answer = batch(
        small,
        {"id": "a", "payload": 1},
        BAD,
        {"id": "a", "payload": 1},
        {"id": "a", "payload": 2},
        {"payload": "x" * 3_000},
        [],
        {"payload": "last"},
    )
    assert answer.status_code == 207
    items = answer.json["items"]
    assert [one["status"] for one in items] == [201, 422, 200, 409, 413, 422, 201]
    assert items[0] == {"status": 201, "id": "a"}
    assert items[2] == {"status": 200, "id": "a"}
    assert [one["path"] for one in items[1]["error"]["errors"]] == ["$.handler", "$.parameters.timeout"]
    assert items[5]["error"]["errors"] == [{"path": "$", "message": "expected `object`, got `array`"}]
    assert len(small.stored()) == 2


def test_an_item_that_nests_too_deep_spoils_only_itself(api):
    raw = b'{"tasks": [{"payload": ' + b"[" * 33 + b"]" * 33 + b'}, {"payload": 1}]}'
    answer = api.post("/api/tasks/batch", raw=raw)
    assert [one["status"] for one in answer.json["items"]] == [400, 201]


def test_a_batch_that_nests_without_end_is_malformed(api):
    assert api.post("/api/tasks/batch", raw=b'{"tasks": [{"payload": ' + b"[" * 100_000).status_code == 400


@pytest.mark.parametrize("body", [{"tasks": []}, {"tasks": [{"payload": 1}] * 10_001}])
def test_a_batch_has_one_to_ten_thousand_tasks(api_with, problems, body):
    api = api_with(Config())
    answer = api.post("/api/tasks/batch", body)
    assert (answer.status_code, list(problems(answer))) == (422, ["$.tasks"])
    assert api.stored() == []


def test_ten_thousand_at_once(api_with):
    answer = batch(api_with(Config()), *[{"payload": n} for n in range(10_000)])
    assert {one["status"] for one in answer.json["items"]} == {201}
    assert len({one["id"] for one in answer.json["items"]}) == 10_000


@pytest.mark.parametrize("body", [{}, {"tasks": None}, {"tasks": {}}, {"tasks": [], "x": 1}, [], 5])
def test_the_frame_of_a_batch_is_checked(api, body):
    assert api.post("/api/tasks/batch", body).status_code == 422


def test_over_the_queue_size_each_item_is_told(api_with):
    api = api_with(Config(queue_size=2))
    items = batch(api, *[{"payload": n} for n in range(3)]).json["items"]
    assert [one["status"] for one in items] == [201, 201, 429]


def test_a_batch_has_no_key_of_its_own(api, problems):
    answer = api.post("/api/tasks/batch", {"tasks": [{"payload": 1}]}, headers={"Idempotency-Key": "k"})
    assert (answer.status_code, list(problems(answer))) == (422, ["Idempotency-Key"])
    assert api.stored() == []


def test_a_key_holds_inside_a_batch(api):
    task = {"payload": 1, "parameters": {"idempotencyKey": "k"}}
    items = batch(api, task, task).json["items"]
    assert [one["status"] for one in items] == [201, 200]
    assert items[0]["id"] == items[1]["id"]


def test_a_store_away_gives_each_item_its_id(api):
    api.gateway.away = True
    items = batch(api, {"payload": 1}, {"payload": 2, "id": "mine"}).json["items"]
    assert [(one["status"], one["id"], one["error"]["id"]) for one in items] == [
        (503, "task1", "task1"),
        (503, "mine", "mine"),
    ]


def test_a_body_over_the_limit_is_413(small):
    assert batch(small, *[{"payload": "x" * 1_900}] * 120).status_code == 413
    assert small.stored() == []


def test_atomic_all(api):
    answer = batch(api, {"payload": 1}, {"payload": 2}, path=ATOMIC)
    assert (answer.status_code, [one["status"] for one in answer.json["items"]]) == (207, [201, 201])


def test_atomic_tells_all_that_is_wrong_and_stores_nothing(api, problems):
    answer = batch(api, {"payload": 1}, BAD, {}, path=ATOMIC)
    assert answer.status_code == 422
    assert list(problems(answer)) == ["$.tasks[1].handler", "$.tasks[1].parameters.timeout", "$.tasks[2].payload"]
    assert api.stored() == []


def test_atomic_with_a_conflict_names_the_guilty_only(api, problems):
    api.submit(id="x", payload=1)
    answer = batch(api, {"payload": 1}, {"id": "x", "payload": 2}, path=ATOMIC)
    assert answer.status_code == 409
    assert list(problems(answer)) == ["$.tasks[1]"]
    assert len(api.stored()) == 1


def test_atomic_with_a_key_of_another_body_is_422(api, problems):
    api.submit(payload=1, parameters={"idempotencyKey": "k"})
    answer = batch(api, {"payload": 1}, {"payload": 2, "parameters": {"idempotencyKey": "k"}}, path=ATOMIC)
    assert (answer.status_code, list(problems(answer))) == (422, ["$.tasks[1].parameters.idempotencyKey"])


def test_atomic_over_the_queue_size_is_429_as_a_whole(api_with):
    api = api_with(Config(queue_size=2))
    answer = batch(api, *[{"payload": n} for n in range(3)], path=ATOMIC)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert api.stored() == []


def test_atomic_with_a_payload_too_large_is_413(small):
    assert batch(small, {"payload": 1}, {"payload": "x" * 3_000}, path=ATOMIC).status_code == 413


def test_atomic_with_a_malformed_item_is_400(api):
    answer = api.post(ATOMIC, raw=b'{"tasks": [{"payload": 1}, {"payload": "\xff"}]}')
    assert (answer.status_code, answer.json["detail"]) == (400, "$.tasks[1]: not UTF-8")


def test_atomic_takes_up_to_a_thousand(api_with, problems):
    api = api_with(Config())
    answer = batch(api, *[{"payload": n} for n in range(1_001)], path=ATOMIC)
    assert (answer.status_code, list(problems(answer))) == (422, ["$.tasks"])
    assert batch(api, *[{"payload": n} for n in range(1_000)], path=ATOMIC).status_code == 207
