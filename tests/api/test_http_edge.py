"""What the server itself says: sizes, targets, and what is no HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from api.app import create_app
from api.headers import COMMON, DEFAULTS
from api.server import Server, limits_of
from api.settings import settings_of
from taskqueue.core.clock import ManualClock
from taskqueue.core.config import Config
from tests.api.sockets import CONFIG, ask, get, problem, serving
from tests.fakes import FakeGateway


@pytest.fixture
def rest() -> Iterator[Server]:
    app = create_app(FakeGateway(ManualClock(), CONFIG), settings_of(CONFIG))
    with serving(app) as server:
        yield server


def test_an_ordinary_answer(rest):
    answer = get(rest, "/")
    assert (answer.status, answer.headers["Server"]) == (200, "taskqueue")


def test_what_the_listener_refuses_has_the_headers_of_all_answers(rest):
    for raw in (b"nonsense\r\n\r\n", b"GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n"):
        answer = ask(rest, raw)
        assert {name: answer.headers[name] for name in (*COMMON, *DEFAULTS)} == {**COMMON, **DEFAULTS}


def test_a_header_too_large_is_431(rest):
    assert problem(get(rest, "/", X="a" * 17_000))["status"] == 431


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nbad header\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n folded: \x00\r\n\r\n",
        b"GET http://[::1/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_what_is_no_http_is_400(rest, raw):
    assert problem(ask(rest, raw))["status"] == 400


def test_a_request_without_host_is_misdirected_in_http_1_1_only(rest):
    assert ask(rest, b"GET /healthz HTTP/1.1\r\n\r\n").status == 421
    assert ask(rest, b"GET /healthz HTTP/1.0\r\n\r\n").status == 200


@pytest.mark.parametrize(("method", "status"), [("BREW", 405), ("get", 400), ("CONNECT", 405)])
def test_a_method_that_nobody_knows_is_refused(rest, method, status):
    answer = ask(rest, f"{method} /api/tasks HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert problem(answer)["status"] == status
    assert status == 400 or answer.headers["Allow"] == "GET, HEAD, POST, OPTIONS"


def test_a_method_that_nobody_knows_at_a_path_that_is_not_there_is_404(rest):
    assert problem(ask(rest, b"BREW /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n"))["status"] == 404


@pytest.mark.parametrize("target", ["http://evil.example/api/tasks", "/api/../api/tasks", "*", "/%00", "/%"])
def test_an_odd_target_is_4xx(rest, target):
    answer = ask(rest, f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert 400 <= answer.status < 500 or target.startswith("http:")


def test_two_hosts_are_none(rest):
    assert ask(rest, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n").status == 421


def post(path: str, body: bytes, *, chunked: bool) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    if not chunked:
        return head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    chunks = [body[start : start + 50_000] for start in range(0, len(body), 50_000)]
    text = b"".join(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n" for chunk in chunks)
    return head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + text + b"0\r\n\r\n"


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("path", "size", "status"),
    [
        ("/api/tasks", 90_000, 201),
        ("/api/tasks", 100_100, 413),
        ("/api/tasks", 180_000, 413),
        ("/api/tasks/batch", 200_001, 413),
        ("/api/tasks/batch", 400_000, 413),
    ],
)
def test_sizes(rest, path, size, status, chunked):
    frame = b'{"payload": "%s"}'
    body = frame % (b"x" * (size - len(frame) + 2))
    answer = ask(rest, post(path, body, chunked=chunked))
    assert answer.status == status
    if status == 413:
        assert problem(answer)["status"] == 413


def test_a_chunked_batch_is_read_whole(rest):
    body = json.dumps({"tasks": [{"payload": "x" * 900}] * 150}).encode()
    answer = ask(rest, post("/api/tasks/batch", body, chunked=True))
    assert answer.status == 207
    assert {one["status"] for one in json.loads(answer.text)["items"]} == {201}


def test_nothing_about_the_parts_is_told(rest):
    for raw in (b"nonsense\r\n\r\n", b"GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n"):
        answer = ask(rest, raw)
        whole = str(answer.headers).lower() + answer.text.decode().lower()
        assert "waitress" not in whole
        assert "falcon" not in whole
        assert "python" not in whole


def test_what_the_server_refuses_itself_is_counted_and_nothing_else():
    gateway = FakeGateway(ManualClock(), CONFIG)
    answered: list[tuple[str, int]] = []
    refused: list[int] = []
    gateway.answered = lambda route, status: answered.append((route, status))
    with serving(create_app(gateway, settings_of(CONFIG)), refused=refused.append) as server:
        assert get(server, "/", X="a" * 17_000).status == 431
        assert ask(server, b"nonsense\r\n\r\n").status == 400
        assert ask(server, post("/api/tasks/batch", b"x" * 400_000, chunked=False)).status == 413
        assert (refused, answered) == ([431, 400, 413], [])
        assert ask(server, post("/api/tasks/batch", b"x" * 200_001, chunked=False)).status == 413
        assert get(server, "/nowhere").status == 404
        assert refused == [431, 400, 413]
        assert answered == [("/api/tasks/batch", 413), ("other", 404)]


def test_the_limits_follow_the_configuration():
    assert limits_of(Config(max_batch_bytes=5)).max_body == 5
