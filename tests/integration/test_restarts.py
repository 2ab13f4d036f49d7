"""Actors die again and again while thousands of tasks flow: every task is done, once, and nothing is left behind."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
from collections import Counter
from pathlib import Path

import pytest

from actors.supervisor import Supervisor
from taskqueue import TaskContext, task
from taskqueue.core.clock import MILLISECOND, SECOND
from tests.clients import Client, until
from tests.running import ACTORS, Running

TASKS = 2_000
WITHIN = 60.0


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Deaths are not counted, and what a dead actor took along is asked again after moments."""
    monkeypatch.setattr("actors.supervisor.BUDGET", 100_000)
    monkeypatch.setattr("actors.scheduler.ANSWER_WITHIN", SECOND // 4)
    monkeypatch.setattr("actors.asking.ANSWER_WITHIN", 0.5)
    monkeypatch.setattr("actors.queue.CONFIRM_WITHIN", SECOND // 4)
    caplog.set_level(logging.CRITICAL, logger="pykka")
    caplog.set_level(logging.CRITICAL, logger="taskqueue")


class Ledger:
    """What handlers saw: each run by task and fence, independent of the store."""

    def __init__(self) -> None:
        self.runs: Counter[tuple[str, int]] = Counter()
        self._lock = threading.Lock()

    def note(self, ctx: TaskContext) -> int:
        with self._lock:
            self.runs[ctx.task_id, ctx.fence] += 1
        return ctx.fence


class Killer:
    """Kills one actor after the other, each as soon as it lives, until it is stopped."""

    def __init__(self, node: Running, names: list[str]) -> None:
        self.kills: Counter[str] = Counter()
        self._node = node
        self._names = names
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._kill)

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(WITHIN)
        assert not self._thread.is_alive()

    def _kill(self) -> None:
        supervisor: Supervisor = self._node.node.supervisor
        for name in itertools.cycle(self._names):
            until(lambda name=name: self._stop.is_set() or supervisor.handle(name).alive, WITHIN, f"{name} lives")  # type: ignore[misc]
            if self._stop.wait(0.005):
                return
            self._node.kill(name)
            self.kills[name] += 1


def submit(client: Client, count: int) -> list[str]:
    """Submit so many, as a careful client does: with ids of its own, and again where the outcome is unknown."""
    wanted = {f"t{n}": ("sync", "loop")[n % 4 == 0] for n in range(count)}
    left = list(wanted)
    while left:
        batch = left[:200]
        body = {"tasks": [{"id": name, "handler": wanted[name], "payload": {}} for name in batch]}
        reply = client.post("/api/tasks/batch", body)
        assert reply.status == 207
        items = dict(zip(batch, reply.json["items"], strict=True))
        assert {item["status"] for item in items.values()} <= {200, 201, 503}
        left = [name for name in left if items.get(name, {"status": 503})["status"] == 503]
    return list(wanted)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["queue"], id="queue"),
        pytest.param(["storage"], id="storage"),
        pytest.param(["scheduler"], id="scheduler"),
        pytest.param(["worker-1", "worker-2", "worker-async"], id="workers"),
        pytest.param([*ACTORS, "worker-1", "worker-async"], id="all"),
    ],
)
def test_every_task_is_done_once_whoever_dies(tmp_path: Path, names: list[str]) -> None:
    ledger, never = Ledger(), threading.Event()

    @task("sync")
    def sync(ctx: TaskContext) -> int:
        never.wait(0.002)  # so that the tasks flow while actors die
        return ledger.note(ctx)

    @task("loop")
    async def loop(ctx: TaskContext) -> int:
        await asyncio.sleep(0.002)
        return ledger.note(ctx)

    count = TASKS if len(names) > 3 else TASKS // 4
    with Running(tmp_path, sync, loop, api_threads=4) as node:
        with Killer(node, names) as killer:
            ids = submit(node.client, count)
            until(lambda: sum(killer.kills.values()) >= 10 * len(names), WITHIN, "enough deaths")
        assert node.client.settled(WITHIN) == {
            "pending": 0,
            "processing": 0,
            "completed": count,
            "failed": 0,
            "dead-lettered": 0,
            "cancelled": 0,
        }
        until(lambda: not node.node.pool.keys(), WITHIN, "the node holds nothing")
        for one in node.client.tasks(status="completed"):
            outcomes = [entry["outcome"] for entry in one["history"]]
            assert outcomes.count("completed") == 1
            assert set(outcomes) <= {"completed", "released"}
            assert (one["attempt"], one["crashes"]) == (1, 0)
            assert ledger.runs[one["id"], one["result"]] == 1, "the result is that of its last run"
        assert max(ledger.runs.values()) == 1, "no claim was run twice"
        assert {name for name, _ in ledger.runs} == set(ids)
        assert node.asked is None


def test_what_was_ended_is_not_run_again_because_an_actor_died(tmp_path: Path) -> None:
    """Only a claim that never reached its handler goes back: whatever a handler ended keeps its end."""
    ledger, never = Ledger(), threading.Event()

    @task("sync")
    def sync(ctx: TaskContext) -> int:
        never.wait(0.002)  # so that the tasks flow while actors die
        return ledger.note(ctx)

    @task("loop")
    async def loop(ctx: TaskContext) -> int:
        return ledger.note(ctx)

    with Running(tmp_path, sync, loop, poll_interval=20 * MILLISECOND) as node:
        with Killer(node, ["queue", "storage"]) as killer:
            submit(node.client, 500)
            until(lambda: sum(killer.kills.values()) >= 40, WITHIN, "enough deaths")
        node.client.settled(WITHIN)
        assert sum(ledger.runs.values()) == 500
