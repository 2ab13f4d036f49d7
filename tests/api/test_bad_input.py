"""What other bad input gets: bodies, content types, queries, paths. One row a case."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.api.names import NAMES

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
    ("POST", "/api/leases", [], "$"),
    ("POST", "/api/leases", {}, "$.handlers"),
    ("POST", "/api/leases", {"handlers": None}, "$.handlers"),
    ("POST", "/api/leases", {"handlers": "x"}, "$.handlers"),
    ("POST", "/api/leases", {"handlers": []}, "$.handlers"),
    ("POST", "/api/leases", {"handlers": ["x", "*"]}, "$.handlers[1]"),
    ("POST", "/api/leases", {"handlers": ["x"] * 101}, "$.handlers"),
    ("POST", "/api/leases", {"handlers": ["x"], "queues": []}, "$.queues"),
    ("POST", "/api/leases", {"handlers": ["x"], "queues": "*"}, "$.queues"),
    ("POST", "/api/leases", {"handlers": ["x"], "queues": ["a", "**"]}, "$.queues[1]"),
    *[("POST", "/api/leases", {"handlers": ["x"], "limit": n}, "$.limit") for n in (0, -1, 101, 1.5, "1", True, None)],
    *[("POST", "/api/leases", {"handlers": ["x"], "wait": n}, "$.wait") for n in ("61s", 61, -1, "soon", True, None)],
    *[("POST", "/api/leases", {"handlers": ["x"], "lease": n}, "$.lease") for n in ("999ms", 0, "13h", "", [])],
    *[("POST", "/api/leases", {"handlers": ["x"], "requestId": n}, "$.requestId") for n in (7, "", "a b", "a" * 129)],
    ("POST", "/api/leases", {"handlers": ["x"], "worker": "w"}, "$.worker"),
    ("POST", "/api/leases/t/complete", [], "$"),
    ("POST", "/api/leases/t/complete", {"results": 1}, "$.results"),
    ("POST", "/api/leases/t/fail", {}, "$.error"),
    ("POST", "/api/leases/t/fail", {"error": "no"}, "$.error"),
    ("POST", "/api/leases/t/fail", {"error": {}}, "$.error.message"),
    ("POST", "/api/leases/t/fail", {"error": {"message": 5}}, "$.error.message"),
    ("POST", "/api/leases/t/fail", {"error": {"message": "", "type": None}}, "$.error.type"),
    ("POST", "/api/leases/t/fail", {"error": {"message": "", "cause": "crash"}}, "$.error.cause"),
    ("POST", "/api/leases/t/fail", {"error": {"message": ""}, "retry": "no"}, "$.retry"),
    ("POST", "/api/leases/t/renew", {"lease": "1h"}, "$"),
    ("POST", "/api/leases/t/release", 5, "$"),
    *[("POST", "/api/tasks/bulk", {"action": "cancel", "filter": {"queue": n}}, "$.filter.queue") for n in NAMES],
]


@pytest.mark.parametrize("row", OTHERS, ids=lambda row: str(row)[:60])
def test_other_bodies(api, problems, row):
    method, path, body, complaint = row
    answer = api.send(method, path, body)
    assert (answer.status_code, list(problems(answer))) == (422, [complaint])
    assert api.gateway.calls == []


@pytest.mark.parametrize("path", ["/api/tasks", "/api/tasks/bulk", "/api/tasks/batch", "/api/schedules"])
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
    *[(f"/api/stats?minutes={wrong}", "minutes") for wrong in ("0", "1441", "-1", "x", "", "1.5", "9" * 5_000)],
    *[(f"/api/schedules/x/preview?count={wrong}", "count") for wrong in ("0", "101", "x", "", "5s")],
    ("/api/schedules?limit=5", "limit"),
    ("/metrics?name[]=x", "name[]"),
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
        ("GET", "/api/schedules/{}"),
        ("PUT", "/api/schedules/{}"),
        ("POST", "/api/schedules/{}/trigger"),
        ("POST", "/api/cluster/nodes/{}/drain"),
    ],
)
def test_a_path_with_no_name_in_it_leads_nowhere(api, method, path, name):
    assert api.send(method, path.format(quote(name, safe=""))).status_code == 404
    assert api.gateway.calls == []
