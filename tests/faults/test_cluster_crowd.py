"""Twenty nodes over one Redis that goes away and comes back: all of them come back too, soon, and not at once."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.redis import RedisStore
from taskqueue.core.clock import SystemClock
from taskqueue.core.config import Config
from tests.clients import until
from tests.faults.checker import Least
from tests.faults.cluster_checker import ClusterLeast
from tests.faults.fleet import ALWAYS, Fleet
from tests.faults.proxy import Proxy
from tests.processes import Nodes
from tests.redis_server import RedisServer

pytestmark = pytest.mark.timeout(240)

NODES = 20
AWAY = 6.0
"""Seconds; longer than the longest wait between two tries, so that all have come to wait as long as they ever do."""
RESUMED, LEEWAY = 5.0, 15.0
"""Seconds after which every node has to claim again; a busy machine gets more."""
BIN = 0.1
SPREAD, SPREAD_AFTER = 20, 8
"""In so many tenths of a second somebody comes at least: in five seconds of waiting, and in those after it is back.
Where each draws its moment it is almost all of them, and more than a dozen; where all wait equally long, three.
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis", *ALWAYS).start()
    yield server
    server.stop()


@pytest.fixture
def proxy(server: RedisServer, tmp_path: Path) -> Iterator[Proxy]:
    with Proxy(tmp_path / "proxy.sock", server.socket) as proxy:
        yield proxy


def requests(server: RedisServer) -> dict[bytes, int]:
    """Of every live incarnation, how many claims the store has taken from it."""
    owners = server.client.hkeys("{taskqueue}:live")
    return {owner: int(server.client.hget(b"{taskqueue}:member:" + owner, "req") or 0) for owner in owners}


def bins(arrivals: list[float]) -> Counter[int]:
    """How many came in each tenth of a second in which anybody did."""
    return Counter(int(moment / BIN) for moment in arrivals)


def said(arrivals: list[float]) -> str:
    """For a reader."""
    found = bins(arrivals)
    return f"{len(arrivals)} tries in {len(found)} tenths of a second, {max(found.values())} in one of them at most"


def test_who_waits_waits_for_itself(server: RedisServer, proxy: Proxy) -> None:
    """Those who listen for hints do nothing but that: cut off at the same moment, they come in no step."""
    stores = [RedisStore(Config(redis_address=proxy.url), SystemClock(), patience=10) for _ in range(NODES)]
    heard = [threading.Event() for _ in stores]
    try:
        for store, event in zip(stores, heard, strict=True):
            store.subscribe(lambda _, event=event: event.set())
        for event in heard:
            assert event.wait(20)
            event.clear()
        cut = time.monotonic()
        proxy.refuse()
        threading.Event().wait(AWAY)
        tries = [at for at in proxy.arrivals if at > cut + 1.0]
        proxy.refuse(False)
        for event in heard:
            assert event.wait(20), "it listens again, and says that it may have missed something"
    finally:
        for store in stores:
            store.close()
    print(said(tries))
    assert len(tries) >= 2 * NODES
    assert len(bins(tries)) >= SPREAD


def test_twenty_nodes_come_back_soon_and_not_at_once(
    nodes: Nodes, tmp_path: Path, server: RedisServer, proxy: Proxy, work: dict[str, Any]
) -> None:
    fleet = Fleet(nodes, tmp_path, server, address=proxy.url, count=NODES, workerCount=1, apiThreads=4, **work)
    try:
        fleet.start()
        left = time.monotonic()
        proxy.refuse()
        threading.Event().wait(AWAY)
        before = requests(server)
        assert len(before) == NODES
        proxy.refuse(False)
        back = time.monotonic()
        resumed: dict[bytes, float] = {}

        def all_claim() -> bool:
            for owner, number in requests(server).items():
                if number > before.get(owner, 0):
                    resumed.setdefault(owner, time.monotonic() - back)
            return resumed.keys() >= before.keys()

        until(all_claim, RESUMED + LEEWAY, "every node claims again, under the name it had")
        while_away = [at for at in proxy.arrivals if left + 1.0 < at < back]
        after = [at for at in proxy.arrivals if back <= at < back + RESUMED]
        assert {*server.client.hkeys("{taskqueue}:live")} == before.keys(), "nobody has begun anew"
        print(f"{said(while_away)}; after it {said(after)}; the last claims after {max(resumed.values()):.2f} s")
        assert len(while_away) >= NODES
        assert len(after) >= 3 * NODES, "of each at least those that write, beat and listen"
        assert len(bins(while_away)) >= SPREAD
        assert len(bins(after)) >= SPREAD_AFTER
        fleet.finish(ClusterLeast(Least(submits=100, kills=0, in_flight=0), claims=100, ticks=5))
        assert all(task["crashes"] == 0 for task in fleet.final.values()), "nobody was declared dead for it"
    finally:
        fleet.abandon()
