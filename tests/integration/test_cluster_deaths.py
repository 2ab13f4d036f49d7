"""Nodes of a cluster that are killed or stopped; a Redis that goes away and comes back, or comes back empty."""

from __future__ import annotations

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.clients import REFUSED, Client, Reply, until
from tests.processes import open_gate
from tests.shared import WITHIN, Cluster, Clusters, clusters

__all__ = ["clusters"]

TICKER = """
from taskqueue import task

@task("tick", every="1s")
def tick() -> None: ...
"""


def running_on(client: Client, name: str) -> str:
    """The node that runs a task."""
    node: str = client.reaches(name, "processing", WITHIN)["node"]
    return node


def held_by(cluster: Cluster, victim: str, folder: Path) -> list[str]:
    """Tasks that the victim runs until the gate is open: its own submits, which it claims at once."""
    client = cluster.clients[victim]
    names = [client.submit("gate", {"path": str(folder / "open")}) for _ in range(20)]
    return [name for name in names if running_on(client, name) == victim]


def answers(client: Client, path: str) -> bool:
    """Is it well?"""
    try:
        return client.get(path).status == 200
    except REFUSED:
        return False


def claims(client: Client) -> bool:
    """Does this very node start tasks of its own accord?"""
    reply = submitted(client)
    return reply.status == 201 and client.get(f"/api/tasks/{reply.json['id']}", wait="1s").json["status"] == "completed"


def submitted(client: Client) -> Reply:
    return client.post("/api/tasks", {"handler": "echo", "payload": 1})


def told(client: Client, folder: Path, number: int) -> str:
    """A task that ends when it is not wanted any more, and writes so down."""
    return client.submit("told", {"path": str(folder / f"words{number}")})


def refused(client: Client) -> Reply:
    """A submit that a node without its Redis refuses; it says that it is not well, and lives."""
    reply = submitted(client)
    assert reply.status == 503
    assert int(reply.headers["retry-after"]) > 0
    until(lambda: client.get("/readyz").status == 503, WITHIN, "it is not ready")
    assert client.get("/healthz").status == 200
    assert client.get("/api/cluster/status").status == 503
    assert client.get("/metrics").status == 200
    return reply


def metric(client: Client, name: str) -> float:
    """The value of a metric without labels."""
    for line in client.get("/metrics").raw.decode().splitlines():
        if line.startswith(f"{name} "):
            return float(line.split()[1])
    raise AssertionError(f"there is no metric {name}")


def test_what_a_killed_node_ran_runs_elsewhere_and_its_successor_has_its_name(
    clusters: Clusters, tmp_path: Path
) -> None:
    cluster = clusters(maxCrashes=1000)
    cluster.start("a", "b")
    held = held_by(cluster, "b", tmp_path)
    assert held
    cluster.nodes["b"].kill()
    a = cluster.clients["a"]
    cluster.sees("a", {"a": "alive", "b": "late"})
    cluster.launch("b")  # before the lease is over: it waits for that
    for name in held:
        until(lambda name=name: a.task(name)["crashes"] == 1, WITHIN, "it was taken back")
    open_gate(tmp_path, "ok")
    for name in held:
        task = a.finished(name)
        assert (task["status"], task["attempt"]) == ("completed", 2)
    cluster.ready("b")
    listed = [node["status"] for node in a.get("/api/cluster/nodes").json["nodes"] if node["id"] == "b"]
    assert listed == ["dead", "alive"]
    assert claims(cluster.clients["b"])


def test_a_node_that_was_killed_alone_takes_its_own_name_again(clusters: Clusters, tmp_path: Path) -> None:
    """Nobody else is there to declare it dead."""
    cluster = clusters(maxCrashes=1000)
    cluster.start("a")
    name = cluster.clients["a"].submit("gate", {"path": str(tmp_path / "open")})
    running_on(cluster.clients["a"], name)
    cluster.nodes["a"].kill()
    cluster.start("a")
    open_gate(tmp_path, "ok")
    task = cluster.clients["a"].finished(name)
    assert (task["status"], task["crashes"]) == ("completed", 1)


