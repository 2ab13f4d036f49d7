"""How many no-ops a second does a node drain? Standalone, every acknowledgement and every outcome after an fsync; with
`--redis` as one node of a cluster, every task fenced and leased.

The queues are paused, filled and resumed; the rate is taken from the tasks' own times, from the first start to the last
finish. Once in one lane, once over 10 handlers x 3 queues x 4 priorities. Checked: each task completed, in one attempt,
with its result kept.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

from harness import BATCH, HANDLERS, Node, arguments, moment, node, report, tasks, until
from parts.servers import Server, facts, settings, store

MANY, FEW = 20_000, 2_000
QUEUES = ("default", "mail", "reports")
ONE = [("noop0", "default", "normal")]
LANES = list(product((f"noop{number}" for number in range(10)), QUEUES, ("low", "normal", "high", "critical")))

Lane = tuple[str, str, str]
"""Handler, queue, priority."""


class Figures(NamedTuple):
    """Of one drain: tasks/s submitted in batches, tasks/s drained; a task's microseconds of CPU, those of Redis, and
    its bytes on disk or in Redis while it waits.
    """

    submitted: float
    drained: float
    cpu: float
    redis_cpu: float
    bytes: float


def batches(count: int, lanes: list[Lane]) -> Iterator[list[dict[str, Any]]]:
    """The tasks, in turn over the lanes."""
    for start in range(0, count, BATCH):
        batch = []
        for number in range(start, min(start + BATCH, count)):
            handler, queue, priority = lanes[number % len(lanes)]
            parameters = {"queue": queue, "priority": priority}
            batch.append({"handler": handler, "payload": {"n": number, "text": "x" * 60}, "parameters": parameters})
        yield batch


def drain(running: Node, redis: Server | None, count: int, lanes: list[Lane]) -> Figures:
    """Fill the paused queues, resume them, wait, look at every task."""
    client = running.client

    def taken() -> float:
        return running.disk_mb() * 1e6 if redis is None else redis.memory()

    def cpus() -> tuple[float, float]:
        return running.cpu_seconds(), 0.0 if redis is None else redis.cpu_seconds()

    for queue in QUEUES:
        client.call("POST", f"/api/queues/{queue}/pause")
    before = taken()
    began = time.monotonic()
    for batch in batches(count, lanes):
        answer = client.call("POST", "/api/tasks/batch", {"tasks": batch})
        if any(item["status"] != 201 for item in answer["items"]):
            raise RuntimeError("a task was not stored")
    submitted = count / (time.monotonic() - began)
    size = (taken() - before) / count
    began_with = cpus()
    for queue in QUEUES:
        client.call("POST", f"/api/queues/{queue}/resume")
    until(lambda: running.counts()["completed"] == count, within=120)
    own, its = ((after - before) / count * 1e6 for after, before in zip(cpus(), began_with, strict=True))
    seen = list(tasks(client))
    if len(seen) != count or len({(t["handler"], t["queue"], t["priority"]) for t in seen}) != len(lanes):
        raise RuntimeError(f"{len(seen)} tasks instead of {count}, or not in {len(lanes)} lanes")
    if any(t["status"] != "completed" or t["attempt"] != 1 or "n" not in (t["result"] or ()) for t in seen):
        raise RuntimeError("a task is not completed, has more than one attempt, or no result")
    span = max(moment(t["finishedAt"]) for t in seen) - min(moment(t["startedAt"]) for t in seen)
    return Figures(submitted, count / span, own, its, size)


def main() -> None:
    asked = arguments(__doc__, redis=None)
    count = FEW if asked.quick else MANY
    taken: dict[str, list[Figures]] = {"": [], "_lanes": []}
    about: dict[str, object] = {"tasks": count}
    for _ in range(1 if asked.quick else asked.rounds):
        for name, lanes in (("", ONE), ("_lanes", LANES)):
            with store(asked.redis) as redis, node(**HANDLERS, queues=QUEUES, **settings(redis)) as running:
                durability = running.client.call("GET", "/api/cluster/status")["durability"]
                about |= {"durability": durability, **facts(redis)}
                taken[name].append(drain(running, redis, count, lanes))
    for name, figures in taken.items():
        submitted, drained, cpu, redis_cpu, size = (list(column) for column in zip(*figures, strict=True))
        about["lanes"] = len(LANES) if name else 1
        report(f"submit_batches{name}", submitted, "tasks/s", **about)
        report(f"drain{name}", drained, "tasks/s", **about)
        report(f"drain{name}_cpu", cpu, "us/task", **about)
        if asked.redis:
            report(f"drain{name}_redis_cpu", redis_cpu, "us/task", **about)
        report(f"waiting{name}_{'memory' if asked.redis else 'disk'}", size, "bytes/task", **about)


if __name__ == "__main__":
    main()
