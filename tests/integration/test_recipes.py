"""The web applications of `examples/`, through their frameworks' own test clients, against a node in a process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import taskqueue
from taskqueue import testing
from taskqueue.client import ambient
from tests.clients import Client
from tests.processes import NodeProcess

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
HANDLERS = ["flask_app.handlers", "fastapi_app.handlers", "django_app.handlers"]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    made = NodeProcess(tmp_path_factory.mktemp("recipes"), {"appDir": str(EXAMPLES), "handlers": HANDLERS})
    try:
        yield made.start()
    finally:
        made.reap()
        print(made.text())


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The examples can be imported; no client is left over from before, nor left open."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setattr(ambient._ambient, "default", None)
    yield
    if ambient._ambient.default is not None:
        ambient._ambient.default.close()


@pytest.fixture
def url(node: Client, monkeypatch: pytest.MonkeyPatch) -> str:
    """The node is where the environment says."""
    monkeypatch.setenv("TASKQUEUE_URL", node.url)
    return node.url


# -- Flask -------------------------------------------------------------------------------------------------------------


def flask_client() -> Any:
    from flask_app.app import create_app  # type: ignore[import-not-found]

    return create_app().test_client()


def test_flask(url: str, node: Client) -> None:
    web = flask_client()
    answer = web.post("/signups", data={"email": "ada@example.com"})
    assert answer.status_code == 202
    task = node.finished(answer.json["task"])
    assert (task["result"], task["priority"]) == ({"sent": "ada@example.com"}, 7)
    assert web.get(f"/signups/{task['id']}").json == {"status": "completed"}
    assert web.get("/signups/nobody").status_code == 404
    answer = web.post("/signups", data={"email": "nobody"})
    assert answer.status_code == 422
    assert answer.json["errors"][0]["path"] == "$.payload.to"


def test_flask_says_so_while_the_queue_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKQUEUE_URL", "http://127.0.0.1:1")
    monkeypatch.setattr("taskqueue.client.ambient.Client", _hasty)
    answer = flask_client().post("/signups", data={"email": "ada@example.com"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")


def _hasty(door: Any, *, timeout: float) -> taskqueue.Client:
    return taskqueue.Client(door, timeout=0.2)


def test_flask_is_tested_without_a_node() -> None:
    with testing.inline() as queue:
        answer = flask_client().post("/signups", data={"email": "ada@example.com"})
        assert queue.task(answer.json["task"]).result == {"sent": "ada@example.com"}


# -- FastAPI -----------------------------------------------------------------------------------------------------------


def fastapi_client() -> Any:
    from fastapi.testclient import TestClient
    from fastapi_app.app import app  # type: ignore[import-not-found]

    return TestClient(app)


def test_fastapi(url: str, node: Client) -> None:
    with fastapi_client() as web:
        answer = web.post("/images", params={"width": 20, "height": 10})
        assert answer.status_code == 202
        assert web.get(f"/images/{answer.json()['task']}").json() == {
            "status": "completed",
            "result": {"width": 10, "height": 5},
        }
        answer = web.post("/images", params={"width": 0, "height": 10})
        ended = web.get(f"/images/{answer.json()['task']}").json()
        assert ended == {"status": "dead-lettered", "error": "there is nothing to see in such an image"}
        assert web.get("/images/nobody").status_code == 404


def test_fastapi_is_tested_without_a_node() -> None:
    with testing.queue() as queue, fastapi_client() as web:
        task = web.post("/images", params={"width": 20, "height": 10}).json()["task"]
        assert web.get(f"/images/{task}").json() == {"status": "pending"}
        queue.advance("100ms")
        assert web.get(f"/images/{task}").json()["result"] == {"width": 10, "height": 5}


# -- Django ------------------------------------------------------------------------------------------------------------

DJANGO = """
import sys
from django_app.app import Order
from django.db import connection
from django.test import Client, TransactionTestCase

with connection.schema_editor() as editor:
    editor.create_model(Order)
web = Client()
answer = web.post("/orders", {"item": "lamp"})
print(answer.status_code, answer.json()["task"], Order.objects.get().task)
answer = web.post("/orders", {"item": "unicorn"})
print(answer.status_code, Order.objects.count())
"""


def test_django_submits_what_is_committed_and_nothing_else(url: str, node: Client) -> None:
    # Django's settings are one for a whole process, so it has one of its own.
    done = subprocess.run(
        [sys.executable, "-c", DJANGO],
        cwd=EXAMPLES,
        env={"PATH": "/usr/bin:/bin", "TASKQUEUE_URL": url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lamp, unicorn = done.stdout.splitlines()
    status, task, kept = lamp.split()
    assert (status, task) == ("202", kept)
    assert node.finished(task)["result"] == "order 1 is on its way"
    assert unicorn == "409 1"
    assert [one["payload"] for one in node.tasks(handler="django.ship")] == [{"order": 1}]