def test_a_killed_leader_is_replaced_and_no_tick_is_missed_or_doubled(clusters: Clusters) -> None:
    cluster = clusters(handlers=["ticking"])
    for name in ("a", "b", "c"):
        home = cluster.folder / name
        home.mkdir()
        (home / "ticking.py").write_text(TICKER)
    cluster.start("a", "b", "c", appDir=None)
    first = cluster.leader("a")
    others = [name for name in cluster.nodes if name != first]
    client = cluster.clients[others[0]]
    until(lambda: len(client.tasks(schedule="tick")) >= 2, WITHIN, "it ticks")
    term = client.get("/api/cluster/status").json["term"]
    cluster.nodes[first].kill()
    second = cluster.leader(others[0], other_than=first)
    assert second in others
    seen = len(client.tasks(schedule="tick"))
    until(lambda: len(client.tasks(schedule="tick")) >= seen + 3, WITHIN, "it goes on ticking")
    due = sorted(datetime.fromisoformat(task["runAt"]) for task in client.tasks(schedule="tick"))
    assert {(later - earlier).total_seconds() for earlier, later in pairwise(due)} == {1.0}
    assert client.get("/api/schedules/tick").json["skipped"] == {}
    assert client.get("/api/cluster/status").json["term"] > term
    assert [node["id"] for node in client.get("/api/cluster/nodes").json["nodes"] if node["leader"]] == [second]


def test_a_leader_that_leaves_in_order_hands_over_at_once(clusters: Clusters) -> None:
    cluster = clusters(leaderTtl="1m", leaseTtl="1m")
    cluster.start("a", "b")
    first = cluster.leader("a")
    [other] = [name for name in cluster.nodes if name != first]
    left = time.monotonic()
    assert cluster.nodes[first].end().code == 0
    assert cluster.leader(other, other_than=first) == other
    assert time.monotonic() - left < 60, "it would take so long to run out"
    assert cluster.statuses(other) == {other: "alive"}


def test_a_zombie_is_refused_and_goes_on_as_another_incarnation(clusters: Clusters, tmp_path: Path) -> None:
    cluster = clusters(maxCrashes=1000)
    cluster.start("a", "b")
    zombie, client = cluster.nodes["b"], cluster.clients["a"]
    held = held_by(cluster, "b", tmp_path)
    looking = {name: tmp_path / f"words{n}" for n in range(6) if (name := told(cluster.clients["b"], tmp_path, n))}
    told_late = [name for name in looking if running_on(client, name) == "b"]
    assert held
    assert told_late
    until(lambda: all(looking[name].exists() for name in told_late), WITHIN, "they have begun")
    zombie.send(signal.SIGSTOP)
    cluster.sees("a", {"b": "dead"})
    for name in held:
        until(lambda name=name: client.task(name)["node"] == "a", WITHIN, "another runs it")
    for name in looking:
        client.post(f"/api/tasks/{name}/cancel")
    open_gate(tmp_path, "ok")
    results = {name: client.finished(name) for name in held}
    zombie.send(signal.SIGCONT)
    zombie.wait_log("begins_anew", WITHIN)
    cluster.sees("a", {"b": "alive"})
    for name, before in results.items():
        assert (before["status"], before["attempt"], before["node"]) == ("completed", 2, "a")
        assert client.task(name) == before, "the zombie's result came too late"
    for name in told_late:
        until(lambda name=name: "told" in looking[name].read_text(), WITHIN, "what it still ran was told")
    assert metric(cluster.clients["b"], "taskqueue_rebirths_total") == 1
    cluster.nodes["a"].kill()
    until(lambda: claims(cluster.clients["b"]), WITHIN, "it works on, alone")
    assert zombie.end().code == 0


def test_while_redis_is_away_nothing_is_promised_and_after_it_all_goes_on(clusters: Clusters, tmp_path: Path) -> None:
    cluster = clusters("--appendonly", "yes", "--appendfsync", "always")
    cluster.start("a", "b")
    assert cluster.clients["a"].get("/api/cluster/status").json["durability"] == "fsync"
    held = held_by(cluster, "a", tmp_path)
    cluster.server.kill()
    with ThreadPoolExecutor() as together:  # each answer takes the seconds for which a node tries
        refusals = dict(zip(cluster.clients, together.map(refused, cluster.clients.values()), strict=True))
    open_gate(tmp_path, "ok")  # what runs goes on and ends while nobody can be told
    cluster.server.start()
    for name, client in cluster.clients.items():
        until(lambda client=client: answers(client, "/readyz"), WITHIN, "it is ready again")
        until(lambda client=client: claims(client), WITHIN, "it claims again")
        again = client.post("/api/tasks", {"handler": "echo", "payload": 1, "id": refusals[name].json["id"]})
        assert again.status in (200, 201)
    for name in held:
        task = cluster.clients["b"].finished(name)
        assert (task["status"], task["crashes"]) == ("completed", 0)
    for node in cluster.nodes.values():
        assert node.end().code == 0


