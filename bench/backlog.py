"""Is a node as quick with 500,000 more tasks waiting as without them?

The drain of 20,000 no-ops, turn by turn on two nodes of the same making: one that holds nothing else, and one where
500,000 more wait. They wait in four ways, each on a node of its own:

lane: behind the 20,000, in their lane; unserved: for a handler that nobody has; delayed: for tomorrow; paused: in a
queue that is paused. With them there: what costs a page of tasks, one of a filter that finds nothing, the status?

With `--redis` both are clusters of one node, each with a server of its own.

A drain ends by pausing its queue, so the lane loses a few more than 20,000. Checked: each task that was drained
completed, in one attempt, with its result kept, and as many wait afterwards as should.
"""

from __future__ import annotations

import time
from typing import Any

from harness import HANDLERS, Node, arguments, moment, node, report, tasks, until
from parts.servers import Server, facts, settings, store

WAITING, DRAINED = 500_000, 20_000
FEW_WAITING, FEW_DRAINED = 10_000, 1_000
LOOKS = 30
ROOM = 10_000_000
SETTINGS: dict[str, object] = {**HANDLERS, "queueSize": ROOM, "queues": ["default", "asleep"]}
WAYS: dict[str, dict[str, Any]] = {
    "lane": {"handler": "noop0", "parameters": {"tags": ["waits"]}},
    "unserved": {"handler": "nobody", "parameters": {"tags": ["waits"]}},
    "delayed": {"handler": "noop0", "parameters": {"tags": ["waits"], "delay": "1d"}},
    "paused": {"handler": "noop0", "parameters": {"tags": ["waits"], "queue": "asleep"}},
}
LOOKED_AT = {
    "page": ("/api/tasks", "/api/tasks?status=pending", "/api/tasks?tag=waits"),
    "no_hit": (
        "/api/tasks?handler=nothing",
        "/api/tasks?queue=nothing",
        "/api/tasks?status=cancelled",
        "/api/tasks?tag=nothing",
        "/api/tasks?schedule=nothing",
        "/api/tasks?tag=waits&status=failed",  # every one has the tag
        "/api/tasks?tag=waits&handler=nothing",
    ),
    "status": ("/api/cluster/status",),
}


class Drain:
    """Drains of one node: the queue is paused, filled (where it has to be), resumed, and paused again."""

    def __init__(self, running: Node, redis: Server | None, count: int) -> None:
        self.running = running
        self.redis = redis
        self.count = count
        self.done = 0
        self.rates: list[float] = []
        self.cpu: list[float] = []
        self.redis_cpu: list[float] = []
        self.steer("pause")

    def steer(self, verb: str) -> None:
        self.running.client.call("POST", f"/api/queues/default/{verb}")

    def take(self, *, fill: bool) -> None:
        """One drain. Its rate is taken from the tasks' own times, first start to last finish."""
        if fill:
            self.running.submit(self.count, handler="noop0")
        goal, cpu, redis_cpu, began = self.done + self.count, self.running.cpu_seconds(), self._redis_cpu(), time.time()
        self.steer("resume")
        until(lambda: self.running.counts()["completed"] >= goal, 120)
        self.steer("pause")
        until(lambda: not self.running.counts()["processing"], 30)
        cpu, redis_cpu = self.running.cpu_seconds() - cpu, self._redis_cpu() - redis_cpu
        total = self.running.counts()["completed"]
        drained = total - self.done
        all_done = tasks(self.running.client, status="completed")
        seen = [task for task in all_done if moment(task["startedAt"]) >= began - 0.001]  # the API cuts milliseconds
        if len(seen) != drained or not (self.count <= drained < most(self.count)):
            raise RuntimeError(f"{len(seen)} tasks were seen and {drained} counted, where {self.count} were due")
        if any(task["attempt"] != 1 or task["result"] is None for task in seen):
            raise RuntimeError("a task has more than one attempt, or no result")
        span = max(moment(task["finishedAt"]) for task in seen) - min(moment(task["startedAt"]) for task in seen)
        self.rates.append(drained / span)
        self.cpu.append(cpu / drained * 1e6)
        self.redis_cpu.append(redis_cpu / drained * 1e6)
        self.done = total

    def _redis_cpu(self) -> float:
        return 0.0 if self.redis is None else self.redis.cpu_seconds()

    def forget(self) -> None:
        """What was measured so far, since it only warmed up."""
        for measured in (self.rates, self.cpu, self.redis_cpu):
            measured.clear()


def most(count: int) -> int:
    """How many may be drained where `count` are due: some more until the pause has come through."""
    return 2 * count + 5_000


def looks(running: Node, paths: tuple[str, ...]) -> list[float]:
    """Milliseconds of each of many looks, at the client; the kinds take turns."""
    spans = []
    for path in paths * LOOKS:
        began = time.perf_counter()
        running.client.text("GET", path)
        spans.append((time.perf_counter() - began) * 1e3)
    return spans


def beside(way: str, program: str | None, waiting: int, count: int, rounds: int) -> None:
    """Measure one way of waiting."""
    with (
        store(program) as its,
        store(program) as redis,
        node(**SETTINGS, **settings(its)) as lonely,
        node(**SETTINGS, **settings(redis)) as loaded,
    ):
        alone, beside = Drain(lonely, its, count), Drain(loaded, redis, count)
        loaded.client.call("POST", "/api/queues/asleep/pause")
        # Each round takes the oldest: what the lane is to keep waiting comes on top.
        more = most(count) * (rounds + 1) if way == "lane" else 0
        loaded.submit(waiting + more, **WAYS[way])
        for drain in (alone, beside):
            drain.take(fill=way != "lane" or drain is alone)
            drain.forget()
        for _ in range(rounds):
            alone.take(fill=True)
            beside.take(fill=way != "lane")
        left = loaded.counts()["pending"]
        if left != waiting + more - (beside.done if way == "lane" else 0) or left < waiting:
            raise RuntimeError(f"{left} tasks wait")
        times = {name: looks(loaded, paths) for name, paths in LOOKED_AT.items()}
        memory, size = loaded.rss_mb(), loaded.disk_mb() if redis is None else redis.memory() / 1e6
        about: dict[str, object] = {"way": way, "waiting": waiting, "tasks": count, **facts(redis)}
    report("backlog_alone", alone.rates, "tasks/s", **about)
    report("backlog_drain", beside.rates, "tasks/s", **about)
    report("backlog_ratio", _percents(beside.rates, alone.rates), "% of alone", **about)
    report("backlog_cpu_ratio", _percents(beside.cpu, alone.cpu), "% of alone", **about)
    if program is not None:
        report("backlog_redis_cpu_ratio", _percents(beside.redis_cpu, alone.redis_cpu), "% of alone", **about)
    for name, spans in times.items():
        report(f"backlog_{name}", spans, "ms", **about)
    report("backlog_rss", [memory], "MB", **about)
    report(f"backlog_{'disk' if program is None else 'redis'}", [size], "MB", **about)


def _percents(ones: list[float], others: list[float]) -> list[float]:
    return [one / other * 100 for one, other in zip(ones, others, strict=True)]


def main() -> None:
    asked = arguments(__doc__, redis=None)
    waiting, count = (FEW_WAITING, FEW_DRAINED) if asked.quick else (WAITING, DRAINED)
    for way in WAYS:
        beside(way, asked.redis, waiting, count, 1 if asked.quick else asked.rounds)


if __name__ == "__main__":
    main()
