"""A node is killed at random moments, with clients and handlers at work, and started again on the same data."""

from __future__ import annotations

import random
import signal
import threading
from pathlib import Path

import pytest

from taskqueue.core.task import Status, Task
from tests.clients import Client, until
from tests.faults import ledger, stored
from tests.faults.checker import Evidence, Least, Takeover, check
from tests.faults.load import Load
from tests.processes import NodeProcess, Nodes

HERE = str(Path(__file__).parent)
IN_FLIGHT = 50


def taken_back(client: Client, tasks: list[Task], within: float = 5.0) -> list[Takeover]:
    """How soon after a start the crashes of these tasks are counted; of the late ones, what is seen in the end."""
    crashes = {task.id: task.crashes for task in tasks}
    late = dict.fromkeys(crashes, -1)
    over = threading.Event()
    timer = threading.Timer(within, over.set)
    timer.start()
    last = False
    while late and not last:
        last = over.is_set()  # whoever was looked at early is looked at once more
        late = {one: now for one in late if (now := client.task(one)["crashes"]) != crashes[one] + 1}
    timer.cancel()
    return [Takeover(task.id, task.crashes, late.get(task.id, task.crashes + 1)) for task in tasks]


def processing(node: NodeProcess) -> list[Task]:
    return list(stored.tasks(node.data, Status.PROCESSING).values())


def killed(node: NodeProcess, rounds: int, seed: random.Random, pause: float = 0.0) -> None:
    """Kill and start `node` so many times, then let it finish; check everything. Now and then a kill comes while the
    node starts, or while it shuts down. `pause`: seconds between two requests of a client.
    """
    load = Load(pause=pause)
    in_flight: list[int] = []
    takeovers: list[Takeover] = []
    before: list[Task] = []
    between = 0
    moment = threading.Event()
    try:
        while len(in_flight) < rounds:
            client = node.start()
            load.send_to(client)
            takeovers += taken_back(client, before)
            moment.wait(seed.uniform(0, 0.3))
            until(lambda c=client: c.counts()["processing"] >= IN_FLIGHT + 10, 20, "many tasks run")  # type: ignore[misc]
            stopping = seed.random() < 0.2
            if stopping:
                node.send(signal.SIGTERM)
                moment.wait(seed.uniform(0, 0.15))
            assert node.end(signal.SIGKILL).code in ((0, -signal.SIGKILL) if stopping else (-signal.SIGKILL,))
            load.pause()
            before = processing(node)
            if stopping:
                between += 1
            else:
                in_flight.append(len(before))
            if seed.random() < 0.2:
                node.launch()
                moment.wait(seed.uniform(0, 0.6))
                node.kill()
                between += 1
                before = processing(node)
        client = node.start()
        takeovers += taken_back(client, before)
        load.send_to(client)
    finally:
        load.stop()
    client.settled(90)
    seen = Evidence(
        submits=list(load.submits()),
        ledger=ledger.read(node.home / "ledger"),
        final={task["id"]: task for task in client.tasks()},
        takeovers=takeovers,
        in_flight=in_flight,
        between=between,
    )
    assert node.end().code == 0
    known = [stored for _, stored in seen.submits]
    runs = sum(mark.phase == "start" for mark in seen.ledger)
    print(
        f"{rounds} kills and {between} while it started or stopped, in flight {min(in_flight)} to {max(in_flight)}; "
        f"of {len(known)} tasks {known.count(True)} "
        f"acknowledged, {known.count(False)} refused, {known.count(None)} unknown; {runs} runs, "
        f"{len(takeovers)} taken back"
    )
    assert load.mistakes == []
    assert check(seen, Least(submits=20 * rounds, kills=rounds, in_flight=IN_FLIGHT)) == []


@pytest.fixture
def victim(nodes: Nodes, tmp_path: Path) -> NodeProcess:
    return nodes(
        env={"LEDGER": str(tmp_path / "node" / "ledger")},
        appDir=HERE,
        handlers=["workload"],
        maxCrashes=1000,
        asyncConcurrency=120,
        queueSize=400,
        shutdownGrace="50ms",
        retention={"completed": {"age": "1h"}},
    )


def test_ten_kills(victim: NodeProcess) -> None:
    killed(victim, 10, random.Random(), pause=0.05)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_fifty_kills(victim: NodeProcess) -> None:
    killed(victim, 50, random.Random())
