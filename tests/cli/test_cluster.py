"""The commands against one node of a cluster: they show and steer all of it, and say so while its Redis is away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.conftest import Said, called
from tests.cli.test_errors import one_line_and_a_hint
from tests.shared import Cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("c"), backoff={"base": "1h", "max": "1h"})
    try:
        cluster.start("a", "b")
        yield cluster
    finally:
        cluster.stop()


def on(cluster: Cluster, node: str, *args: str, **options: Any) -> Said:
    """Call the command against one of them."""
    return called(*args, url=cluster.clients[node].url, **options)


def test_the_deployment_is_seen_whole(cluster: Cluster) -> None:
    lines = {line.split("  ")[0]: line for line in on(cluster, "a", "status").out.splitlines()}
    assert lines["mode"].endswith("cluster")
    assert lines["nodes"].endswith("2 alive")
    assert lines["redis address"].endswith(cluster.server.url)
    nodes = on(cluster, "b", "nodes").out.splitlines()
    assert sorted(line.split()[:2] for line in nodes[1:]) == [["a", "alive"], ["b", "alive"]]
    top = on(cluster, "a", "top").out
    assert "cluster, up" in top
    found = {one["check"]: one["level"] for one in on(cluster, "a", "doctor", "--json").json["checks"]}
    assert (found["durability"], found["leader"], found["nodes"]) == ("warn", "ok", "ok")


def test_what_one_node_is_told_holds_on_the_other(cluster: Cluster) -> None:
    assert on(cluster, "a", "queue", "pause", "mail").code == 0
    assert on(cluster, "a", "submit", "echo", "7", "--queue", "mail", "--id", "letter").out == "letter\n"
    (line,) = [line.split() for line in on(cluster, "b", "queue").out.splitlines() if line.startswith("mail")]
    assert line[:3] == ["mail", "paused", "1"]
    assert on(cluster, "b", "queue", "resume", "mail").out == "mail is on\n"
    assert on(cluster, "b", "show", "letter", "--json", "--wait", "30s").json["result"] == 7
    dead = on(cluster, "a", "submit", "fail", "{}", "--retries", "0", "--wait", "--id", "lost")
    assert dead.code == 1
    assert "lost" in on(cluster, "b", "dead").out
    assert on(cluster, "b", "dead", "purge", "--yes").out == "1 task deleted\n"
    assert on(cluster, "a", "show", "lost").code == 1
    assert on(cluster, "a", "nodes", "drain", "b").out == "b drains\n"
    listed = sorted(line.split()[:2] for line in on(cluster, "b", "nodes").out.splitlines()[1:])
    assert listed == [["a", "alive"], ["b", "draining"]]
    assert on(cluster, "b", "nodes", "undrain", "b").code == 0
    assert on(cluster, "a", "schedule", "add", "echo", "1", "--id", "s", "--every", "1h").code == 0
    task = on(cluster, "b", "schedule", "trigger", "s").out.strip()
    assert on(cluster, "a", "show", task, "--json", "--wait", "30s").json["schedule"] == "s"
    assert on(cluster, "a", "schedule", "rm", "s").out == "s deleted\n"
    assert on(cluster, "b", "cancel", "--all", "--tag", "nobodys", "--yes").out == "0 tasks cancelled\n"
    actions = [line.split()[3] for line in on(cluster, "b", "audit").out.splitlines()[1:]]
    assert actions[:8] == [
        *("schedule.delete", "schedule.trigger", "schedule.create"),
        *("undrain", "drain", "delete", "resume", "pause"),
    ]


def test_a_measurement_is_of_all_nodes(cluster: Cluster) -> None:
    before = cluster.clients["a"].counts()
    said = on(cluster, "b", "bench", "--tasks", "200", "--batch", "100", "--singles", "2", "--json").json
    assert (said["completed"], said["attempts"]) == (200, 200)
    assert cluster.clients["a"].counts() == before


def test_many_from_a_file(cluster: Cluster) -> None:
    said = on(cluster, "a", "submit", "echo", "--from", "-", "--tag", "lines", input="\n".join(map(str, range(1_200))))
    assert (said.code, said.err) == (0, "1,200 tasks submitted\n")
    for name in said.out.split()[-3:]:
        assert on(cluster, "b", "show", name, "--json", "--wait", "30s").json["status"] == "completed"


def test_while_its_redis_is_away(cluster: Cluster) -> None:
    cluster.server.stop()
    try:
        for args in (["status"], ["top"]):
            said = on(cluster, "a", *args)
            assert "cannot be reached" in one_line_and_a_hint(said, 2)
        said = on(cluster, "a", "doctor")
        assert (said.code, said.err) == (1, "")
        assert "taskqueue doctor --redis" in said.out
        assert "does --url lead to a node" not in said.out
    finally:
        cluster.server.start()
