"""A server on loopback, and clients that speak HTTP as crudely as a test needs."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from api.limits import Limits
from api.server import Server
from taskqueue.core.config import Config

CONFIG = Config(api_port=0, api_threads=4, max_payload_bytes=100_000, max_batch_bytes=200_000)
BOUND = 10
"""Seconds within which everything here has to happen."""


class Gate:
    """A WSGI application whose answers to `/slow` wait until they are let go."""

    def __init__(self) -> None:
        self.inside = threading.Semaphore(0)
        self.go = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        body = b"fast"
        if environ["PATH_INFO"] == "/slow":
            self.inside.release()
            assert self.go.wait(BOUND)
            body = b"slow"
        if environ["PATH_INFO"] == "/big":
            body = b"x" * 8_000_000
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]


@contextmanager
def serving(app: Any, config: Config = CONFIG, limits: Limits | None = None, **options: Any) -> Iterator[Server]:
    server = Server(app, config, limits=limits, **options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=BOUND)


def ask(server: Server, raw: bytes) -> http.client.HTTPResponse:
    """Send bytes as they are, read one answer."""
    connection = connect(server)
    connection.sendall(raw)
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    answer.text = answer.read()  # type: ignore[attr-defined]
    answer.close()
    connection.close()
    return answer


def get(server: Server, path: str, **headers: str) -> http.client.HTTPResponse:
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in headers.items())]
    return ask(server, "\r\n".join([*lines, "", ""]).encode())


def problem(answer: http.client.HTTPResponse) -> dict[str, Any]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = json.loads(answer.text)  # type: ignore[attr-defined]
    assert body["status"] == answer.status
    return body


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith(("waitress", "api"))}


def eventually(condition: Callable[[], bool]) -> bool:
    """Ask until it is so, at most `BOUND` seconds."""
    end = time.monotonic() + BOUND
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True
