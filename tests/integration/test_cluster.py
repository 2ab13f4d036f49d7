"""Three nodes in processes of their own over one Redis, in peace: every one of them answers for all."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients import Client, until
from tests.processes import open_gate
from tests.shared import WITHIN, Cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes for all tests of this file, which leave them as they were."""
    cluster = Cluster(tmp_path_factory.mktemp("c"), pollInterval="30s")
    try:
        cluster.start("a", "b", "c")
        yield cluster
    finally:
        cluster.stop()


def running_on(client: Client, name: str) -> str:
    """The node that runs a task."""
    node: str = client.reaches(name, "processing", WITHIN)["node"]
    return node


def test_every_node_says_the_same_of_all(cluster: Cluster) -> None:
    said = [client.get("/api/cluster/status").json for client in cluster.clients.values()]
    assert {status["mode"] for status in said} == {"cluster"}
    assert len({(status["leader"], status["term"]) for status in said}) == 1
    assert said[0]["leader"] in cluster.nodes
    assert all(status["nodes"] == {"alive": 3, "late": 0, "dead": 0, "draining": 0} for status in said)
    assert said[0]["durability"] == "weak"
    redis = said[0]["redis"]
    assert (redis["address"], redis["replicas"], redis["datasetsLost"]) == (cluster.server.url, 0, 0)
    assert "appendonly" in redis["weakness"]
    assert len({status["redis"]["dataset"] for status in said}) == 1
    listed = [client.get("/api/cluster/nodes").json["nodes"] for client in cluster.clients.values()]
    assert all([node["leader"] for node in nodes].count(True) == 1 for nodes in listed)
    (handler,) = [one for one in cluster.clients["a"].get("/api/handlers").json["handlers"] if one["name"] == "gate"]
    assert sorted(handler["nodes"]) == ["a", "b", "c"]


def test_a_task_that_one_node_takes_in_any_node_runs_and_every_node_shows(cluster: Cluster) -> None:
    names = [cluster.clients[node].submit("echo", node) for node in ("a", "b", "c") for _ in range(10)]
    for name in names:
        assert {str(client.finished(name)["status"]) for client in cluster.clients.values()} == {"completed"}


def test_who_has_no_free_slot_leaves_it_to_who_has_at_once(cluster: Cluster, tmp_path: Path) -> None:
    """Without a hint the idle would look after 30 s."""
    client = cluster.clients["a"]
    blockers = [client.submit("line", {"path": str(tmp_path / "said"), "word": "x"}) for _ in range(3)]
    waits = [client.submit("told", {"path": str(tmp_path / f"t{n}")}) for n in range(15)]
    words = [tmp_path / f"t{n}" for n in range(15)]
    until(lambda: all(path.exists() for path in words), WITHIN, "every handler has begun")
    assert {running_on(client, name) for name in waits} == {"a", "b", "c"}, "five on each"
    for name in waits:
        assert client.post(f"/api/tasks/{name}/cancel").status == 200
    until(lambda: all("told" in path.read_text() for path in words), WITHIN, "every handler was told")
    for name in blockers:
        client.finished(name)


@pytest.mark.parametrize("asked", ["a", "b", "c"])
def test_a_task_is_cancelled_wherever_it_runs(cluster: Cluster, tmp_path: Path, asked: str) -> None:
    client = cluster.clients[asked]
    name = cluster.clients["a"].submit("told", {"path": str(tmp_path / "words")})
    until((tmp_path / "words").exists, WITHIN, "the handler has begun")
    assert client.post(f"/api/tasks/{name}/cancel").json["status"] == "cancelled"
    until(lambda: "told" in (tmp_path / "words").read_text(), WITHIN, "the handler was told")
    assert client.task(name)["status"] == "cancelled"


def test_who_waits_is_answered_wherever_it_ends(cluster: Cluster, tmp_path: Path) -> None:
    name = cluster.clients["a"].submit("gate", {"path": str(tmp_path / "open")})
    running_on(cluster.clients["b"], name)
    open_gate(tmp_path, "ok")
    for client in cluster.clients.values():
        assert client.get(f"/api/tasks/{name}", wait="20s").json["result"] == "ok"


def test_a_pause_holds_on_every_node(cluster: Cluster) -> None:
    a, b, c = cluster.clients.values()
    assert a.post("/api/queues/still/pause").status == 200
    name = b.submit("echo", 1, queue="still")
    (queue,) = [one for one in c.get("/api/queues").json["queues"] if one["name"] == "still"]
    assert queue["paused"]
    assert c.task(name)["status"] == "pending"
    assert c.post("/api/queues/still/resume").status == 200
    assert a.finished(name)["status"] == "completed"


def test_any_node_drains_any_other(cluster: Cluster) -> None:
    a, b = cluster.clients["a"], cluster.clients["b"]
    assert a.post("/api/cluster/nodes/b/drain").status == 202
    for name in cluster.nodes:
        cluster.sees(name, {"a": "alive", "b": "draining"})
    until(lambda: b.get("/readyz").status == 503, WITHIN, "it is not ready")
    names = [b.submit("echo", n) for n in range(20)]
    assert "b" not in {a.finished(name)["node"] for name in names}
    assert cluster.clients["c"].post("/api/cluster/nodes/b/undrain").status == 202
    until(lambda: b.get("/readyz").status == 200, WITHIN, "it is ready again")
    cluster.sees("c", {"b": "alive"})
    assert a.post("/api/cluster/nodes/nobody/drain").status == 404


def test_a_second_node_of_a_name_is_refused_and_the_first_lives_on(cluster: Cluster, tmp_path: Path) -> None:
    twin = Cluster.__new__(Cluster)
    twin.folder, twin.server, twin.nodes, twin.clients, twin._config = tmp_path, cluster.server, {}, {}, {}
    twin.launch("b")
    try:
        ended = twin.nodes["b"].ended()
    finally:
        twin.nodes["b"].reap()
    assert ended.code == 2
    assert ended.err.splitlines() == [line for line in ended.err.splitlines() if line.startswith("nodeId: ")]
    assert "running already (host" in ended.err
    assert cluster.clients["a"].get("/api/cluster/status").json["nodes"]["alive"] == 3


def test_nobody_cleans_up_under_a_live_node(cluster: Cluster, tmp_path: Path) -> None:
    kept = cluster.clients["a"].submit("echo", 1)
    cluster.launch("d", cleanRedisOnStart=True)
    cluster.ready("d")
    assert "cleanRedisOnStart: nothing is deleted, since node" in cluster.nodes["d"].text()
    assert cluster.clients.pop("d").finished(kept)["status"] == "completed"
    assert cluster.nodes["d"].end(signal.SIGTERM).code == 0
    until(lambda: "d" not in cluster.statuses("a"), WITHIN, "who left is not listed")
    del cluster.nodes["d"]
