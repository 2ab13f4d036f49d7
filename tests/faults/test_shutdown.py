"""A node is asked to stop while clients and handlers are at work: everybody gets an answer, nothing is charged."""

from __future__ import annotations

import ctypes
import random
import signal
import threading
import time
from pathlib import Path

import pytest

from taskqueue.core.task import Outcome, Status
from tests.clients import until
from tests.faults import ledger, stored
from tests.faults.load import Load
from tests.processes import Ended, NodeProcess, Nodes

HERE = str(Path(__file__).parent)
GRACE = 1.0
LEEWAY = 2.0
"""What the contract allows beyond the grace."""
ENOUGH = 4.0
"""A grace in which two hundred handlers of 0.6 s end on a busy machine, where each syncs its ledger, one by one."""


@pytest.fixture
def node(nodes: Nodes, tmp_path: Path) -> NodeProcess:
    return nodes(
        env={"LEDGER": str(tmp_path / "node" / "ledger")},
        appDir=HERE,
        handlers=["workload"],
        workerCount=4,
        queueSize=400,
        shutdownGrace=GRACE,
    )


def ends(node: NodeProcess, number: int, within: float) -> Ended:
    """Send the signal; the end, which has to come in time."""
    began = time.monotonic()
    ended = node.end(number, within + 20)
    took = time.monotonic() - began
    print(f"ended {took:.2f} s after the signal")
    assert took <= within, f"{took:.2f} s:\n{node.text()}"
    assert ended.err == ""
    return ended


def all_started(node: NodeProcess, wanted: set[str]) -> bool:
    return wanted <= {mark.task for mark in ledger.read(node.home / "ledger")}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_under_load(node: NodeProcess, number: signal.Signals) -> None:
    node.config["shutdownGrace"] = ENOUGH
    client = node.start()
    long = {client.submit("load.sync", {"seconds": 60}), client.submit("load.async", {"seconds": 60})}
    load = Load()
    load.send_to(client)
    try:
        until(lambda: client.counts()["processing"] >= 50 and all_started(node, long), 20, "many tasks run")
        until(lambda: load.answers.count(201) > 20, 20, "many submits are answered")
        threading.Event().wait(random.uniform(0, 0.2))
        ended = ends(node, number, ENOUGH + LEEWAY)
    finally:
        load.stop()
    assert ended.code == 0
    assert load.mistakes == []
    assert {*load.answers} <= {201, 207, 429, 503}
    assert 503 in load.answers
    assert load.answers.count(201) > 20

    left = stored.tasks(node.data)
    for error, tasks in load.cut:
        # A client that gets no time to send for a tenth of a second after it has connected finds the door shut.
        assert not left.keys() & {*tasks}, f"taken, and then cut: {error}"
    assert len(load.cut) <= 1, load.cut
    assert {task.id for task in left.values() if task.status is Status.PROCESSING} == set()
    for submit in load.submits():
        assert submit.stored is not True or submit.task in left, submit
        assert submit.stored is not False or submit.task not in left, submit
    marks = ledger.read(node.home / "ledger")
    begun = {mark.task for mark in marks if mark.phase == "start"}
    unfinished = {(mark.task, mark.fence) for mark in marks if mark.phase == "start"}
    unfinished -= {(mark.task, mark.fence) for mark in marks if mark.phase != "start"}
    assert {name for name, _ in unfinished} == long, "the others had time enough"
    for name in long:
        assert left[name].history[-1].outcome is Outcome.RELEASED
    released = [task for task in left.values() if task.history and task.history[-1].outcome is Outcome.RELEASED]
    for task in released:
        assert (task.status, task.attempt, task.crashes) == (Status.PENDING, len(task.history) - 1, 0)
        assert task.retries_left == task.retries - task.attempt
    for task in left.values():
        assert task.crashes == 0
        assert (task.attempt > 0 or task.id in long) is (task.id in begun)
    print(f"{len(left)} tasks, {len(begun)} begun, {len(released)} released, {load.answers.count(503)} answers 503")


def test_a_second_signal_ends_it_at_once(node: NodeProcess) -> None:
    node.config["shutdownGrace"] = "60s"
    client = node.start()
    long = {client.submit("load.sync", {"seconds": 60}), client.submit("load.async", {"seconds": 60})}
    until(lambda: all_started(node, long), 10, "both run")
    node.send(signal.SIGTERM)
    node.wait_log("stopping", 5)
    until(lambda: client.get("/readyz").status == 503, 5, "it takes no more work")
    assert client.get("/healthz").status == 200
    assert client.post("/api/tasks", {"payload": 1, "id": "late"}).status == 503
    assert ends(node, signal.SIGTERM, LEEWAY).code == 0
    left = stored.tasks(node.data)
    assert left.keys() == long
    for task in left.values():
        assert (task.status, task.attempt, task.crashes) == (Status.PENDING, 0, 0)
        assert [entry.outcome for entry in task.history] == [Outcome.RELEASED]


@pytest.mark.parametrize(
    "handlers",
    [["hang.child", "hang.async", "hang.executor", *["hang.sync"] * 4], ["hang.loop"]],
    ids=["threads and coroutines", "the loop"],
)
def test_nothing_that_hangs_keeps_it(node: NodeProcess, handlers: list[str]) -> None:
    client = node.start()
    hanging = {client.submit(handler, {}) for handler in handlers}
    until(lambda: all_started(node, hanging), 10, "they run")
    assert ends(node, signal.SIGTERM, GRACE + LEEWAY).code == 0
    for task in stored.tasks(node.data).values():
        assert task.status in (Status.PENDING, Status.COMPLETED)
        assert task.crashes == 0


def test_a_signal_that_another_thread_takes(node: NodeProcess) -> None:
    """The kernel may give a signal to any thread, as after a pause of the process; Python acts on it in the first."""
    client = node.start()
    assert client.finished(client.submit("echo", 1))["status"] == "completed"  # by now the first thread only waits
    others = [int(entry.name) for entry in Path(f"/proc/{node.pid}/task").iterdir() if entry.name != str(node.pid)]
    assert ctypes.CDLL(None).tgkill(node.pid, others[0], signal.SIGTERM) == 0
    assert node.ended(GRACE + LEEWAY).code == 0


def test_long_polls_are_answered(node: NodeProcess) -> None:
    client = node.start()
    task = client.submit("load.sync", {"seconds": 60})
    seen: list[tuple[int, str]] = []

    def wait() -> None:
        reply = client.get(f"/api/tasks/{task}", wait="60s")
        seen.append((reply.status, reply.json["status"]))

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: all_started(node, {task}), 10, "it runs")
    assert ends(node, signal.SIGTERM, GRACE + LEEWAY).code == 0
    for thread in threads:
        thread.join(5)
    assert len(seen) == 3
    assert {status for status, _ in seen} == {200}
