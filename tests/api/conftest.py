"""The application without a socket, over a gateway that keeps its tasks in memory."""

from __future__ import annotations

import json
import threading
import weakref
from io import BytesIO
from typing import Any

import falcon.testing
import pytest

from api.app import create_app
from api.later import LATER, Later
from api.settings import Settings, settings_of
from taskqueue.core.clock import SECOND, ManualClock
from taskqueue.core.config import Config
from taskqueue.core.task import Task
from taskqueue.core.views import Filter
from tests.fakes import FakeGateway

SMALL = Config(max_payload_bytes=2_000, max_batch_bytes=200_000)
JSON = {"Content-Type": "application/json"}


class Patient:
    """A server's part in an answer that comes later: `app` is asked again where it declines, and waited for where it
    promises.
    """

    last: weakref.ref[Later]
    """What was promised last."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        ready = threading.Event()
        later = Later(lambda _: ready.set())
        self.last = weakref.ref(later)
        said: list[Any] = []
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        answer = self._app({**environ, "wsgi.input": BytesIO(body), LATER: later}, lambda *of: said.append(of))
        if later.declined:
            return self._app({**environ, "wsgi.input": BytesIO(body)}, start_response)
        if not later.promised:
            start_response(*said[-1])
            return answer
        assert ready.wait(later.within / SECOND)
        reply = later.reply()
        start_response(reply.status, [*reply.headers, ("content-length", str(len(reply.body)))])
        return [reply.body]


class Api:
    """A client of the application, its gateway and its clock."""

    token: str | None = None
    """What is sent where a call says nothing else."""

    def __init__(self, config: Config | None = None, *, patient: bool = False) -> None:
        config = config or Config()
        self.clock = ManualClock()
        self.gateway = FakeGateway(self.clock, config)
        self.settings: Settings = settings_of(config)
        self.app = create_app(self.gateway, self.settings, self.clock)
        self.server = Patient(self.app)
        self._client = falcon.testing.TestClient(self.server if patient else self.app)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        token: str | None = None,
        **options: Any,
    ) -> falcon.testing.Result:
        """A request; `body` goes as JSON, `raw` as it is. Every error answered must be a whole problem."""
        headers = {"Host": "localhost:8080", **options.pop("headers", {})}
        if raw is None and body is not None:
            raw = json.dumps(body).encode()
        if raw is not None:
            headers = {**JSON, **headers}
        token = self.token if token is None else token
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        answer = self._client.simulate_request(method, path, body=raw, headers=headers, **options)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-cache" if "etag" in answer.headers else "no-store"
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert answer.headers["referrer-policy"] == "no-referrer"
        if answer.status_code >= 400 and method != "HEAD" and not answer.text.startswith('{"ok":'):
            assert answer.headers["content-type"] == "application/problem+json"
            assert {"type", "title", "status", "detail"} <= answer.json.keys()
            assert answer.json["status"] == answer.status_code
            assert "Traceback" not in answer.text
        return answer

    def get(self, path: str, **options: Any) -> falcon.testing.Result:
        return self.send("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> falcon.testing.Result:
        return self.send("POST", path, body, **options)

    def submit(self, **body: Any) -> str:
        """Submit a task that must be taken; its id."""
        answer = self.post("/api/tasks", {"payload": None, **body})
        assert answer.status_code in (200, 201), answer.text
        name: str = answer.json["id"]
        return name

    def stored(self) -> list[Task]:
        """Every task, newest first."""
        return list(self.gateway.store.find(Filter(), 1_000).tasks)


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def patient() -> Api:
    """One behind a server that can wait without a thread."""
    return Api(patient=True)


@pytest.fixture
def small() -> Api:
    """One whose limits are near: 2,000 bytes a payload, 200,000 a batch."""
    return Api(SMALL)


@pytest.fixture(scope="session")
def api_of() -> type[Api]:
    """The same as `api_with`, for every scope."""
    return Api


@pytest.fixture
def api_with() -> type[Api]:
    """For another configuration: `api_with(Config(…))`."""
    return Api


def problems(answer: falcon.testing.Result) -> dict[str, str]:
    """The wrong fields that an answer names, by path."""
    return {one["path"]: one["message"] for one in answer.json["errors"]}


@pytest.fixture(name="problems")
def problems_fixture() -> Any:
    return problems
