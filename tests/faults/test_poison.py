"""A task that takes its node down is found out, and its neighbours are not blamed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.clients import Client, until
from tests.faults import ledger
from tests.faults.ledger import Mark
from tests.processes import NodeProcess, Nodes

HERE = str(Path(__file__).parent)


@pytest.fixture
def node(nodes: Nodes, tmp_path: Path) -> NodeProcess:
    return nodes(env={"LEDGER": str(tmp_path / "node" / "ledger")}, appDir=HERE, handlers=["workload"], workerCount=4)


def marks(node: NodeProcess) -> list[Mark]:
    return ledger.read(node.home / "ledger")


def started(node: NodeProcess, task: str) -> int:
    return sum(mark.task == task and mark.phase == "start" for mark in marks(node))


@pytest.mark.parametrize("how", ["exit", "segfault"])
def test_only_the_guilty_is_convicted(node: NodeProcess, how: str) -> None:
    client = node.start()
    # All at once, so that the first claim takes the guilty one and a neighbour for every worker.
    client.post("/api/queues/default/pause")
    guilty = client.submit("poison", {"how": how, "seconds": 0.1}, priority="critical")
    innocent = [client.submit("load.sync", {"seconds": 0.2}) for _ in range(10)]
    innocent += [client.submit("load.async", {"seconds": 0.2}) for _ in range(10)]
    client.post("/api/queues/default/resume")
    deaths = 0
    while deaths < 3:
        until(lambda: not node.alive, 20, f"the node dies, after {deaths} times")
        assert node.ended().code == (1 if how == "exit" else -11)
        deaths += 1
        if deaths < 3:
            node.launch()  # it may die before it says that it is ready
    client = node.start()
    task = client.finished(guilty)
    assert (task["status"], task["crashes"], task["error"]["cause"]) == ("dead-lettered", 3, "crash")
    assert [entry["outcome"] for entry in task["history"]] == ["crashed"] * 3
    assert (task["attempt"], task["retriesLeft"]) == (3, 3)
    others = [client.finished(one) for one in innocent]
    assert {other["status"] for other in others} == {"completed"}
    assert {other["retriesLeft"] for other in others} == {3}
    twice = [other["id"] for other in others if other["crashes"] == 2]
    assert len(twice) >= 4, "the neighbours of the first two deaths were suspects, too"
    assert max(other["crashes"] for other in others) == 2
    dead = client.get("/api/dead-letters").json
    assert [one["id"] for one in dead["tasks"]] == [guilty]
    assert dead["counts"] == [{"handler": "poison", "cause": "crash", "count": 1}]
    assert node.end().code == 0
    seen = marks(node)
    for suspect in (guilty, *twice):
        assert_last_run_alone(seen, suspect)


def assert_last_run_alone(seen: list[Mark], task: str) -> None:
    """Between the start of its last run and the run's (or the node's) end, the ledger has nobody else."""
    at = max(n for n, mark in enumerate(seen) if mark.task == task and mark.phase == "start")
    pid = seen[at].pid
    running = {mark.task for mark in seen[:at] if mark.pid == pid and mark.phase == "start"}
    running -= {mark.task for mark in seen[:at] if mark.pid == pid and mark.phase != "start"}
    assert running == set(), f"{task} began while these ran"
    following = [mark for mark in seen[at + 1 :] if mark.pid == pid]
    assert not following or following[0].task == task, f"{following[0]} beside {task}"


def counted(client: Client, task: str) -> dict[str, Any]:
    found = client.task(task)
    keys = ("status", "crashes", "attempt", "retriesLeft", "generation")
    return {**{key: found[key] for key in keys}, "outcomes": [entry["outcome"] for entry in found["history"]]}


def test_kills_from_outside_count_as_crashes(node: NodeProcess) -> None:
    client = node.start()
    short, long = client.submit("load.async", {"seconds": 1.0}), client.submit("load.sync", {"seconds": 30})
    for kills in (1, 2, 3):
        until(lambda n=kills: started(node, long) == n, 15, f"start {kills}")  # type: ignore[misc]
        node.kill()
        client = node.start()
        wanted = {"crashes": kills, "retriesLeft": 3, "generation": 1}
        until(lambda c=client, n=kills: c.task(long)["crashes"] == n, 15, f"crash {kills}")  # type: ignore[misc]
        seen = counted(client, long)
        assert seen == {**seen, **wanted}
        assert seen["outcomes"] == ["crashed"] * kills
    # The third one came while it ran alone, as its last permitted crash: that convicts it.
    assert counted(client, long)["status"] == "dead-lettered"
    assert client.task(long)["error"]["cause"] == "crash"
    done = client.finished(short)
    assert (done["status"], done["retriesLeft"]) == ("completed", 3)
    assert done["attempt"] == done["crashes"] + 1
    again = client.post(f"/api/tasks/{long}/replay").json
    assert (again["generation"], again["crashes"], again["attempt"]) == (2, 0, 0)
    until(lambda: started(node, long) == 4, 15, "the replayed task runs")
    node.kill()
    client = node.start()
    until(lambda: client.task(long)["crashes"] == 1, 15, "its crashes are counted from none")
    assert counted(client, long)["outcomes"] == ["crashed"] * 4
