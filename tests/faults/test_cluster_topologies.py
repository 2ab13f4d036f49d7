"""Three nodes over a Redis that is several servers: a master that dies under load is followed by the replica that has
the most, and nothing that was acknowledged is lost, since every acknowledgement waited for a replica.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.clients import until
from tests.faults.checker import Least
from tests.faults.cluster_checker import ClusterLeast
from tests.faults.fleet import ALWAYS, FULL, Fleet
from tests.processes import Nodes
from tests.redis_server import RedisServer, free_ports

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LEAST = ClusterLeast(Least(submits=100, kills=0, in_flight=0), claims=100, ticks=5)
FAILOVER = 60.0
"""Seconds that a failover and all that follows may take here; the sentinels need a few."""

Servers = Callable[..., RedisServer]


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    """Makes servers, each with a port: `servers("--replicaof", "127.0.0.1 4711", port=4712)`."""
    made: list[RedisServer] = []

    def make(*options: str, port: int, sentinel: str | None = None) -> RedisServer:
        server = RedisServer(tmp_path / f"server{len(made)}", *options, port=port)
        made.append(server)
        return server.start() if sentinel is None else server.sentinel(sentinel)

    yield make
    for server in made:
        server.stop()


def replicas(server: RedisServer) -> int:
    found: int = server.client.info("replication")["connected_slaves"]
    return found


def works(fleet: Fleet) -> bool:
    """Is a submit taken, by every node?"""
    replies = [client.post("/api/tasks", _NOTHING) for client in fleet.clients.values()]
    for reply in replies:
        if reply.status == 201:
            fleet.load.outcomes[reply.json["id"]] = True
    return all(reply.status == 201 for reply in replies)


_NOTHING = {"handler": "load.sync", "payload": {"seconds": 0}}


def lose_master(fleet: Fleet, master: RedisServer) -> None:
    """Kill it in the middle of the work; wait until all go on."""
    threading.Event().wait(1.0)
    master.kill()
    began = time.monotonic()
    until(lambda: works(fleet), FAILOVER, "every node takes submits again")
    print(f"every node took submits again {time.monotonic() - began:.1f} s after the master's death")
    before = {node.pid: len(fleet.marks_of(node)) for node in fleet.nodes}
    until(lambda: all(len(fleet.marks_of(node)) > before[node.pid] for node in fleet.nodes), 30, "every node runs")


def test_a_failover_by_sentinels(nodes: Nodes, tmp_path: Path, servers: Servers) -> None:
    ports = free_ports(6)
    master = servers(*ALWAYS, port=ports[0])
    for port in ports[1:3]:
        servers(*ALWAYS, "--replicaof", f"127.0.0.1 {ports[0]}", port=port)
    until(lambda: replicas(master) == 2, 30, "the replicas follow")
    settings = (
        f"sentinel monitor main 127.0.0.1 {ports[0]} 2\n"
        "sentinel down-after-milliseconds main 1000\n"
        "sentinel failover-timeout main 10000\n"
    )
    watchers = [servers(port=port, sentinel=settings) for port in ports[3:]]
    for watcher in watchers:  # one that has not heard of the replicas yet promotes none of them
        until(lambda w=watcher: _knows(w), 30, "the sentinels know the replicas and each other")  # type: ignore[misc]
    address = "sentinel://" + ",".join(f"127.0.0.1:{port}" for port in ports[3:]) + "/main"
    fleet = Fleet(nodes, tmp_path, master, address=address, judge=address, redisWaitReplicas=1, **FULL)
    try:
        fleet.start()
        lose_master(fleet, master)
        fleet.finish(LEAST)
    finally:
        fleet.abandon()


def _knows(watcher: RedisServer) -> bool:
    client = watcher.client
    found = [word.decode() for word in client.execute_command("SENTINEL", "MASTER", "main")]
    facts = dict(zip(found[::2], found[1::2], strict=True))
    return int(facts["num-slaves"]) >= 2 and int(facts["num-other-sentinels"]) >= 2


def test_a_failover_in_a_redis_cluster(nodes: Nodes, tmp_path: Path, servers: Servers) -> None:
    """Three masters; the one that has the namespace's slot dies, and its replica takes over."""
    ports = free_ports(5)
    cluster = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1500", "--cluster-allow-replica-migration", "no")
    options = (*ALWAYS, *cluster)
    members = [servers(*options, port=port) for port in ports]
    for n, (first, last) in enumerate(((0, 5460), (5461, 10922), (10923, 16383))):
        members[n].client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
    for port in ports[1:]:
        members[0].client.execute_command("CLUSTER", "MEET", "127.0.0.1", port)
    slot = members[0].client.execute_command("CLUSTER", "KEYSLOT", "{taskqueue}:meta")
    owner = members[min(slot // 5461, 2)]
    identity = owner.client.execute_command("CLUSTER", "MYID").decode()
    for replica in members[3:]:
        until(lambda r=replica: _follows(r, identity), 30, "the replica knows its master")  # type: ignore[misc]
    until(lambda: replicas(owner) == 2, 30, "the replicas follow")
    until(lambda: all(_settled(member) for member in members), 30, "the cluster is whole")
    address = "cluster://" + ",".join(f"127.0.0.1:{port}" for port in ports)
    fleet = Fleet(nodes, tmp_path, owner, address=address, judge=address, redisWaitReplicas=1, **FULL)
    try:
        fleet.start()
        lose_master(fleet, owner)
        fleet.finish(LEAST)
    finally:
        fleet.abandon()


def _follows(replica: RedisServer, master: str) -> bool:
    try:
        replica.client.execute_command("CLUSTER", "REPLICATE", master)
    except redis.ResponseError:
        return False
    return True


def _settled(member: RedisServer) -> bool:
    info = member.client.execute_command("CLUSTER", "INFO").decode().split()
    return "cluster_state:ok" in info and "cluster_known_nodes:5" in info
