"""How many no-ops a second does a standalone node drain, every acknowledgement and every outcome after an fsync?

The queue is paused, filled and resumed; the rate is taken from the tasks' own times, from the first start to the last
finish. Checked: each task completed, in one attempt, with its result kept.
"""

from __future__ import annotations

import time

from harness import Node, arguments, moment, node, report, tasks, until


def drain(running: Node, count: int) -> tuple[float, float, float]:
    """(submits/s in batches of 1,000, drained/s, CPU microseconds a drained task)."""
    client = running.client
    client.call("POST", "/api/queues/default/pause")
    began = time.monotonic()
    for start in range(0, count, 1000):
        batch = [
            {"handler": "echo", "payload": {"n": n, "text": "x" * 60}} for n in range(start, min(start + 1000, count))
        ]
        answer = client.call("POST", "/api/tasks/batch", {"tasks": batch})
        assert all(item["status"] == 201 for item in answer["items"])
    submitted = count / (time.monotonic() - began)
    before = running.cpu_seconds()
    client.call("POST", "/api/queues/default/resume")
    until(lambda: client.call("GET", "/api/cluster/status")["tasks"]["completed"] == count, within=120)
    cpu = (running.cpu_seconds() - before) / count * 1e6
    seen = list(tasks(client))
    assert len(seen) == count, f"{len(seen)} tasks instead of {count}"
    assert all(task["status"] == "completed" and task["attempt"] == 1 and "n" in task["result"] for task in seen)
    began_at = min(moment(task["startedAt"]) for task in seen)
    ended_at = max(moment(task["finishedAt"]) for task in seen)
    return submitted, count / (ended_at - began_at), cpu


def main() -> None:
    options = arguments(__doc__)
    count = 2_000 if options.quick else 20_000
    rounds = []
    ready, idle = [], []
    for _ in range(1 if options.quick else options.rounds):
        with node() as running:
            ready.append(running.ready_after)
            idle.append(running.rss_mb())
            durability = running.client.call("GET", "/api/cluster/status")["durability"]
            rounds.append(drain(running, count))
    submitted, drained, cpu = (list(column) for column in zip(*rounds, strict=True))
    facts = {"tasks": count, "durability": durability}
    report("submit_batches", submitted, "tasks/s", **facts)
    report("drain", drained, "tasks/s", **facts)
    report("drain_cpu", cpu, "us/task", **facts)
    report("ready", ready, "s")
    report("idle_rss", idle, "MB")


if __name__ == "__main__":
    main()
