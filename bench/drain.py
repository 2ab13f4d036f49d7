"""How many no-ops a second does a standalone node drain, every acknowledgement and every outcome after an fsync?

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

MANY, FEW = 20_000, 2_000
QUEUES = ("default", "mail", "reports")
ONE = [("noop0", "default", "normal")]
LANES = list(product((f"noop{number}" for number in range(10)), QUEUES, ("low", "normal", "high", "critical")))

Lane = tuple[str, str, str]
"""Handler, queue, priority."""


class Figures(NamedTuple):
    """Of one drain: tasks/s submitted in batches, tasks/s drained, CPU microseconds and bytes on disk a task."""

    submitted: float
    drained: float
    cpu: float
    disk: float


def batches(count: int, lanes: list[Lane]) -> Iterator[list[dict[str, Any]]]:
    """The tasks, in turn over the lanes."""
    for start in range(0, count, BATCH):
        batch = []
        for number in range(start, min(start + BATCH, count)):
            handler, queue, priority = lanes[number % len(lanes)]
            parameters = {"queue": queue, "priority": priority}
            batch.append({"handler": handler, "payload": {"n": number, "text": "x" * 60}, "parameters": parameters})
        yield batch


def drain(running: Node, count: int, lanes: list[Lane]) -> Figures:
    """Fill the paused queues, resume them, wait, look at every task."""
    client = running.client
    for queue in QUEUES:
        client.call("POST", f"/api/queues/{queue}/pause")
    before = running.disk_mb()
    began = time.monotonic()
    for batch in batches(count, lanes):
        answer = client.call("POST", "/api/tasks/batch", {"tasks": batch})
        if any(item["status"] != 201 for item in answer["items"]):
            raise RuntimeError("a task was not stored")
    submitted = count / (time.monotonic() - began)
    disk = (running.disk_mb() - before) * 1e6 / count
    cpu = running.cpu_seconds()
    for queue in QUEUES:
        client.call("POST", f"/api/queues/{queue}/resume")
    until(lambda: running.counts()["completed"] == count, within=120)
    cpu = running.cpu_seconds() - cpu
    seen = list(tasks(client))
    if len(seen) != count or len({(t["handler"], t["queue"], t["priority"]) for t in seen}) != len(lanes):
        raise RuntimeError(f"{len(seen)} tasks instead of {count}, or not in {len(lanes)} lanes")
    if any(t["status"] != "completed" or t["attempt"] != 1 or "n" not in (t["result"] or ()) for t in seen):
        raise RuntimeError("a task is not completed, has more than one attempt, or no result")
    span = max(moment(t["finishedAt"]) for t in seen) - min(moment(t["startedAt"]) for t in seen)
    return Figures(submitted, count / span, cpu / count * 1e6, disk)


def main() -> None:
    asked = arguments(__doc__)
    count = FEW if asked.quick else MANY
    taken: dict[str, list[Figures]] = {"": [], "_lanes": []}
    durability = ""
    for _ in range(1 if asked.quick else asked.rounds):
        for name, lanes in (("", ONE), ("_lanes", LANES)):
            with node(**HANDLERS, queues=QUEUES) as running:
                durability = running.client.call("GET", "/api/cluster/status")["durability"]
                taken[name].append(drain(running, count, lanes))
    for name, figures in taken.items():
        submitted, drained, cpu, disk = (list(column) for column in zip(*figures, strict=True))
        facts = {"tasks": count, "lanes": len(LANES) if name else 1, "durability": durability}
        report(f"submit_batches{name}", submitted, "tasks/s", **facts)
        report(f"drain{name}", drained, "tasks/s", **facts)
        report(f"drain{name}_cpu", cpu, "us/task", **facts)
        report(f"waiting{name}_disk", disk, "bytes/task", **facts)


if __name__ == "__main__":
    main()
