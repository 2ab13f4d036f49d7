"""Handlers in a running node, and those who wait for them: time-outs, many at a time, cancels, long polls."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from storage import verbs as v
from storage.memory import MemoryStore
from taskqueue import Discard, Retry, Snooze, TaskContext, task
from taskqueue.core import events as ev
from taskqueue.core.clock import MILLISECOND, SECOND
from taskqueue.core.config import GRACE_AFTER_TIMEOUT
from tests.clients import until
from tests.running import Running

WITHIN = 10.0
SOON = 0.5
"""Seconds within which a long poll hears of what it waits for: half of what a node that is set otherwise takes to look
again by itself. The best of several, since others use this machine.
"""


# -- handlers ----------------------------------------------------------------------------------------------------------


def test_two_hundred_coroutines_at_a_time_and_one_more_waits(tmp_path: Path) -> None:
    """All of them have begun before the first may end."""
    begun: list[str] = []
    gate: dict[str, Any] = {}

    @task("meets")
    async def meets(ctx: TaskContext) -> None:
        gate.setdefault("event", asyncio.Event())
        begun.append(ctx.task_id)
        await gate["event"].wait()

    @task("opens")
    def opens() -> None:
        gate["loop"].call_soon_threadsafe(gate["event"].set)

    @task("finds")
    async def finds() -> None:
        gate["loop"] = asyncio.get_running_loop()

    with Running(tmp_path, meets, opens, finds, storage="memory") as node:
        assert node.config.async_concurrency == 200
        node.client.finished(node.client.submit("finds", {}))
        body = {"tasks": [{"handler": "meets", "payload": {}}] * 201}
        ids = [item["id"] for item in node.client.post("/api/tasks/batch", body).json["items"]]
        until(lambda: len(begun) == 200, WITHIN, "200 have begun")
        [last] = set(ids) - set(begun)
        assert node.client.task(last)["status"] in ("pending", "processing")
        node.client.finished(node.client.submit("opens", {}))
        assert {node.client.finished(one)["status"] for one in ids} == {"completed"}


def test_a_hung_thread_is_replaced_and_its_late_result_refused(tmp_path: Path) -> None:
    freed, left = threading.Event(), threading.Event()

    @task("hangs", retries=0)
    def hangs() -> str:
        try:
            freed.wait(WITHIN)
            return "late"
        finally:
            left.set()

    with Running(tmp_path, hangs, storage="memory", worker_count=1) as node:
        began = time.monotonic()
        hung = node.client.submit("hangs", {}, timeout="50ms")
        behind = node.client.submit("echo", "behind it")
        dead = node.client.finished(hung)
        assert time.monotonic() - began >= 0.05 + GRACE_AFTER_TIMEOUT / SECOND
        assert (dead["status"], dead["error"]["cause"]) == ("dead-lettered", "timeout")
        assert node.client.finished(behind)["result"] == "behind it"
        freed.set()
        assert left.wait(WITHIN)
        assert node.client.finished(node.client.submit("echo", "after it"))["result"] == "after it"
        assert node.client.task(hung) == dead
        assert node.client.get("/healthz").status == 200


def test_a_handler_that_computes_for_ever_ends_at_its_time_out(tmp_path: Path) -> None:
    @task("spins", retries=1)
    def spins() -> None:
        while True:
            pass

    @task("waits", retries=1)
    async def waits() -> None:
        await asyncio.Event().wait()

    interval = sys.getswitchinterval()
    try:
        with Running(tmp_path, spins, waits, storage="memory") as node:
            both = [node.client.submit(name, {}, timeout="50ms") for name in ("spins", "waits")]
            for one in both:
                dead = node.client.finished(one)
                assert (dead["status"], dead["attempt"], dead["retriesLeft"]) == ("dead-lettered", 2, 0)
                assert [entry["outcome"] for entry in dead["history"]] == ["timeout", "timeout"]
    finally:
        sys.setswitchinterval(interval)


def test_what_a_handler_raises_decides_what_becomes_of_its_task(tmp_path: Path) -> None:
    seen: list[int] = []

    @task("fickle")
    def fickle(ctx: TaskContext) -> str:
        seen.append(ctx.attempt)
        if len(seen) == 1:
            raise Snooze("10ms")
        if len(seen) == 2:
            raise Retry("not yet", delay=0)
        if len(seen) == 3:
            raise SystemExit(7)
        return "at last"

    @task("drops")
    def drops() -> None:
        raise Discard("not wanted")

    with Running(tmp_path, fickle, drops, storage="memory") as node:
        done = node.client.finished(node.client.submit("fickle", {}))
        assert (done["status"], done["result"], done["attempt"], done["retriesLeft"]) == ("completed", "at last", 3, 1)
        assert [entry["outcome"] for entry in done["history"]] == ["snoozed", "failed", "failed", "completed"]
        assert seen == [1, 1, 2, 3]
        dead = node.client.finished(node.client.submit("drops", {}))
        assert (dead["status"], dead["error"]["cause"], dead["retriesLeft"]) == ("dead-lettered", "discarded", 3)


def test_the_name_of_a_file_that_is_no_text_can_be_said(tmp_path: Path) -> None:
    """Python shows such bytes as halves of characters, which no database takes: none of it may harm the node."""
    said, goes_on = threading.Event(), threading.Event()

    @task("says", retries=0)
    def says(ctx: TaskContext) -> None:
        ctx.progress(0.5, "caf\udce9.txt")
        said.set()
        goes_on.wait(WITHIN)
        raise OSError("cannot read caf\udce9.txt")

    with Running(tmp_path, says) as node:
        mine = node.client.submit("says", {})
        assert said.wait(WITHIN)
        until(lambda: node.client.task(mine)["progress"], WITHIN, "it is stored")
        assert node.client.task(mine)["progress"]["note"] == "caf\\udce9.txt"
        goes_on.set()
        assert node.client.finished(mine)["error"]["message"] == "cannot read caf\\udce9.txt"
        assert node.client.get("/healthz").status == 200


def test_a_cancel_reaches_the_running_handler(tmp_path: Path) -> None:
    began, told = threading.Semaphore(0), threading.Semaphore(0)

    @task("looks")
    def looks(ctx: TaskContext) -> None:
        began.release()
        until(lambda: ctx.cancelled, WITHIN, "it is told")
        told.release()

    @task("waits")
    async def waits() -> None:
        began.release()
        try:
            await asyncio.Event().wait()
        finally:
            told.release()

    with Running(tmp_path, looks, waits) as node:
        for name in ("looks", "waits"):
            mine = node.client.submit(name, {})
            assert began.acquire(timeout=WITHIN)
            assert node.client.post(f"/api/tasks/{mine}/cancel").json["status"] == "cancelled"
            assert told.acquire(timeout=WITHIN)
            gone = node.client.task(mine)
            assert (gone["status"], gone["attempt"]) == ("cancelled", 0)
            assert [entry["outcome"] for entry in gone["history"]] == ["cancelled"]
        until(lambda: not node.node.pool.keys(), WITHIN, "nothing of it is left")


# -- long polls --------------------------------------------------------------------------------------------------------


class Poll:
    """A long poll in a thread of its own: its answer, and when it came."""

    def __init__(self, node: Running, task: str, wait: str = "20s") -> None:
        self.answer: dict[str, Any] = {}
        self.at = 0.0
        self._ask = lambda: node.client.get(f"/api/tasks/{task}", wait=wait).json
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self.answer = self._ask()
        self.at = time.monotonic()

    def join(self) -> dict[str, Any]:
        self._thread.join(WITHIN)
        assert not self._thread.is_alive()
        return self.answer


def waiting(node: Running, task: str, count: int = 1) -> None:
    """So many wait for this task."""
    until(lambda: len(node.node._watchers._bells.get(task, ())) == count, WITHIN, "they wait")


def test_a_long_poll_answers_when_its_task_ends_here(tmp_path: Path) -> None:
    """Without looking: the bell rings."""
    opened = threading.Semaphore(0)
    ended: list[float] = []

    @task("gated")
    def gated() -> str:
        opened.acquire(timeout=WITHIN)
        ended.append(time.monotonic())
        return "done"

    lag = []
    with Running(tmp_path, gated, poll_interval=20 * SECOND) as node:
        for _ in range(5):
            mine = node.client.submit("gated", {})
            polls = [Poll(node, mine) for _ in range(3)]
            waiting(node, mine, 3)
            opened.release()
            assert [poll.join()["result"] for poll in polls] == ["done"] * 3
            lag.append(min(poll.at for poll in polls) - ended[-1])
        assert node.node._watchers._bells == {}
    assert min(lag) < SOON


@pytest.mark.parametrize("how", ["cancel", "purge"])
def test_a_long_poll_answers_when_a_person_ends_its_task(tmp_path: Path, how: str) -> None:
    with Running(tmp_path, poll_interval=20 * SECOND) as node:
        mine = node.client.submit("echo", 1, delay="1h")
        poll = Poll(node, mine)
        waiting(node, mine)
        moment = time.monotonic()
        path = f"/api/tasks/{mine}/cancel" if how == "cancel" else "/api/queues/default/purge"
        assert node.client.post(path).status == 200
        assert poll.join()["status"] == "cancelled"
        assert poll.at - moment < WITHIN / 2


def test_a_long_poll_answers_when_its_task_ends_in_the_store_by_another_hand(tmp_path: Path) -> None:
    """No bell rings on this node; it looks again every now and then (`pollInterval`)."""
    with Running(tmp_path, storage="memory", poll_interval=40 * MILLISECOND) as node:
        store = node.node._store
        assert isinstance(store, MemoryStore)
        [me] = store.members()
        other = v.Register(
            owner="other-1", node="other", host="h", pid=1, workers=1, queues=("default",), handlers=me.handlers
        )
        lag = []
        for n in range(5):
            mine = node.client.submit("served.elsewhere", n)
            poll = Poll(node, mine)
            waiting(node, mine)
            claim = v.Claim("other-1", n + 1, (v.Group(("served.elsewhere",), ("default",), 1),))
            _, claimed = store.execute([other, claim])
            assert isinstance(claimed, v.Claimed)
            [[taken]] = claimed.tasks
            complete = ev.Complete(id=mine, owner="other-1", fence=taken.fence, result=b"5")
            moment = time.monotonic()
            store.execute([complete])
            assert (poll.join()["status"], poll.answer["result"]) == ("completed", 5)
            lag.append(poll.at - moment)
        assert min(lag) < SOON


def test_a_long_poll_of_what_has_ended_or_is_not_there_answers_at_once(tmp_path: Path) -> None:
    with Running(tmp_path, storage="memory") as node:
        mine = node.client.submit("echo", 1)
        node.client.finished(mine)
        began = time.monotonic()
        assert node.client.get(f"/api/tasks/{mine}", wait="60s").json["status"] == "completed"
        assert node.client.get("/api/tasks/nobody", wait="60s").status == 404
        assert time.monotonic() - began < WITHIN / 2


def test_a_long_poll_answers_with_what_is_when_its_time_is_up(tmp_path: Path) -> None:
    with Running(tmp_path, storage="memory") as node:
        mine = node.client.submit("echo", 1, delay="1h")
        began = time.monotonic()
        assert node.client.get(f"/api/tasks/{mine}", wait="150ms").json["status"] == "pending"
        assert 0.15 <= time.monotonic() - began < WITHIN / 2
        assert node.client.get(f"/api/tasks/{mine}", wait="61s").status == 422


def test_long_polls_take_half_of_the_threads_at_most(tmp_path: Path) -> None:
    """The next ones get the present state at once, and everybody else is answered meanwhile."""
    with Running(tmp_path, storage="memory", api_threads=8) as node:
        mine = node.client.submit("echo", 1, delay="1h")
        polls = [Poll(node, mine) for _ in range(4)]
        waiting(node, mine, 4)
        began = time.monotonic()
        for _ in range(20):
            assert node.client.get(f"/api/tasks/{mine}", wait="20s").json["status"] == "pending"
        assert time.monotonic() - began < WITHIN / 2
        assert node.client.post(f"/api/tasks/{mine}/cancel").status == 200
        assert {poll.join()["status"] for poll in polls} == {"cancelled"}
        again = node.client.submit("echo", 1, delay="1h")
        poll = Poll(node, again)
        waiting(node, again)
        node.client.post(f"/api/tasks/{again}/cancel")
        assert poll.join()["status"] == "cancelled"


# -- suspects ----------------------------------------------------------------------------------------------------------


def test_a_suspect_runs_alone_in_a_running_node(tmp_path: Path) -> None:
    together: list[int] = []
    now = [0]
    lock = threading.Lock()
    never = threading.Event()

    @task("counts")
    def counts(payload: str) -> None:
        with lock:
            now[0] += 1
        never.wait(0.02)
        with lock:
            if payload == "suspect":
                together.append(now[0])
            now[0] -= 1

    with Running(tmp_path, counts, storage="memory", worker_count=4) as node:
        store = node.node._store
        assert isinstance(store, MemoryStore)
        suspect = node.client.submit("counts", "suspect", delay="300ms")
        table = store._table
        with store._lock:
            table.put(replace(table.tasks[suspect], solo=True, crashes=2))
        others = [node.client.submit("counts", "other") for _ in range(40)]
        done = node.client.finished(suspect)
        assert (done["status"], together) == ("completed", [1])
        assert {node.client.finished(one)["status"] for one in others} == {"completed"}
        cleared = store.get(suspect)
        assert cleared is not None
        assert not cleared.solo

