"""Each actor bears a load of its own: without it one thing stops and the others go on; when it is back, so is that."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from actors.supervisor import BUDGET
from tests.clients import Client, until
from tests.running import Running

WITHIN = 10.0
GENEROUS = 5.0
LEADERS_TURN = 1.0


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deaths of this module are wanted, and who is to give back tasks at the end may be among the dead."""
    monkeypatch.setattr("actors.node.RELEASE_WITHIN", 0)
    caplog.set_level(logging.CRITICAL, logger="pykka")
    caplog.set_level(logging.CRITICAL, logger="taskqueue")


# -- what can be seen from outside: does it happen within so many seconds? ---------------------------------------------


def submits(client: Client, within: float = GENEROUS) -> bool:
    reply = client.post("/api/tasks", {"payload": 1})
    assert reply.status in (201, 503), reply
    if reply.status == 503:
        assert reply.headers["retry-after"]
        assert reply.json["id"], "a repeat with this id is safe"
    return reply.status == 201


def writes(client: Client, within: float = GENEROUS) -> bool:
    reply = client.post("/api/queues/default/resume")
    assert reply.status in (200, 503), reply
    return reply.status == 200


def reads(client: Client, within: float = GENEROUS) -> bool:
    return client.get("/api/tasks").status == client.get("/api/queues").status == 200


def runs(client: Client, within: float = GENEROUS) -> bool:
    return _ends(client, client.submit("echo", 1), "completed", within)


def runs_async(client: Client, within: float = GENEROUS) -> bool:
    return _ends(client, client.submit("sleep", {"seconds": 0}), "completed", within)


def expires(client: Client, within: float = GENEROUS) -> bool:
    """A task that nobody serves is given up when its time is over: that is the leader's to see."""
    soon = (datetime.now(UTC) + timedelta(milliseconds=50)).isoformat()
    task = client.submit("served.by.nobody", 1, expiresAt=soon)
    return _ends(client, task, "dead-lettered", within + LEADERS_TURN)


def _ends(client: Client, task: str, status: str, within: float) -> bool:
    return bool(client.get(f"/api/tasks/{task}", wait=f"{within}s").json["status"] == status)


def ready(client: Client) -> bool:
    return client.get("/readyz").status == 200


def beats(client: Client, within: float = GENEROUS) -> bool:
    [node] = client.get("/api/cluster/nodes").json["nodes"]
    return bool(node["status"] == "alive")


class Load(NamedTuple):
    """What stops without these actors, and what goes on."""

    actors: tuple[str, ...]
    stops: Callable[[Client, float], bool]
    goes_on: tuple[Callable[[Client, float], bool], ...]


LOADS = {
    "queue": Load(("queue",), submits, (reads, beats)),
    "storage": Load(("storage",), writes, (reads, beats)),
    "scheduler": Load(("scheduler",), runs, (submits, writes, reads, expires, beats)),
    "workers": Load(("worker-1", "worker-2"), runs, (submits, writes, reads, runs_async, beats)),
    "worker-async": Load(("worker-async",), runs_async, (submits, writes, reads, runs, beats)),
    "leader": Load(("leader",), expires, (submits, writes, reads, runs, runs_async, beats)),
    "health": Load(("health",), beats, (submits, writes, reads, runs, runs_async)),
}


@pytest.mark.parametrize("name", LOADS)
def test_without_it_one_thing_stops_and_the_rest_goes_on(tmp_path: Path, name: str) -> None:
    load = LOADS[name]
    with Running(tmp_path, restarts=False, shutdown_grace=0) as node:
        client = node.client
        assert load.stops(client, GENEROUS)
        before = client.submit("echo", 1)
        client.finished(before)
        node.kill(*load.actors)
        until(lambda: not load.stops(client, 0.3), WITHIN, "it stops")
        for other in load.goes_on:
            assert other(client, GENEROUS), f"{other.__name__} goes on"
        assert client.task(before)["status"] == "completed"
        problems = client.get("/healthz")
        assert problems.status == 503
        assert all(f"actor {actor} is down" in str(problems.json["problems"]) for actor in load.actors)
        assert not ready(client)


def test_a_node_that_beats_no_more_is_late_then_dead_and_not_ready(tmp_path: Path) -> None:
    with Running(tmp_path, restarts=False, shutdown_grace=0) as node:
        node.kill("health")
        looks = []

        def dead() -> bool:
            [view] = node.client.get("/api/cluster/nodes").json["nodes"]
            looks.append(view["status"])
            return bool(looks[-1] == "dead")

        until(dead, WITHIN, "it looks dead")
        assert sorted(set(looks), key=looks.index) == ["alive", "late", "dead"]
        reply = node.client.get("/readyz")
        assert reply.status == 503
        assert "the node has not sent a heartbeat for too long" in reply.json["problems"]


def test_what_the_dead_would_have_run_waits_and_is_not_lost(tmp_path: Path) -> None:
    with Running(tmp_path, restarts=False, shutdown_grace=0) as node:
        node.kill(*node.workers)
        stuck = [node.client.submit("echo", n) for n in range(5)]
        states = {node.client.get(f"/api/tasks/{task}", wait="200ms").json["status"] for task in stuck}
        assert states <= {"pending", "processing"}
    with Running(tmp_path) as node:
        for n, task in enumerate(stuck):
            done = node.client.finished(task)
            assert (done["status"], done["result"], done["crashes"]) == ("completed", n, 0)


@pytest.mark.parametrize("name", LOADS)
def test_it_comes_back_and_does_again_what_it_did(tmp_path: Path, name: str) -> None:
    load = LOADS[name]
    with Running(tmp_path) as node:
        client = node.client
        node.kill(*load.actors)
        until(lambda: client.get("/healthz").status == 200, WITHIN, "all actors live")
        until(lambda: load.stops(client, GENEROUS), WITHIN, "it works again")
        until(lambda: ready(client), WITHIN, "the node is ready")
        metrics = client.get("/metrics").raw.decode()
        for actor in load.actors:
            assert re.search(rf'^taskqueue_actor_restarts_total{{actor="{actor}"}} 1\.0$', metrics, re.MULTILINE)
        assert node.asked is None


def test_too_many_deaths_end_the_node_so_that_its_own_supervisor_sees_it(tmp_path: Path) -> None:
    with Running(tmp_path) as node:
        for n in range(BUDGET + 1):
            name = ("leader", "worker-1", "health")[n % 3]
            until(lambda name=name: node.node.supervisor.handle(name).alive, WITHIN, f"{name} lives")  # type: ignore[misc]
            assert node.asked is None
            node.kill(name)
        until(lambda: node.asked, WITHIN, "the node asks to stop")
        assert node.asked is not None
        assert node.asked.failed
        assert f"the {BUDGET + 1}th death within a minute" in node.asked.message
