"""What a bad submit gets: a status, a path, and nothing stored. One row a case."""

from __future__ import annotations

import json

import pytest

from tests.api.names import NAMES


@pytest.fixture(params=["waits", "promises"])
def api(request, api, patient):
    return api if request.param == "waits" else patient

RAW = {
    "nothing": b"",
    "half an object": b'{"payload": 1',
    "a trailing comma": b'{"payload": 1,}',
    "two values": b'{"payload": 1} {}',
    "single quotes": b"{'payload': 1}",
    "NaN": b'{"payload": NaN}',
    "Infinity": b'{"payload": -Infinity}',
    "a NaN in a parameter": b'{"payload": 1, "parameters": {"timeout": NaN}}',
    "half a surrogate pair": b'{"payload": "\\ud800"}',
    "the other half": b'{"payload": {"\\udc00": 1}}',
    "half a pair in a name": b'{"payload": 1, "handler": "\\ud800x"}',
    "an encoded surrogate": b'{"payload": "\xed\xa0\x80"}',
    "Latin-1": b'{"payload": "\xe9"}',
    "UTF-16": '{"payload": 1}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"payload": 1}',
    "a control character": b'{"payload": "a\x01b"}',
    "33 levels": b'{"payload": ' + b"[" * 33 + b"]" * 33 + b"}",
    "33 levels of objects": b'{"payload": ' + b'{"a":' * 33 + b"1" + b"}" * 33 + b"}",
    "33 levels under a string of brackets": b'{"payload": ["[[[\\"[", ' + b"[" * 32 + b"]" * 32 + b"]}",
    "100,000 brackets": b"[" * 100_000,
    "100,000 brackets, closed": b'{"payload": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "deep parameters": b'{"payload": 1, "parameters": ' + b"[" * 100 + b"]" * 100 + b"}",
}


@pytest.mark.parametrize("raw", RAW.values(), ids=RAW.keys())
def test_malformed_is_400(api, raw):
    answer = api.post("/api/tasks", raw=raw)
    assert (answer.status_code, answer.json["type"]) == (400, "urn:taskqueue:malformed")
    assert api.gateway.calls == []


def test_32_levels_are_taken(api):
    assert api.post("/api/tasks", raw=b'{"payload": ' + b"[" * 32 + b"]" * 32 + b"}").status_code == 201
    brackets = json.dumps({"payload": "[" * 500 + '\\"{' * 100})
    assert api.post("/api/tasks", raw=brackets.encode()).status_code == 201


SUBMITS = [
    # (what is laid over {"payload": 1}, path of the complaint)
    ({"payload": ...}, "$.payload"),
    ({"extra": 1}, "$.extra"),
    ({"Handler": "echo"}, "$.Handler"),
    ({"handler": None}, "$.handler"),
    ({"handler": 5}, "$.handler"),
    ({"handler": ["echo"]}, "$.handler"),
    *[({"handler": name}, "$.handler") for name in NAMES],
    *[({"id": name}, "$.id") for name in NAMES],
    ({"id": None}, "$.id"),
    ({"id": 17}, "$.id"),
    ({"id": "a.b"}, "$.id"),
    ({"id": "a" * 65}, "$.id"),
    ({"id": "batch"}, "$.id"),
    ({"id": "bulk"}, "$.id"),
    ({"parameters": None}, "$.parameters"),
    ({"parameters": []}, "$.parameters"),
    ({"parameters": "high"}, "$.parameters"),
]

PARAMETERS = [
    # (parameter, value, path below $.parameters)
    ("priority", "urgent", ""),
    ("priority", "High", ""),
    ("priority", -1, ""),
    ("priority", 10, ""),
    ("priority", 4.5, ""),
    ("priority", True, ""),
    ("priority", "4", ""),
    ("priority", None, ""),
    ("priority", [4], ""),
    ("timeout", 0, ""),
    ("timeout", "0s", ""),
    ("timeout", -1, ""),
    ("timeout", "-1s", ""),
    ("timeout", "30", ""),
    ("timeout", "30 s", ""),
    ("timeout", "30S", ""),
    ("timeout", "½s", ""),
    ("timeout", "٣s", ""),
    ("timeout", "1e3s", ""),
    ("timeout", "", ""),
    ("timeout", "3651d", ""),
    ("timeout", 1e300, ""),
    ("timeout", 10**400, ""),
    ("timeout", True, ""),
    ("timeout", None, ""),
    ("timeout", {}, ""),
    ("timeout", "9" * 65_536 + "s", ""),
    ("delay", -0.5, ""),
    ("delay", "3650.1d", ""),
    ("delay", 315_360_001, ""),
    ("delay", False, ""),
    *[("queue", name, "") for name in NAMES],
    ("queue", None, ""),
    ("queue", 1, ""),
    ("retries", -1, ""),
    ("retries", 1_001, ""),
    ("retries", 1.5, ""),
    ("retries", "3", ""),
    ("retries", True, ""),
    ("retries", None, ""),
    ("retries", 10**100, ""),
    ("runAt", "2026-12-01", ""),
    ("runAt", "2026-12-01T08:00:00", ""),
    ("runAt", "2026-12-01T08:00Z", ""),
    ("runAt", "2026-02-30T08:00:00Z", ""),
    ("runAt", "2026-12-01T25:00:00Z", ""),
    ("runAt", "2026-12-01T08:00:00+25:00", ""),
    ("runAt", "1969-12-31T23:59:59Z", ""),
    ("runAt", "٢٠٢٦-12-01T08:00:00Z", ""),
    ("runAt", "tomorrow", ""),
    ("runAt", 1796112000, ""),
    ("runAt", None, ""),
    ("runAt", True, ""),
    ("expiresAt", "10000-01-01T00:00:00Z", ""),
    ("expiresAt", None, ""),
    ("tags", "a", ""),
    ("tags", None, ""),
    ("tags", {"a": 1}, ""),
    ("tags", [f"t{n}" for n in range(21)], ""),
    ("tags", ["ok", "not ok"], "[1]"),
    ("tags", ["ok", None], "[1]"),
    ("tags", [["ok"]], "[0]"),
    *[("tags", [name], "[0]") for name in NAMES],
    ("idempotencyKey", "", ""),
    ("idempotencyKey", "x" * 256, ""),
    ("idempotencyKey", "a\x00b", ""),
    ("idempotencyKey", "a\nb", ""),
    ("idempotencyKey", 17, ""),
    ("idempotencyKey", None, ""),
    ("keepResult", 1, ""),
    ("keepResult", "true", ""),
    ("keepResult", None, ""),
]


@pytest.mark.parametrize(("change", "path"), SUBMITS, ids=lambda value: str(value)[:40])
def test_a_wrong_submit_is_422_with_its_path(api, problems, change, path):
    body = {name: value for name, value in ({"payload": 1} | change).items() if value is not ...}
    answer = api.post("/api/tasks", body)
    assert (answer.status_code, list(problems(answer))) == (422, [path])
    assert api.gateway.calls == []


@pytest.mark.parametrize(("name", "value", "below"), PARAMETERS, ids=lambda value: str(value)[:40])
def test_a_wrong_parameter_is_422_with_its_path(api, problems, name, value, below):
    answer = api.post("/api/tasks", {"payload": 1, "parameters": {name: value}})
    assert (answer.status_code, list(problems(answer))) == (422, [f"$.parameters.{name}{below}"])
    assert api.gateway.calls == []


@pytest.mark.parametrize("raw", [b'{"payload": 1e999}', b'{"payload": -1e999}', b'{"payload": ' + b"9" * 5_000 + b"}"])
def test_a_number_that_nobody_can_hold_is_422(api, problems, raw):
    answer = api.post("/api/tasks", raw=raw)
    assert (answer.status_code, list(problems(answer))) == (422, ["$.payload"])


def test_everything_wrong_is_told_at_once(api, problems):
    answer = api.post(
        "/api/tasks",
        {"handler": "", "id": "batch", "parameters": {"priority": 10, "retries": -1, "tags": ["", "ok", ""], "x": 1}},
    )
    assert set(problems(answer)) == {
        "$.handler",
        "$.id",
        "$.payload",
        "$.parameters.priority",
        "$.parameters.retries",
        "$.parameters.tags[0]",
        "$.parameters.tags[2]",
        "$.parameters.x",
    }


def test_a_flood_of_wrong_fields_gets_a_short_answer(api):
    answer = api.post("/api/tasks", {"payload": 1, "parameters": {f"x{n}" * 50: 1 for n in range(500)}})
    assert answer.status_code == 422
    assert len(answer.json["errors"]) == 50
    assert len(answer.text) < 20_000


def test_delay_and_run_at_exclude_each_other(api, problems):
    parameters = {"delay": 0, "runAt": "2026-12-01T08:00:00Z"}
    answer = api.post("/api/tasks", {"payload": 1, "parameters": parameters})
    assert (answer.status_code, list(problems(answer))) == (422, ["$.parameters.delay"])


INTEGRAL = [{"retries": 5.0}, {"priority": 7.0}, {"retries": 1e2}]


@pytest.mark.parametrize("parameters", INTEGRAL)
def test_an_integral_float_is_an_integer(api, parameters):
    assert api.post("/api/tasks", {"payload": 1, "parameters": parameters}).status_code == 201
