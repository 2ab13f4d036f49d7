"""Three nodes over one Redis that dies, is emptied, goes away, is slow or loses its answers, under load."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.scripts import scripts
from taskqueue.core.clock import SystemClock
from tests.clients import Client, until
from tests.faults.checker import Least
from tests.faults.cluster_checker import ClusterLeast
from tests.faults.fleet import ALWAYS, Fleet
from tests.faults.proxy import Proxy
from tests.processes import Nodes
from tests.redis_server import RedisServer

pytestmark = pytest.mark.timeout(240)

LEAST = ClusterLeast(Least(submits=100, kills=0, in_flight=0), claims=100, ticks=5)
RESUMED = 5.0
"""Seconds after which every node has to claim again; a busy machine gets more."""
LEEWAY = 10.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis", *ALWAYS).start()
    yield server
    server.stop()


@pytest.fixture
def proxy(server: RedisServer, tmp_path: Path) -> Iterator[Proxy]:
    with Proxy(tmp_path / "proxy.sock", server.socket) as proxy:
        yield proxy


@pytest.fixture
def fleet(nodes: Nodes, tmp_path: Path, server: RedisServer, proxy: Proxy, work: dict[str, Any]) -> Iterator[Fleet]:
    fleet = Fleet(nodes, tmp_path, server, address=proxy.url, **work)
    yield fleet
    fleet.abandon()


def pause(seconds: float) -> None:
    """Let the run go on for a while: the moment of a fault is random."""
    threading.Event().wait(seconds)


def all_work(fleet: Fleet) -> None:
    """Every node claims and runs again, soon."""
    before = {node.pid: len(fleet.marks_of(node)) for node in fleet.nodes}

    def resumed() -> bool:
        return all(len(fleet.marks_of(node)) > before[node.pid] for node in fleet.nodes)

    until(resumed, RESUMED + LEEWAY, "every node runs tasks again")
    assert all(node.alive for node in fleet.nodes)


def unready(client: Client) -> bool:
    return client.get("/readyz").status == 503


def test_redis_is_killed_and_started_again(fleet: Fleet, server: RedisServer) -> None:
    fleet.start()
    for _ in range(2):
        pause(fleet.random.uniform(0.2, 0.8))
        server.kill()
        pause(fleet.random.uniform(0, 0.5))
        server.start()
        all_work(fleet)
    fleet.finish(LEAST)


def test_redis_comes_back_empty(fleet: Fleet, server: RedisServer) -> None:
    """What was acknowledged before is exempt; that it happened is said, and the nodes go on with the new one."""
    fleet.start()
    fleet.load.pause()
    pause(0.3)
    server.kill()
    lost = frozenset(fleet.load.outcomes) | {one.task for one in fleet.keyed.answers}
    for path in server.folder.glob("appendonlydir"):
        shutil.rmtree(path)
    empty_from = SystemClock().now()
    server.start()
    fleet.schedule()
    fleet.send()
    all_work(fleet)
    for node in fleet.nodes:
        node.wait_log("dataset_lost", 30)
        figures = fleet.clients[node].get("/metrics").raw.decode()
        assert "taskqueue_datasets_lost_total 1.0" in figures
    # Of the schedule's tasks only those are known that ran. A fence is not below the store's time when it was given.
    ran = {mark.task for mark in fleet.ledger.read() if mark.fence < empty_from}
    fleet.finish(LEAST, lost=lost | ran)


def test_redis_is_away(fleet: Fleet, proxy: Proxy) -> None:
    """For ten seconds, five leases."""
    fleet.start()
    proxy.refuse()
    away = time.monotonic()
    clients = list(fleet.clients.values())
    until(lambda: all(unready(client) for client in clients), 30, "no node is ready")
    sent = {"id": "while-away", "handler": "load.sync", "payload": {"seconds": 0}}
    reply = clients[0].post("/api/tasks", sent)
    assert reply.status == 503, reply
    assert reply.json["id"] == "while-away"
    assert int(reply.headers["retry-after"]) >= 1
    pause(max(0.0, away + 10.0 - time.monotonic()))
    proxy.refuse(False)
    all_work(fleet)
    until(lambda: not any(unready(client) for client in clients), 30, "every node is ready again")
    assert clients[0].post("/api/tasks", sent).status in (200, 201)
    fleet.load.outcomes["while-away"] = True
    fleet.finish(LEAST)


def test_redis_stands_still(fleet: Fleet, server: RedisServer) -> None:
    """For longer than a lease: nobody is declared dead for it, since nobody's watch trusts what it did not see."""
    fleet.start()
    server.signal(signal.SIGSTOP)
    pause(4.0)
    server.signal(signal.SIGCONT)
    all_work(fleet)
    fleet.finish(LEAST)
    assert all(task["crashes"] == 0 for task in fleet.final.values())


def test_redis_is_slow(fleet: Fleet, proxy: Proxy) -> None:
    fleet.start()
    proxy.delay(0.15)
    pause(5.0)
    proxy.delay(0)
    all_work(fleet)
    fleet.finish(LEAST)
    assert all(task["crashes"] == 0 for task in fleet.final.values())


def test_every_script_loses_an_answer(fleet: Fleet, proxy: Proxy) -> None:
    """Of those that nodes use all the time."""
    fleet.start()
    used = ("submit", "claim", "complete", "fail", "beat", "campaign", "tick", "promote", "expire", "prune", "tally")
    for name in used:
        dropped = proxy.dropped
        proxy.drop_reply(scripts()[name].sha)
        until(lambda n=dropped: proxy.dropped > n, 45, f"the answer of {name} is lost")  # type: ignore[misc]
    all_work(fleet)
    fleet.finish(LEAST)
