"""Three nodes over one Redis: nodes are killed, frozen, stopped and led astray under load, and the checker judges."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients import until
from tests.faults.checker import Least
from tests.faults.cluster_checker import ClusterLeast
from tests.faults.fleet import ALWAYS, EVERY, FULL, LEASE, Fleet
from tests.processes import Nodes
from tests.redis_server import RedisServer

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis", *ALWAYS).start()
    yield server
    server.stop()


@pytest.fixture
def fleet(nodes: Nodes, tmp_path: Path, server: RedisServer, work: dict[str, Any]) -> Iterator[Fleet]:
    fleet = Fleet(nodes, tmp_path, server, **work)
    yield fleet
    fleet.abandon()


def least(kills: int = 0, *, in_flight: int = 0, terms: int = 1, recoveries: int = 0) -> ClusterLeast:
    return ClusterLeast(
        Least(submits=100, kills=kills, in_flight=in_flight), claims=100, recoveries=recoveries, ticks=5, terms=terms
    )


def pause(seconds: float) -> None:
    """Let the run go on for a while: the moment of a fault is random."""
    threading.Event().wait(seconds)


def test_nodes_are_killed(fleet: Fleet) -> None:
    fleet.start()
    for n in range(3):
        node = fleet.nodes[n]
        pause(fleet.random.uniform(0, 0.4))
        until(lambda: len(fleet.runs_at(node)) >= 5, 30, "it has work")  # noqa: B023 - called at once
        died = time.monotonic()
        held = fleet.kill(node)
        fleet.recovered(held, died)
        fleet.restart(node)
    fleet.finish(least(3, in_flight=5, recoveries=15))


@pytest.mark.parametrize(
    "point",
    [
        "after:Claim:4",
        pytest.param("before:Claim:4", marks=pytest.mark.slow),
        pytest.param("after:Complete:4", marks=pytest.mark.slow),
        "before:Complete:4",
        "after:Fail:1",
        "after:Submit:9",
    ],
)
def test_a_node_dies_at_a_named_point(fleet: Fleet, point: str) -> None:
    victim = fleet.nodes[0]
    victim.env["CRASH_AT"] = point
    victim.config["handlers"] = ["breaking", "workload"]
    fleet.start(count_on=fleet.nodes[1])
    until(lambda: not victim.alive, 30, "the node dies")
    assert victim.ended().code == 9
    fleet.in_flight.append(0)
    fleet.send()
    pause(LEASE)
    victim.config["handlers"] = ["workload"]
    fleet.restart(victim)
    fleet.finish(least(1))


def test_a_frozen_node_that_goes_on_is_refused(fleet: Fleet) -> None:
    fleet.start()
    node = fleet.nodes[1]
    until(lambda: len(fleet.runs_at(node)) >= 5, 30, "it has work")
    began = time.monotonic()
    held = fleet.runs_at(node)
    fleet.freeze(node)
    fleet.load.send_to(*(client for one, client in fleet.clients.items() if one is not node))
    fleet.keyed.send_to(*(client for one, client in fleet.clients.items() if one is not node))
    held = {task: fence for task, fence in fleet.runs_at(node).items() if task in held}
    fleet.recovered(held, began)
    pause(max(0.0, 3 * LEASE - (time.monotonic() - began)))
    fleet.thaw(node)
    client = fleet.clients[node]
    until(lambda: client.get("/readyz").status == 200, 30, "it works again")
    fleet.send()
    since = len(fleet.marks_of(node))
    until(lambda: len(fleet.marks_of(node)) >= since + 20, 30, "it runs tasks again, as somebody new")
    assert node.alive
    fleet.finish(least(recoveries=3))


def leaders_killed(fleet: Fleet, rounds: int) -> None:
    """Kill the leader, just before, at or just after a due time of the schedule."""
    fleet.start()
    for _ in range(rounds):
        node = fleet.leader()
        now = time.time()
        pause(EVERY - now % EVERY + fleet.random.uniform(-0.03, 0.03))
        fleet.kill(node)
        until(lambda: fleet.leader() is not node, 30, "another leads")  # noqa: B023 - called at once
        fleet.restart(node)
    fleet.finish(least(rounds, terms=rounds + 1))


def test_the_leader_is_killed_at_a_tick(fleet: Fleet) -> None:
    leaders_killed(fleet, 3)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("work", [FULL], indirect=True, ids=["much work"])
def test_the_leader_is_killed_at_twenty_ticks(fleet: Fleet) -> None:
    leaders_killed(fleet, 20)


def test_all_are_stopped_and_started_one_after_the_other(fleet: Fleet) -> None:
    """As a deployment does it."""
    fleet.start()
    for node in fleet.nodes:
        until(lambda: len(fleet.runs_at(node)) >= 5, 30, "it has work")  # noqa: B023 - called at once
        fleet.stop(node)
        fleet.restart(node)
    fleet.finish(least(terms=1))
    assert {*fleet.load.answers} <= {201, 200, 207, 429, 503}
    crashed = [task for task in fleet.final.values() if task["crashes"] or _outcomes(task) & {"crashed"}]
    assert crashed == [], "nothing is charged for an orderly stop"


def _outcomes(task: dict[str, object]) -> set[object]:
    history = task["history"]
    assert isinstance(history, list)
    return {entry["outcome"] for entry in history}


def skewed(offset: str) -> dict[str, str]:
    """The environment of a process whose wall clock is off."""
    library = subprocess.check_output(["faketime", "-f", "+0", "printenv", "LD_PRELOAD"], text=True)
    return {"LD_PRELOAD": library.strip(), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


@pytest.mark.skipif(shutil.which("faketime") is None, reason="needs faketime")
def test_clocks_that_are_an_hour_off(nodes: Nodes, tmp_path: Path, server: RedisServer, work: dict[str, Any]) -> None:
    fleet = Fleet(nodes, tmp_path, server, env={1: skewed("+1h"), 2: skewed("-1h")}, **work)
    try:
        fleet.start()
        node = fleet.leader()
        died = time.monotonic()
        fleet.recovered(fleet.kill(node), died)
        fleet.restart(node)
        fleet.finish(least(1, terms=2))
    finally:
        fleet.abandon()
