"""The server itself, over real sockets on loopback: start and stop, slow clients, floods, what HTTP itself refuses."""

from __future__ import annotations

import gc
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from api.app import create_app
from api.listener import Limits
from api.server import Server, limits_of
from api.settings import settings_of
from taskqueue.core.clock import MILLISECOND, SECOND, ManualClock
from taskqueue.core.config import Config
from taskqueue.core.errors import ConfigError
from tests.fakes import FakeGateway

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
def serving(app: Any, config: Config = CONFIG, limits: Limits | None = None) -> Iterator[Server]:
    server = Server(app, config, limits=limits)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def rest() -> Iterator[Server]:
    app = create_app(FakeGateway(ManualClock(), CONFIG), settings_of(CONFIG))
    with serving(app) as server:
        yield server


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


# -- start and stop ----------------------------------------------------------------------------------------------------


def test_25_rounds_leave_no_thread_and_answer_everybody():
    app = create_app(FakeGateway(ManualClock(), CONFIG), settings_of(CONFIG))
    before = threading.active_count()
    for _ in range(25):
        server = Server(app, CONFIG)
        server.start()
        assert server.alive
        with closing(connect(server)) as lingering:  # keeps its connection open through the stop
            assert get(server, "/healthz").status == 200
            assert server.stop()
            assert lingering.recv(1) == b""
        assert not server.alive
        assert threads() == set()
    assert threading.active_count() == before


def test_the_port_is_free_after_a_stop():
    with serving(Gate()) as server:
        port = server.port
    with serving(Gate(), Config(api_port=port, api_threads=1)) as server:
        assert get(server, "/").status == 200


def test_a_stop_answers_what_is_inside_and_refuses_what_comes():
    gate = Gate()
    server = Server(gate, CONFIG)
    server.start()
    answers: list[Any] = []
    clients = [threading.Thread(target=lambda: answers.append(get(server, "/slow"))) for _ in range(6)]
    for client in clients:
        client.start()
    for _ in range(CONFIG.api_threads):
        assert gate.inside.acquire(timeout=BOUND)
    assert eventually(lambda: len(server._listener.pool.queue) == 2)
    stopped: list[bool] = []
    stopping = threading.Thread(target=lambda: stopped.append(server.stop(BOUND * SECOND)))
    stopping.start()
    assert eventually(lambda: refuses(server))
    gate.go.set()
    for thread in (stopping, *clients):
        thread.join(BOUND)
    assert stopped == [True]
    assert [one.text for one in answers] == [b"slow"] * 6
    assert threads() == set()


def refuses(server: Server) -> bool:
    """Is a new connection refused?"""
    try:
        connect(server).close()
    except ConnectionError:
        return True
    return False


