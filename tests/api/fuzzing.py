"""What schemathesis is told beside the description: how values of our formats look, and what no description can say.

Loaded by its command line (see `test_described.py`), in a process of its own. No check is switched off here. Before a
call that has to be accepted, what the schema cannot express is put right: a cursor has to come from a page, an
idempotency key must not have been used with another body, `delay` and `runAt` exclude each other (the schema says so,
but not every phase reads it), an atomic batch is shorter, a path or an id has to lead to something that is there, or is
not. A long poll is cut short.

Every answer is counted, by operation and status, in the file that `FUZZING_COUNTS` names.
"""

from __future__ import annotations

import json
import os
import random
import string
import time
import urllib.error
import urllib.request
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import strategies as st

TOKEN = os.environ["FUZZING_TOKEN"]
URL = os.environ["FUZZING_URL"]
NODE = os.environ["FUZZING_NODE"]
COUNTS = Path(os.environ["FUZZING_COUNTS"])
WITHIN = 60
"""Seconds, for a task to be run."""

NUMBERS = count(1)
CHANCE = random.Random(1)

MOMENTS = st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(9999, 12, 30))  # noqa: DTZ001 - printed with Z
FORMATS: dict[str, st.SearchStrategy[str]] = {
    "printable": st.text(string.ascii_letters + string.digits + " !#$%&*+,;<=>?@[]^_{|}~", min_size=1, max_size=255),
    "cron": st.sampled_from(["*/5 * * * *", "0 3 * * 1-5", "@hourly", "*/10 * * * * *", "59 23 29 2 *"]),
    "time-zone": st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]),
    "cursor": st.just("a-cursor"),
    "date-time": MOMENTS.map(lambda moment: moment.isoformat(timespec="milliseconds") + "Z"),
}
for name, strategy in FORMATS.items():
    schemathesis.openapi.format(name, strategy)


def ask(method: str, path: str, body: Any = None) -> Any:
    """A call of our own; its answer's JSON, None for any refusal."""
    request = urllib.request.Request(
        URL + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=WITHIN) as answer:
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError:
        return None


# -- things that are there ---------------------------------------------------------------------------------------------


def task(handler: str, **parameters: Any) -> str:
    """A new task."""
    body = {"handler": handler, "payload": {}, "parameters": parameters}
    return str(ask("POST", "/api/tasks", body)["id"])


def waiting() -> str:
    return task("echo", delay="1h")


def failed() -> str:
    """One that waits for its retry, for an hour."""
    name = task("fail", retries=1_000)
    until = time.monotonic() + WITHIN
    while (found := ask("GET", f"/api/tasks/{name}"))["status"] in ("pending", "processing"):
        assert time.monotonic() < until, f"nobody ran {found}"
    return name


def cancelled() -> str:
    name = waiting()
    ask("POST", f"/api/tasks/{name}/cancel")
    return name


def schedule() -> str:
    return str(ask("POST", "/api/schedules", {"payload": {}, "every": "1h"})["id"])


def token() -> str:
    """That of a run which is under way."""
    task("leased")
    return str(ask("POST", "/api/leases", {"handlers": ["leased"], "lease": "1h"})["tasks"][0]["token"])


THINGS: dict[str, Any] = {
    "GET /api/tasks/{id}": waiting,
    "PATCH /api/tasks/{id}": waiting,
    "DELETE /api/tasks/{id}": cancelled,
    "POST /api/tasks/{id}/cancel": waiting,
    "POST /api/tasks/{id}/retry": failed,
    "POST /api/tasks/{id}/replay": cancelled,
    "GET /api/schedules/{id}": schedule,
    "DELETE /api/schedules/{id}": schedule,
    "POST /api/leases/{token}/renew": token,
    "POST /api/leases/{token}/complete": token,
    "POST /api/leases/{token}/fail": token,
    "POST /api/leases/{token}/release": token,
    "POST /api/schedules/{id}/pause": schedule,
    "POST /api/schedules/{id}/resume": schedule,
    "POST /api/schedules/{id}/trigger": schedule,
    "GET /api/schedules/{id}/preview": schedule,
    "POST /api/cluster/nodes/{id}/drain": lambda: NODE,
    "POST /api/cluster/nodes/{id}/undrain": lambda: NODE,
    "GET /dashboard/{file}": lambda: "index.html",
    "GET /docs/{file}": lambda: "index.html",
}
PAYLOADS: dict[str, Any] = {"fail": {}, "sleep": {"seconds": 0}}
PAGES = {"GET /api/tasks": "/api/tasks", "GET /api/dead-letters": "/api/tasks", "GET /api/audit": "/api/audit"}


# -- before and after each call ----------------------------------------------------------------------------------------


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    label = context.operation.label
    if case.meta is None or case.meta.generation.mode.is_negative:
        return
    if "wait" in case.query:
        case.query["wait"] = CHANCE.choice(["0", "0.01", "0.01s", "10ms", "0m"])
    if label == "POST /api/leases":
        case.body.pop("wait", None)
        case.body["requestId"] = f"request-{next(NUMBERS)}"
    if label in PAGES and case.query.get("cursor") == "a-cursor":
        page = ask("GET", f"{PAGES[label]}?limit=1")
        if page and page["nextCursor"]:
            case.query["cursor"] = page["nextCursor"]
        else:
            del case.query["cursor"]
    if label in THINGS and CHANCE.random() < 0.5:
        (name,) = case.path_parameters
        case.path_parameters[name] = THINGS[label]()
    if isinstance(case.body, dict):
        if case.query.get("atomic") in (True, "true"):
            del case.body["tasks"][1_000:]
        for one in case.body.get("tasks", [case.body]):
            put_right(one)
    key = fresh()
    if "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = key
        if isinstance(case.body, dict) and "idempotencyKey" in case.body.get("parameters", {}):
            case.body["parameters"]["idempotencyKey"] = key


def put_right(one: dict[str, Any]) -> None:
    """What excludes itself, or what came before, in the parameters of a task; and the payload of a handler that the
    node knows, whose name was in an answer.
    """
    if one.get("handler") in PAYLOADS and "payload" in one:
        one["payload"] = PAYLOADS[one["handler"]]
    parameters = one.get("parameters", {})
    if "delay" in parameters and "runAt" in parameters:
        del parameters["delay"]
    if "idempotencyKey" in parameters:
        parameters["idempotencyKey"] = fresh()
    if "id" in one and CHANCE.random() < 0.8:
        one["id"] = f"made-{next(NUMBERS)}"


def fresh() -> str:
    return f"key {next(NUMBERS)}"


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    with COUNTS.open("a") as file:
        file.write(json.dumps([context.operation.label, case.method.upper(), response.status_code]) + "\n")
    if context.operation.label.endswith("/drain"):  # else the node would not be ready any more
        ask("POST", f"/api/cluster/nodes/{NODE}/undrain")
    if context.operation.label == "POST /api/queues/{name}/pause":  # a name comes from an answer, too: default's
        ask("POST", "/api/queues/default/resume")


@schemathesis.check
def every_item_is_judged(ctx: Any, response: Any, case: Any) -> None:
    """A batch answers 207 whatever its tasks are; that a wrong one is refused stands in its item."""
    if response.status_code != 207:
        return
    items = response.json()["items"]
    assert len(items) == len(case.body["tasks"]), "an item for each task"
    if case.meta is not None and case.meta.generation.mode.is_negative:
        assert any(item["status"] >= 400 for item in items), "a wrong task was taken"
    for item in items:
        assert ("id" in item and item["status"] in (200, 201)) or item["error"]["status"] == item["status"]
