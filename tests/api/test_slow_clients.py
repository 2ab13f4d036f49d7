"""Clients that are slow, and clients that are many."""

from __future__ import annotations

import socket
import time
from contextlib import closing

import pytest

from api.limits import Limits
from taskqueue.core.clock import MILLISECOND, SECOND
from tests.api.sockets import BOUND, CONFIG, Gate, connect, eventually, get, problem, serving

IMPATIENT = Limits(max_body=200_000, patience=300 * MILLISECOND, slowest=10_000_000, idle=500 * MILLISECOND)


@pytest.mark.parametrize(
    "start", [b"GET / HTTP/1.1\r\nHost: ", b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"]
)
def test_a_client_that_drips_is_cut_while_others_are_served(start):
    refused: list[int] = []
    served = serving(Gate(), limits=IMPATIENT, refused=refused.append)
    with served as server, closing(connect(server)) as dripping:
        dripping.sendall(start)
        began = time.monotonic()
        dripping.settimeout(0.05)
        assert eventually(lambda: cut(dripping, drip=True))
        assert 0.3 <= time.monotonic() - began < BOUND
        assert get(server, "/").status == 200
        assert refused == [408], "counted once, though it gets no answer"


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
    refused: list[int] = []
    served = serving(Gate(), limits=IMPATIENT, refused=refused.append)
    with served as server, closing(connect(server)) as silent:
        silent.settimeout(0.05)
        assert eventually(lambda: cut(silent, drip=False))
        assert refused == [], "there was no request"


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


def test_no_address_gets_all_the_connections(caplog):
    limits = Limits(max_body=200_000, per_address=3)
    with serving(Gate(), limits=limits) as server:
        kept = [connect(server) for _ in range(3)]
        assert eventually(lambda: len(server._listener.active_channels) == 3)
        for _ in range(2):
            with closing(connect(server)) as refused:
                assert cut(refused, drip=False)
        assert caplog.text.count("127.0.0.1 has 3 connections and gets no more") == 1
        for client in kept:  # who is in is served, and makes room when it goes
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert client.recv(12) == b"HTTP/1.1 200"
            client.close()
        assert eventually(lambda: not server._listener.active_channels)
        assert get(server, "/").status == 200


def test_a_flood_is_refused_quickly_and_probes_are_answered():
    gate = Gate()
    limits = Limits(max_body=200_000, waiting=3)
    refusals: list[int] = []
    with serving(gate, limits=limits, refused=refusals.append) as server:
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
        assert refusals == [503]
        gate.go.set()
        for client in clients:
            assert client.recv(12) == b"HTTP/1.1 200"
            client.close()