def eventually(condition: Callable[[], bool]) -> bool:
    """Ask until it is so, at most `BOUND` seconds."""
    end = time.monotonic() + BOUND
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def test_a_stop_waits_for_a_slow_reader():
    with serving(Gate()) as server, closing(connect(server)) as connection:
        connection.sendall(b"GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        assert len(answer.read()) == 8_000_000
        stopping.join(BOUND)
        assert threads() == set()


def test_a_half_sent_body_leaves_no_file_behind():
    with serving(Gate(), limits=Limits(max_body=2_000_000)) as server, closing(connect(server)) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1500000\r\n\r\n" + b"x" * 1_000_000)
        assert eventually(lambda: body_received(server) == 1_000_000)
        assert server.stop(50 * MILLISECOND) is False
    gc.collect()  # a file that was left open would make itself heard


def body_received(server: Server) -> int:
    return sum(one.request.body_bytes_received for one in server._listener.active_channels.values() if one.request)


def test_a_stop_does_not_wait_longer_than_its_grace():
    gate = Gate()
    server = Server(gate, CONFIG)
    server.start()
    with closing(connect(server)) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert gate.inside.acquire(timeout=BOUND)
        assert server.stop(50 * MILLISECOND) is False
        assert not server.alive
    gate.go.set()
    for thread in threading.enumerate():
        if thread.name.startswith("waitress"):
            thread.join(BOUND)
    assert threads() == set()


def test_a_server_that_never_started_stops_too():
    server = Server(Gate(), CONFIG)
    assert server.stop()
    assert server.stop()


def test_a_port_in_use_is_told_by_its_key():
    with serving(Gate()) as server:
        with pytest.raises(ConfigError, match=f"apiPort: cannot listen on 127.0.0.1:{server.port}: Address already"):
            Server(Gate(), Config(api_port=server.port))
        assert get(server, "/").status == 200


def test_a_port_that_was_taken_meanwhile_is_told_at_start():
    late = Server(Gate(), CONFIG)
    with serving(Gate(), Config(api_port=late.port, api_threads=1)):
        with pytest.raises(ConfigError, match="apiPort: cannot listen on"):
            late.start()
        assert late.stop()


def test_a_host_of_nowhere_is_told_by_its_key():
    with pytest.raises(ConfigError, match=r"apiHost: 'no\.such.host\.invalid' is no address"):
        Server(Gate(), Config(api_host="no.such.host.invalid"))


# -- slow and many -----------------------------------------------------------------------------------------------------

IMPATIENT = Limits(max_body=200_000, patience=300 * MILLISECOND, slowest=10_000_000, idle=500 * MILLISECOND)


@pytest.mark.parametrize(
    "start", [b"GET / HTTP/1.1\r\nHost: ", b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"]
)
def test_a_client_that_drips_is_cut_while_others_are_served(start):
    with serving(Gate(), limits=IMPATIENT) as server, closing(connect(server)) as dripping:
        dripping.sendall(start)
        began = time.monotonic()
        dripping.settimeout(0.05)
        assert eventually(lambda: cut(dripping, drip=True))
        assert 0.3 <= time.monotonic() - began < BOUND
        assert get(server, "/").status == 200


def cut(connection: socket.socket, *, drip: bool) -> bool:
    """Has the other side hung up? Gives it a byte first, if it is to drip."""
    try:
        if drip:
            connection.sendall(b"x")
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_a_client_that_says_nothing_is_cut():
    with serving(Gate(), limits=IMPATIENT) as server, closing(connect(server)) as silent:
        silent.settimeout(0.05)
        assert eventually(lambda: cut(silent, drip=False))


def test_a_large_body_may_take_longer():
    limits = Limits(max_body=200_000, patience=100 * MILLISECOND, slowest=1_000, idle=10 * SECOND)
    with serving(Gate(), limits=limits) as server, closing(connect(server)) as slow:
        slow.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100001\r\n\r\n" + b"x" * 100_000)
        slow.settimeout(0.5)
        with pytest.raises(TimeoutError):  # 100,000 bytes have earned it 100 s
            slow.recv(1)
        slow.settimeout(BOUND)
        slow.sendall(b"x")
        assert slow.recv(12) == b"HTTP/1.1 200"


def test_an_answer_that_nobody_takes_is_cut():
    with serving(Gate(), limits=IMPATIENT) as server, closing(connect(server)) as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        lazy.sendall(b"GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert eventually(lambda: len(server._listener.active_channels) == 1)
        assert eventually(lambda: not server._listener.active_channels)


def test_a_long_poll_with_another_request_behind_it_is_not_slow():
    gate = Gate()
    with serving(gate, limits=IMPATIENT) as server, closing(connect(server)) as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\r\nHos")
        assert gate.inside.acquire(timeout=BOUND)
        client.settimeout(1)
        with pytest.raises(TimeoutError):  # more than its patience
            client.recv(1)
        gate.go.set()
        client.sendall(b"t: localhost\r\nConnection: close\r\n\r\n")
        client.settimeout(BOUND)
        with client.makefile("rb") as answers:
            text = answers.read()
        assert text.count(b"HTTP/1.1 200 OK") == 2
        assert text.endswith(b"fast")


def test_a_flood_is_refused_quickly_and_probes_are_answered():
    gate = Gate()
    limits = Limits(max_body=200_000, waiting=3)
    with serving(gate, limits=limits) as server:
        clients = [connect(server) for _ in range(CONFIG.api_threads + limits.waiting)]
        for client in clients[: CONFIG.api_threads]:
            client.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert gate.inside.acquire(timeout=BOUND)
        for client in clients[CONFIG.api_threads :]:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert eventually(lambda: len(server._listener.pool.queue) == limits.waiting)
        refused = get(server, "/")
        assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
        assert "waiting" in problem(refused)["detail"]
        assert get(server, "/readyz").status == 200
        gate.go.set()
        for client in clients:
            assert client.recv(12) == b"HTTP/1.1 200"
            client.close()


# -- what HTTP itself refuses ------------------------------------------------------------------------------------------


def test_an_ordinary_answer(rest):
    answer = get(rest, "/")
    assert (answer.status, answer.headers["Server"]) == (200, "taskqueue")


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
    ],
)
def test_what_is_no_http_is_400(rest, raw):
    assert problem(ask(rest, raw))["status"] == 400


def test_a_request_without_host_is_misdirected_in_http_1_1_only(rest):
    assert ask(rest, b"GET /healthz HTTP/1.1\r\n\r\n").status == 421
    assert ask(rest, b"GET /healthz HTTP/1.0\r\n\r\n").status == 200


@pytest.mark.parametrize("method", ["BREW", "get", "CONNECT"])
def test_a_method_that_nobody_knows_is_refused(rest, method):
    answer = ask(rest, f"{method} /api/tasks HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert problem(answer)["status"] in (400, 405)


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


def test_the_limits_follow_the_configuration():
    assert limits_of(Config(max_batch_bytes=5)).max_body == 5
