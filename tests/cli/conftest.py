"""The command line, called in this process, against a node in another or a server that says what it is told."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from taskqueue.cli import main
from tests.clients import Client
from tests.processes import NodeProcess

NODE = {"queues": ["*"], "shutdownGrace": "100ms", "backoff": {"base": "1h", "max": "1h"}, "nodeId": "cli-node"}
"""What fails waits for an hour."""


class Said(NamedTuple):
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What is on stdout."""
        return json.loads(self.out)


Call = Callable[..., Said]


def called(*args: str, url: str | None = None, input: str | bytes | None = None, env: Mapping[str, str] = {}) -> Said:
    """Call the command, as a program would: nothing is a terminal."""
    clean = {"TASKQUEUE_URL": url, "TASKQUEUE_TOKEN": None, "_TASKQUEUE_COMPLETE": None, **env}
    with CliRunner().isolation(input=input, env=clean) as (out, err, _):
        code = main([*args])
        sys.stdout.flush()
        sys.stderr.flush()
    return Said(code, out.getvalue().decode(), err.getvalue().decode())


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of one node for all tests; each uses names of its own."""
    process = NodeProcess(tmp_path_factory.mktemp("cli"), NODE)
    try:
        yield process.start()
        assert process.end().code == 0
    finally:
        process.reap()
        print(process.text())


@pytest.fixture
def cli(node: Client) -> Call:
    """Calls the command with the node's address in the environment."""

    def call(*args: str, **options: Any) -> Said:
        return called(*args, **{"url": node.url, **options})

    return call


class Canned:
    """A server that answers each path as it is told, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked: list[tuple[str, str, str | None]] = []
        self.bodies: list[Any] = []
        canned = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                canned.bodies.append(json.loads(body) if body else None)
                canned.asked.append((self.command, self.path, self.headers.get("Authorization")))
                path = self.path.partition("?")[0]
                status, answer = canned.answers.get(path, canned.answers.get("*", (404, b"")))
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - http.server's names

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Canned:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    def says(self, path: str, status: int, body: Any) -> None:
        """Answer so from now on; `*` is every other path."""
        self.answers[path] = (status, body if isinstance(body, bytes) else json.dumps(body).encode())


@pytest.fixture
def canned() -> Iterator[Canned]:
    with Canned() as server:
        yield server