def test_an_empty_redis_in_its_place_is_noticed_and_the_nodes_go_on(clusters: Clusters) -> None:
    cluster = clusters(handlers=["ticking"])
    for name in ("a", "b"):
        home = cluster.folder / name
        home.mkdir()
        (home / "ticking.py").write_text(TICKER)
    cluster.start("a", "b", appDir=None)
    cluster.server.kill()
    cluster.server.start()
    for name, client in cluster.clients.items():
        cluster.nodes[name].wait_log("dataset_lost", WITHIN)
        cluster.nodes[name].wait_log("begins_anew", WITHIN)
        until(lambda client=client: claims(client), WITHIN, "it claims again")
        until(lambda client=client: answers(client, "/api/schedules/tick"), WITHIN, "schedules of code are there")
        assert metric(client, "taskqueue_datasets_lost_total") == 1
        assert client.get("/api/cluster/status").json["redis"]["datasetsLost"] == 1
    cluster.sees("a", {"a": "alive", "b": "alive"})
    assert cluster.nodes["b"].end().code == 0
    cluster.server.client.flushall()
    cluster.start("b")
    cluster.nodes["b"].wait_log("dataset_lost", WITHIN)  # it was not there, and remembers


@pytest.mark.slow
def test_a_rolling_restart_loses_nothing_and_charges_nothing(clusters: Clusters) -> None:
    cluster = clusters()
    cluster.start("a", "b")
    taken: list[str] = []
    refused: list[Any] = []
    over = threading.Event()

    def submit() -> None:
        turn = 0
        while not over.is_set():
            turn += 1
            client = cluster.clients["ab"[turn % 2]]
            try:
                reply = submitted(client)
            except REFUSED:
                over.wait(0.02)
                continue
            if reply.status == 201:
                taken.append(reply.json["id"])
            else:
                refused.append(reply.status)

    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for name in ("a", "b"):
            enough = len(taken) + 20
            until(lambda enough=enough: len(taken) > enough, WITHIN, "they submit")
            assert cluster.nodes[name].end().code == 0
            cluster.start(name)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert set(refused) <= {503}
    client = cluster.clients["a"]
    for name in taken:
        task = client.finished(name)
        assert (task["status"], task["attempt"], task["crashes"]) == ("completed", 1, 0)


@pytest.mark.slow
def test_without_redis_a_node_does_not_start(clusters: Clusters) -> None:
    """It waits for 30 s first."""
    cluster = clusters()
    cluster.server.kill()
    cluster.launch("a")
    ended = cluster.nodes["a"].ended(within=60)
    assert ended.code == 2
    [line] = ended.err.splitlines()
    assert line.startswith(f"redisAddress {cluster.server.url}: cannot be reached")


def test_a_redis_that_promises_too_little_is_refused_where_more_is_required(clusters: Clusters) -> None:
    cluster = clusters(requireDurability="fsync")
    cluster.launch("a")
    ended = cluster.nodes["a"].ended()
    assert ended.code == 2
    [line] = ended.err.splitlines()
    assert line.startswith("requireDurability: fsync is wanted, but it keeps no log of its writes")


def test_a_stop_while_redis_is_away_takes_no_longer_than_another(clusters: Clusters) -> None:
    """Two seconds beyond the grace are promised; three more are for a busy machine."""
    cluster = clusters(shutdownGrace="1s")
    cluster.start("a")
    client = cluster.clients["a"]
    client.reaches(client.submit("sleep", {"seconds": 60}), "processing", WITHIN)
    cluster.server.signal(signal.SIGSTOP)  # it takes connections, and answers nothing
    until(lambda: client.get("/readyz").status == 503, WITHIN, "it knows that Redis is away")
    began = time.monotonic()
    assert cluster.nodes["a"].end(signal.SIGTERM, 30).code == 0
    took = time.monotonic() - began
    print(f"ended {took:.2f} s after the signal")
    assert took < 1 + 2 + 3
