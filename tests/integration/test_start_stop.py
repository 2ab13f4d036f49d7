"""Starting and stopping, many times: nothing is left of it, and nothing is lost by it."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pykka
import pytest

from actors import runners
from actors.base import NodeActor, OnDeath
from actors.health import ANSWER_WITHIN
from actors.node import build
from actors.runners import ThreadRunner
from actors.storage import StorageActor
from actors.supervisor import Factory, Supervisor
from actors.worker import WorkerActor
from storage.memory import MemoryStore
from taskqueue import TaskContext, task
from taskqueue.core.clock import MILLISECOND, SECOND, SystemClock
from taskqueue.core.config import Config
from taskqueue.core.errors import ConfigError
from tests.clients import REFUSED, until
from tests.postoffice import Desk, never
from tests.running import Poison, Running

ROUNDS = 25
WITHIN = 10.0


class Leftovers:
    """The threads, open files, children and actors of this process that were not there at first."""

    def __init__(self) -> None:
        gc.collect()
        self._threads = set(threading.enumerate())
        self._files = self._open()
        self._there = set(self._children())  # a server that tests share, for example

    def check(self) -> None:
        """None is left."""
        gc.collect()
        threads = until(self._no_threads, WITHIN, "no thread is left")
        assert threads
        files = self._open()
        assert files - self._files == Counter(), "open files are left"
        assert set(self._children()) <= self._there, "a child is left"
        assert pykka.ActorRegistry.get_all() == []

    def _no_threads(self) -> bool:
        return not set(threading.enumerate()) - self._threads

    @staticmethod
    def _open() -> Counter[str]:
        found: Counter[str] = Counter()
        for name in os.listdir("/proc/self/fd"):
            try:
                target = os.readlink(f"/proc/self/fd/{name}")
            except FileNotFoundError:
                continue  # that of the listing itself
            found[target.partition(":")[0] if ":[" in target else target] += 1
        return found

    @staticmethod
    def _children() -> list[str]:
        return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


@pytest.fixture
def leftovers() -> Leftovers:
    return Leftovers()


# -- actors alone ------------------------------------------------------------------------------------------------------


def storage_of(desk: Desk) -> StorageActor:
    return StorageActor(
        never,
        store=MemoryStore(desk.clock, SECOND),
        clock=desk.clock,
        on_broken=desk.refused.append,
        on_written=lambda *_: None,
    )


def worker_of(desk: Desk) -> WorkerActor:
    runner = ThreadRunner(runners.Desk(desk.pool, desk.clock, 1_000))
    return WorkerActor(never, name="worker-1", channel=desk.pool.channels["thread"], pool=desk.pool, runner=runner)


MADE: dict[str, Callable[[Desk], NodeActor]] = {
    "storage": storage_of,
    "queue": Desk.queue_actor,
    "scheduler": Desk.scheduler_actor,
    "leader": Desk.leader_actor,
    "health": Desk.health_actor,
    "worker-1": worker_of,
}


def started(name: str) -> Factory:
    """How the supervisor makes this actor: as it is built for tests, on a thread."""

    def make(died: OnDeath) -> NodeActor:
        actor = MADE[name](Desk())
        actor._on_death = died
        return actor

    return make


@pytest.mark.parametrize("name", MADE)
def test_an_actor_alone_leaves_nothing(leftovers: Leftovers, name: str) -> None:
    supervisor = Supervisor(SystemClock())
    for _ in range(ROUNDS):
        supervisor.start(name, started(name))
        assert supervisor.handle(name).alive
        assert supervisor.stop([name], WITHIN) == []
        assert not supervisor.handle(name).alive
        assert not supervisor.handle(name).tell(Poison())
    assert supervisor.wait(0.001) is None
    leftovers.check()


@pytest.mark.parametrize("name", MADE)
def test_an_actor_that_dies_leaves_nothing(
    leftovers: Leftovers, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, logger="pykka")
    caplog.set_level(logging.CRITICAL, logger="taskqueue")
    supervisor = Supervisor(SystemClock(), restarts=False)
    for _ in range(5):
        supervisor.start(name, started(name))
        assert supervisor.handle(name).tell(Poison())
        until(lambda: not supervisor.handle(name).alive, WITHIN, "it is dead")
        assert supervisor.wait(0.001) is None
    leftovers.check()


# -- the whole node ----------------------------------------------------------------------------------------------------


def test_a_node_leaves_nothing_however_often_it_starts(tmp_path: Path, leftovers: Leftovers) -> None:
    ids = []
    for n in range(ROUNDS):
        began = time.monotonic()
        with Running(tmp_path, lease_ttl=30 * SECOND) as node:
            assert time.monotonic() - began < ANSWER_WITHIN / SECOND, "nothing that it asked had to be asked again"
            assert node.client.get("/readyz").status == 200, "a node that has started is ready"
            ids.append(node.client.submit(("echo", "sleep")[n % 2], {"seconds": 0}))
            assert node.client.finished(ids[-1])["status"] == "completed"
    leftovers.check()
    with Running(tmp_path) as node:
        assert {node.client.task(one)["status"] for one in ids} == {"completed"}
        [member] = node.client.get("/api/cluster/nodes").json["nodes"]
        assert member["status"] == "alive", "those before have left in order"
    leftovers.check()


def test_a_node_that_was_built_and_cannot_start_leaves_nothing(tmp_path: Path, leftovers: Leftovers) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for _ in range(5):
            with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}"):
                build(Config(data_dir=str(tmp_path), api_port=port, node_id="node"))
    del taken
    leftovers.check()


def test_stopping_twice_or_at_once_is_stopping(tmp_path: Path, leftovers: Leftovers) -> None:
    with Running(tmp_path) as node:
        node.stop(now=True)
        node.stop()
    leftovers.check()


# -- under load --------------------------------------------------------------------------------------------------------


def outcomes(task: dict[str, Any]) -> list[str]:
    return [entry["outcome"] for entry in task["history"]]


def test_a_stop_under_load_gives_back_everything_and_charges_nothing(tmp_path: Path, leftovers: Leftovers) -> None:
    """Ten nodes, one after the other, each stopped while claims, runs and submits are under way."""
    never = threading.Event()

    @task("sync")
    def sync() -> None:
        never.wait(0.001)

    @task("loop")
    async def loop() -> None:
        await asyncio.sleep(0.001)

    taken: list[str] = []

    def submits(node: Running) -> None:
        """Submit until the node is gone; every task it has taken counts."""
        while True:
            body = {"tasks": [{"handler": name, "payload": {}} for name in ("sync", "loop") * 25]}
            try:
                reply = node.client.post("/api/tasks/batch", body)
            except REFUSED:
                return
            items = reply.json["items"]
            taken.extend(item["id"] for item in items if item["status"] == 201)
            if any(item["status"] == 503 for item in items):
                return

    for n in range(10):
        with Running(tmp_path, sync, loop, shutdown_grace=(0, 50 * MILLISECOND)[n % 2]) as node:
            before = len(taken)
            clients = [threading.Thread(target=submits, args=(node,)) for _ in range(2)]
            for client in clients:
                client.start()
            until(lambda before=before: len(taken) >= before + 100, WITHIN, "it is under load")  # type: ignore[misc]
            node.stop()
            for client in clients:
                client.join(WITHIN)
    leftovers.check()
    with Running(tmp_path, sync, loop, worker_count=5) as node:
        counts = node.client.settled()
        assert counts["completed"] == len(taken) == sum(counts.values())
        for one in node.client.tasks():
            assert (one["attempt"], one["crashes"], one["retriesLeft"]) == (1, 0, 3)
            assert set(outcomes(one)) <= {"released", "completed"}
    leftovers.check()


def test_a_handler_that_ends_within_the_grace_has_its_result_kept(tmp_path: Path) -> None:
    began, goes_on = threading.Event(), threading.Event()

    @task("slow")
    def slow() -> str:
        began.set()
        assert goes_on.wait(WITHIN)
        return "done"

    with Running(tmp_path, slow) as node:
        mine = node.client.submit("slow", {})
        assert began.wait(WITHIN)
        waiting = node.client.submit("sleep", {"seconds": 0}, delay="1h")
        stopping = threading.Thread(target=node.stop)
        stopping.start()
        until(lambda: node.client.get("/readyz").status == 503, WITHIN, "it is stopping")
        assert node.client.post("/api/tasks", {"payload": 1}).status == 503
        assert node.client.task(mine)["status"] == "processing", "reads go on meanwhile"
        goes_on.set()
        stopping.join(WITHIN)
    with Running(tmp_path) as node:
        done = node.client.task(mine)
        assert (done["status"], done["result"], done["attempt"], outcomes(done)) == (
            "completed",
            "done",
            1,
            ["completed"],
        )
        assert node.client.task(waiting)["status"] == "pending"


def test_a_handler_that_outlasts_the_grace_is_given_back_uncharged_and_its_late_result_refused(
    tmp_path: Path, leftovers: Leftovers
) -> None:
    freed, began = threading.Event(), threading.Semaphore(0)
    cancelled: list[bool] = []

    @task("hangs")
    def hangs(ctx: TaskContext) -> str:
        began.release()
        freed.wait(WITHIN)
        cancelled.append(ctx.cancelled)
        return "late"

    @task("waits")
    async def waits() -> str:
        began.release()
        await asyncio.Event().wait()
        return "never"

    workers = 5
    with Running(tmp_path, hangs, waits, worker_count=workers, shutdown_grace=100 * MILLISECOND) as node:
        ids = [node.client.submit("hangs", {}) for _ in range(workers)] + [node.client.submit("waits", {})]
        queued = node.client.submit("hangs", {})
        for _ in ids:
            assert began.acquire(timeout=WITHIN)
        moment = time.monotonic()
        node.stop()
        assert time.monotonic() - moment < workers, "the stuck are not waited for one by one"
    freed.set()
    leftovers.check()
    assert cancelled == [True] * workers
    with Running(tmp_path) as node:
        for one in [*ids, queued]:
            back = node.client.task(one)
            assert (back["status"], back["attempt"], back["crashes"], back["retriesLeft"]) == ("pending", 0, 0, 3)
            assert set(outcomes(back)) <= {"released"}
        [member] = node.client.get("/api/cluster/nodes").json["nodes"]
        assert member["status"] == "alive"


def test_a_second_request_to_stop_cuts_the_grace_short(tmp_path: Path) -> None:
    freed, began = threading.Event(), threading.Event()

    @task("hangs")
    def hangs() -> None:
        began.set()
        freed.wait(WITHIN)

    with Running(tmp_path, hangs, shutdown_grace=60 * SECOND) as node:
        mine = node.client.submit("hangs", {})
        assert began.wait(WITHIN)
        stopping = threading.Thread(target=node.stop)
        stopping.start()
        until(lambda: node.client.get("/readyz").status == 503, WITHIN, "it is stopping")
        node.node.supervisor.ask_stop("SIGTERM again")
        stopping.join(WITHIN)
        assert not stopping.is_alive()
        freed.set()
    with Running(tmp_path) as node:
        assert node.client.task(mine)["status"] == "pending"


def test_long_polls_end_with_the_node(tmp_path: Path) -> None:
    """Nobody waits for them, and they are answered: with the state as it is."""
    with Running(tmp_path) as node:
        mine = node.client.submit("sleep", {"seconds": 0}, delay="1h")
        answers: list[str] = []
        polls = [
            threading.Thread(
                target=lambda: answers.append(node.client.get(f"/api/tasks/{mine}", wait="60s").json["status"])
            )
            for _ in range(3)
        ]
        for poll in polls:
            poll.start()
        until(lambda: len(node.node._watchers._bells.get(mine, ())) == 3, WITHIN, "they wait")
        moment = time.monotonic()
        node.stop()
        for poll in polls:
            poll.join(WITHIN)
        assert time.monotonic() - moment < WITHIN
        assert answers == ["pending"] * 3
