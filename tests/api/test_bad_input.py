"""What bad input gets: a status, a path, and nothing stored. One row a case."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

NAMES = [
    "x' OR '1'='1",
    "'; DROP TABLE tasks; --",
    "%s%n%d{0}{x.__class__}",
    "a\x00b",
    "a" * 65_536,
    "../../etc/passwd",
    "<script>",
    "é",
    "a b",
    "a\r\nSet-Cookie: x=1",
    "",
]

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


OTHERS = [
    # (method, path, body, complaint)
    ("PATCH", "/api/tasks/x", {}, "$"),
    ("PATCH", "/api/tasks/x", [], "$"),
    ("PATCH", "/api/tasks/x", 5, "$"),
    ("PATCH", "/api/tasks/x", {"retries": 1}, "$.retries"),
    ("PATCH", "/api/tasks/x", {"payload": 1}, "$.payload"),
    ("PATCH", "/api/tasks/x", {"priority": None}, "$.priority"),
    ("PATCH", "/api/tasks/x", {"tags": None}, "$.tags"),
    ("PATCH", "/api/tasks/x", {"tags": ["a", ""]}, "$.tags[1]"),
    ("PATCH", "/api/tasks/x", {"runAt": 5}, "$.runAt"),
    ("PATCH", "/api/tasks/x", {"expiresAt": "soon"}, "$.expiresAt"),
    ("POST", "/api/tasks/bulk", [], "$"),
    ("POST", "/api/tasks/bulk", {"filter": {}}, "$.action"),
    ("POST", "/api/tasks/bulk", {"action": "cancel"}, "$.filter"),
    ("POST", "/api/tasks/bulk", {"action": "explode", "filter": {}}, "$.action"),
    ("POST", "/api/tasks/bulk", {"action": ["cancel"], "filter": {}}, "$.action"),
    ("POST", "/api/tasks/bulk", {"action": "cancel", "filter": None}, "$.filter"),
    ("POST", "/api/tasks/bulk", {"action": "cancel", "filter": {"x": 1}}, "$.filter.x"),
    ("POST", "/api/tasks/bulk", {"action": "cancel", "filter": {"status": "done"}}, "$.filter.status"),
    ("POST", "/api/tasks/bulk", {"action": "cancel", "filter": {"cause": 5}}, "$.filter.cause"),
    ("POST", "/api/tasks/bulk", {"action": "cancel", "filter": {"before": "now"}}, "$.filter.before"),
    ("POST", "/api/tasks/bulk", {"action": "cancel", "filter": {"ids": "x"}}, "$.filter.ids"),
    ("POST", "/api/tasks/bulk", {"action": "cancel", "filter": {"ids": ["x", "'"]}}, "$.filter.ids[1]"),
    ("POST", "/api/tasks/bulk", {"action": "cancel", "filter": {}, "dryRun": 1}, "$.dryRun"),
    *[("POST", "/api/tasks/bulk", {"action": "cancel", "filter": {"queue": n}}, "$.filter.queue") for n in NAMES],
]


@pytest.mark.parametrize("row", OTHERS, ids=lambda row: str(row)[:60])
def test_other_bodies(api, problems, row):
    method, path, body, complaint = row
    answer = api.send(method, path, body)
    assert (answer.status_code, list(problems(answer))) == (422, [complaint])
    assert api.gateway.calls == []


@pytest.mark.parametrize("path", ["/api/tasks", "/api/tasks/bulk", "/api/tasks/batch"])
@pytest.mark.parametrize(
    "kind",
    [
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "application/json; charset=latin-1",
        "multipart/form-data; boundary=x",
        "application",
        ";",
        "application/xml, application/json",
    ],
)
def test_another_content_type_is_415(api, path, kind):
    assert api.post(path, raw=b'{"payload": 1}', headers={"Content-Type": kind}).status_code == 415
    assert api.gateway.calls == []


def test_no_content_type_is_415(api):
    answer = api._client.simulate_post("/api/tasks", body=b'{"payload": 1}', headers={"Host": "localhost"})
    assert answer.status_code == 415


@pytest.mark.parametrize(
    "kind", ["application/json;charset=UTF-8", 'Application/JSON; charset="utf-8"', "application/json; v=1"]
)
def test_utf_8_by_any_spelling_is_taken(api, kind):
    assert api.post("/api/tasks", raw=b'{"payload": 1}', headers={"Content-Type": kind}).status_code == 201


QUERIES = [
    # (path, the parameter complained of)
    ("/api/tasks?limit=0", "limit"),
    ("/api/tasks?limit=1001", "limit"),
    ("/api/tasks?limit=-1", "limit"),
    ("/api/tasks?limit=5.0", "limit"),
    ("/api/tasks?limit=%D9%A3", "limit"),
    ("/api/tasks?limit=" + "9" * 5_000, "limit"),
    ("/api/tasks?limit=", "limit"),
    ("/api/tasks?limit=1&limit=2", "limit"),
    ("/api/tasks?status=done", "status"),
    ("/api/tasks?status=PENDING", "status"),
    ("/api/tasks?status=", "status"),
    ("/api/tasks?status=pending,failed", "status"),
    ("/api/tasks?cursor=", "cursor"),
    ("/api/tasks?cursor=nonsense", "cursor"),
    ("/api/tasks?cursor=%00", "cursor"),
    ("/api/tasks?cursor=" + "a" * 65_536, "cursor"),
    ("/api/tasks?cursor=' OR 1=1 --", "cursor"),
    ("/api/tasks?order=desc", "order"),
    ("/api/tasks?cause=error", "cause"),
    ("/api/tasks?handler=%ff", "handler"),
    ("/api/dead-letters?status=pending", "status"),
    ("/api/dead-letters?cause=bad", "cause"),
    ("/api/tasks/x?wait=61s", "wait"),
    ("/api/tasks/x?wait=-1", "wait"),
    ("/api/tasks/x?wait=long", "wait"),
    ("/api/tasks/x?wait=", "wait"),
    ("/api/tasks/x?wait=1e1", "wait"),
    ("/api/tasks/x?wait=nan", "wait"),
    ("/api/tasks/x?wait=1&wait=2", "wait"),
    ("/api/tasks/x?wait=" + "9" * 400, "wait"),
    ("/api/queues?verbose=1", "verbose"),
    ("/api/cluster/status?x", "x"),
    ("/healthz?x=1", "x"),
    ("/?x=1", "x"),
]


@pytest.mark.parametrize(("path", "name"), QUERIES, ids=lambda value: value[:50])
def test_a_wrong_query_is_422_with_its_name(api, problems, path, name):
    path, _, query = path.partition("?")
    answer = api.get(path, query_string=query)
    assert (answer.status_code, list(problems(answer))) == (422, [f"?{name}"])


@pytest.mark.parametrize("field", ["handler", "queue", "tag", "schedule"])
@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:20])
def test_a_filter_that_is_no_name_is_422(api, problems, field, name):
    answer = api.get("/api/tasks", params={field: name})
    assert (answer.status_code, list(problems(answer))) == (422, [f"?{field}"])


@pytest.mark.parametrize("value", ["maybe", "1", "", "True"])
def test_atomic_is_true_or_false(api, problems, value):
    answer = api.post("/api/tasks/batch", {"tasks": [{"payload": 1}]}, query_string=f"atomic={value}")
    assert (answer.status_code, list(problems(answer))) == (422, ["?atomic"])


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:20])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/tasks/{}"),
        ("DELETE", "/api/tasks/{}"),
        ("POST", "/api/tasks/{}/cancel"),
        ("POST", "/api/queues/{}/purge"),
        ("POST", "/api/cluster/nodes/{}/drain"),
    ],
)
def test_a_path_with_no_name_in_it_leads_nowhere(api, method, path, name):
    assert api.send(method, path.format(quote(name, safe=""))).status_code == 404
    assert api.gateway.calls == []
