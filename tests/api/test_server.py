"""Starting and stopping the server, over real sockets."""

from __future__ import annotations

import gc
import http.client
import threading
from contextlib import closing
from typing import Any

import pytest

from api.app import create_app
from api.limits import Limits
from api.server import Server
from api.settings import settings_of
from taskqueue.core.access import Role, Token, digest_of
from taskqueue.core.clock import MILLISECOND, SECOND, ManualClock
from taskqueue.core.config import Config
from taskqueue.core.errors import ConfigError
from tests.api.sockets import BOUND, CONFIG, Gate, connect, eventually, get, serving, threads
from tests.fakes import FakeGateway


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


def test_a_request_that_is_on_its_way_when_a_stop_begins_is_answered_and_is_the_last():
    patient = Limits(max_body=CONFIG.max_batch_bytes, farewell=BOUND * SECOND)
    server = Server(Gate(), CONFIG, limits=patient)
    server.start()
    stopped: list[bool] = []
    with closing(connect(server)) as fresh, closing(connect(server)) as used:
        used.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        first = http.client.HTTPResponse(used)
        first.begin()
        assert first.read() == b"fast"  # to its end: no byte of it may be left for the next one
        stopping = threading.Thread(target=lambda: stopped.append(server.stop(BOUND * SECOND)))
        stopping.start()
        assert eventually(lambda: refuses(server))
        for client in (fresh, used):
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = client.makefile("rb").read()  # until the server closes
            assert answer.startswith(b"HTTP/1.1 200")
            assert b"Connection: close" in answer
        stopping.join(BOUND)
    assert stopped == [True]


def refuses(server: Server) -> bool:
    """Is a new connection refused?"""
    try:
        connect(server).close()
    except ConnectionError:
        return True
    return False


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


def test_what_stands_open_is_said_aloud(caplog):
    everywhere = Config(api_host="0.0.0.0", api_port=0, api_threads=2, allow_unauthenticated=True)
    with serving(Gate(), everywhere):
        assert "NO AUTHENTICATION: the API listens on 0.0.0.0 without apiTokens" in caplog.text
        assert "name in allowedHosts what clients call the node" in caplog.text


def test_a_token_that_can_be_guessed_is_told_without_it(caplog):
    token = Token(name="ci", role=Role.VIEWER, digest=digest_of("s3cret"), short=True)
    with serving(Gate(), Config(api_port=0, api_threads=2, api_tokens=(token,))):
        assert "the token ci has fewer than 16 characters" in caplog.text
        assert "NO AUTHENTICATION" not in caplog.text
        assert "s3cret" not in caplog.text


def test_a_host_of_nowhere_is_told_by_its_key():
    with pytest.raises(ConfigError, match=r"apiHost: 'no\.such.host\.invalid' is no address"):
        Server(Gate(), Config(api_host="no.such.host.invalid"))


def body_received(server: Server) -> int:
    return sum(one.request.body_bytes_received for one in server._listener.active_channels.values() if one.request)
