"""A client of a node over HTTP, and waiting for what a node does: bounded, and on a condition."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode

import pytest

T = TypeVar("T")

REFUSED = (OSError, HTTPException)
"""What a client sees of a node that is not there, or goes away while it answers."""

_TICK = threading.Event()


def until(condition: Callable[[], T], within: float, what: str) -> T:
    """Look again and again until `condition` is met; its value. Fails after `within` seconds, saying `what` was not."""
    deadline = time.monotonic() + within
    while not (value := condition()):
        if time.monotonic() >= deadline:
            pytest.fail(f"within {within:g} s: {what}; last seen: {value!r}")
        _TICK.wait(0.01)
    return value


class Reply(NamedTuple):
    """An answer over HTTP."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.raw)


class Client:
    """Speaks to a node, each time over a connection of its own. Raises OSError or HTTPException where none answers."""

    def __init__(self, port: int, patience: float = 30.0) -> None:
        self.port = port
        self._patience = patience

    @property
    def url(self) -> str:
        """Where the node is."""
        return f"http://127.0.0.1:{self.port}"

    def send(
        self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, headers: Mapping[str, str] = {}
    ) -> Reply:
        """One request; `body` goes as JSON, `raw` as it is."""
        if raw is None and body is not None:
            raw = json.dumps(body).encode()
        sent = {"Connection": "close", **({} if raw is None else {"Content-Type": "application/json"}), **headers}
        connection = HTTPConnection("127.0.0.1", self.port, timeout=self._patience)
        try:
            connection.request(method, path, raw, sent)
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **query: Any) -> Reply:
        """GET, with a query."""
        return self.send("GET", f"{path}?{urlencode(query)}" if query else path)

    def post(self, path: str, body: Any = None, **options: Any) -> Reply:
        """POST."""
        return self.send("POST", path, body, **options)

    def submit(self, handler: str = "echo", payload: Any = None, *, id: str | None = None, **parameters: Any) -> str:
        """Submit a task that has to be taken; its id."""
        body: dict[str, Any] = {"handler": handler, "payload": payload, "parameters": parameters}
        reply = self.post("/api/tasks", body if id is None else {**body, "id": id})
        assert reply.status == 201, reply
        name: str = reply.json["id"]
        return name

    def task(self, id: str) -> dict[str, Any]:
        """A task that has to be there."""
        reply = self.get(f"/api/tasks/{id}")
        assert reply.status == 200, reply
        task: dict[str, Any] = reply.json
        return task

    def finished(self, id: str, within: float = 30.0) -> dict[str, Any]:
        """The task, once it is in a final state."""
        deadline = time.monotonic() + within
        while True:
            reply = self.get(f"/api/tasks/{id}", wait="5s")
            assert reply.status == 200, reply
            task: dict[str, Any] = reply.json
            if task["status"] in ("completed", "dead-lettered", "cancelled"):
                return task
            assert time.monotonic() < deadline, f"not finished within {within:g} s: {task}"

    def reaches(self, id: str, status: str, within: float = 15.0) -> dict[str, Any]:
        """The task, once it is in that state."""
        until(lambda: self.task(id)["status"] == status, within, f"{id} is {status}")
        return self.task(id)

    def tasks(self, **query: Any) -> list[dict[str, Any]]:
        """All tasks that fit, newest first."""
        found: list[dict[str, Any]] = []
        query = {"limit": 1000, **query}
        while True:
            reply = self.get("/api/tasks", **query)
            assert reply.status == 200, reply
            found += reply.json["tasks"]
            if reply.json["nextCursor"] is None:
                return found
            query["cursor"] = reply.json["nextCursor"]

    def counts(self) -> dict[str, int]:
        """How many tasks there are by status."""
        counts: dict[str, int] = self.get("/api/cluster/status").json["tasks"]
        return counts

    def settled(self, within: float = 60.0) -> dict[str, int]:
        """The counts, once nothing waits or runs any more."""

        def none_left() -> bool:
            counts = self.counts()
            return not (counts["pending"] or counts["processing"] or counts["failed"])

        until(none_left, within, "every task is finished")
        return self.counts()
