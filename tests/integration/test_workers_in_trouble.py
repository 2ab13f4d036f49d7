"""The examples of workers, and a node of which the test says what it answers: what is lost, late or refused."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.clients import until
from tests.integration.test_workers import BASH, PYTHON, WITHIN, WORKERS, Worker

GRANT = {"token": "the-token", "task": {"id": "t1", "handler": "text.count", "payload": {"text": "a"}}}
CLAIM = "/api/leases"
RENEW, COMPLETE, FAIL, RELEASE = (f"{CLAIM}/the-token/{end}" for end in ("renew", "complete", "fail", "release"))


class Asked(NamedTuple):
    """What a worker sent."""

    path: str
    body: Any


class Scripted:
    """Answers each path with what is next for it, and, where nothing is, an empty list of tasks."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answers: dict[str, list[tuple[int, bytes, int]]] = {}
        self.renews = threading.Event()
        """Until it is set, nobody who renews is answered."""
        scripted = self

        class Answering(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                scripted.asked.append(Asked(self.path, json.loads(raw)))
                if self.path == RENEW:
                    scripted.renews.wait()
                left = scripted.answers.get(self.path)
                if self.path == CLAIM and not left:
                    threading.Event().wait(0.05)  # no worker is to be kept busy with claims
                status, body, missing = left.pop(0) if left else (200, b'{"tasks": []}', 0)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body) + missing))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, path: str, body: Any, status: int = 200, missing: int = 0) -> None:
        """The next answer to a path; so many bytes of it do not come."""
        self.answers.setdefault(path, []).append((status, json.dumps(body).encode(), missing))

    def close(self) -> None:
        """No node is there any more."""
        self.renews.set()
        self._server.shutdown()
        self._server.server_close()

    def got(self, path: str, times: int = 1) -> list[Any]:
        """The bodies that were sent there, once there are so many."""
        until(lambda: len(self.bodies(path)) >= times, WITHIN, f"{times} requests to {path}")
        return self.bodies(path)

    def bodies(self, path: str) -> list[Any]:
        """Those that were sent there."""
        return [one.body for one in self.asked if one.path == path]


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    server = Scripted()
    yield server
    server.close()


Start = Callable[..., Worker]


@pytest.fixture
def start(scripted: Scripted, tmp_path: Path) -> Iterator[Start]:
    """Starts a worker of that node; it is gone at the end."""
    made: list[Worker] = []

    def start(*command: str) -> Worker:
        made.append(Worker(tmp_path, scripted.url, command))
        return made[-1]

    yield start
    for worker in made:
        if worker.process.poll() is None:
            worker.kill()
        print(worker.said)


def with_handler(body: str) -> tuple[str, ...]:
    """The worker in Python with another handler in the place of `text.count`."""
    code = f"""
import sys, threading
sys.path.insert(0, {str(WORKERS)!r})
import worker
def handler(payload, lost):
{body}
worker.HANDLERS["text.count"] = handler
worker.main()
"""
    return (sys.executable, "-c", code)


tools = pytest.mark.skipif(shutil.which("curl") is None or shutil.which("jq") is None, reason="no curl or jq")
both = pytest.mark.parametrize(
    "command", [PYTHON, pytest.param((*BASH, "text.count", "cat"), marks=tools)], ids=["python", "bash"]
)


@both
def test_after_a_claim_that_is_over_comes_another(scripted: Scripted, start: Start, command: tuple[str, ...]) -> None:
    scripted.answer(CLAIM, {"detail": "what this requestId has claimed is over"}, status=409)
    worker = start(*command)
    first, second = (body["requestId"] for body in scripted.got(CLAIM, times=2)[:2])
    assert first != second
    assert worker.end() == 0


@both
def test_a_claim_whose_answer_came_in_part_is_asked_for_again(
    scripted: Scripted, start: Start, command: tuple[str, ...]
) -> None:
    scripted.answer(CLAIM, {"tasks": [GRANT]}, missing=1_000)
    scripted.answer(CLAIM, {"tasks": [GRANT]})
    scripted.answer(COMPLETE, {})
    worker = start(*command)
    scripted.got(COMPLETE)
    first, second = (body["requestId"] for body in scripted.got(CLAIM, times=2)[:2])
    assert first == second
    assert worker.end() == 0


@both
def test_a_result_that_is_not_taken_fails_the_run(scripted: Scripted, start: Start, command: tuple[str, ...]) -> None:
    scripted.answer(CLAIM, {"tasks": [GRANT]})
    scripted.answer(COMPLETE, {"detail": "the result has 9 bytes; at most 3 are kept"}, status=413)
    scripted.answer(FAIL, {})
    worker = start(*command)
    assert scripted.got(FAIL) == [
        {"error": {"type": "BadResult", "message": "the result has 9 bytes; at most 3 are kept"}}
    ]
    worker.says("t1: fail")
    assert worker.end() == 0


@both
def test_a_worker_ends_where_no_node_is(scripted: Scripted, start: Start, command: tuple[str, ...]) -> None:
    worker = start(*command)
    scripted.got(CLAIM)
    scripted.close()
    worker.says("trying again")
    assert worker.end() == 0
    assert worker.said.endswith("stopped\n")
    assert "Traceback" not in worker.said


@pytest.mark.parametrize(
    "command",
    [(*PYTHON,), pytest.param((*BASH, "wait", "sleep", "60"), marks=tools)],
    ids=["python", "bash"],
)
def test_a_renewal_that_is_not_answered_is_sent_again_before_the_lease_ends(
    scripted: Scripted, start: Start, command: tuple[str, ...]
) -> None:
    task = {"id": "t1", "handler": "wait", "payload": {"seconds": 60}}
    for _ in range(2):
        scripted.answer(CLAIM, {"tasks": [{**GRANT, "task": task}]})
    worker = start(*command)
    scripted.got(RENEW, times=3)
    assert worker.end() == 0
    scripted.got(RELEASE)


def test_a_result_that_is_no_json_fails_the_run(scripted: Scripted, start: Start) -> None:
    scripted.answer(CLAIM, {"tasks": [GRANT]})
    worker = start(*with_handler("    return {1}"))
    (failure,) = scripted.got(FAIL)
    assert failure["error"]["type"] == "TypeError"
    assert worker.end() == 0


def test_a_handler_that_takes_every_exception_does_not_keep_a_worker_from_its_end(
    scripted: Scripted, start: Start
) -> None:
    for _ in range(2):
        scripted.answer(CLAIM, {"tasks": [GRANT]})
    body = """
    print("begun", flush=True)
    while True:
        try:
            threading.Event().wait(60)
        except Exception:
            print("swallowed", flush=True)
"""
    worker = start(*with_handler(body))
    worker.says("begun")
    worker.process.send_signal(signal.SIGTERM)
    scripted.got(RELEASE)
    assert worker.process.wait(WITHIN) == 0


@tools
def test_what_the_bash_worker_does_at_its_end_is_done_by_none_of_its_parts(scripted: Scripted, start: Start) -> None:
    """The command is a part in the background. This one does what one does that is ended before it dropped the traps:
    it gave back what the worker had, and took the folder away from under it.
    """
    for _ in range(2):
        scripted.answer(CLAIM, {"tasks": [GRANT]})
    worker = start(*BASH, "text.count", "finish")
    scripted.got(COMPLETE)
    assert scripted.bodies(RELEASE) == []
    assert worker.end() == 0
