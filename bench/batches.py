"""How many tasks a second does a node take in batches of 1,000, from one client and from four at a time? Standalone,
each acknowledgement after an fsync; with `--redis` as one node of a cluster.

The same batch (payload of about 80 bytes, 10 handlers x 3 queues x 4 priorities) is sent again and again, as a text
that was made before: what a client does to make it is not measured, since it has machines of its own. The queues are
paused. Checked: every answer is a 2xx, and as many tasks wait as were sent.
"""

from __future__ import annotations

import json

from drain import LANES, QUEUES, batches
from harness import BATCH, HANDLERS, Node, arguments, node, report
from parts.crowd import Crowd, request
from parts.servers import Server, facts, settings, store

MANY, FEW = 40, 4
"""Batches a turn."""
CLIENTS = {"one": 1, "four": 4}


def turn(running: Node, redis: Server | None, clients: int, count: int) -> tuple[float, float, float]:
    """(tasks/s, CPU microseconds a task of the node, of Redis)."""
    [tasks] = batches(BATCH, LANES)
    text = request("/api/tasks/batch", json.dumps({"tasks": tasks}).encode())
    before, crowd = running.counts()["pending"], Crowd(running.port, clients)
    cpu, its = running.cpu_seconds(), redis.cpu_seconds() if redis else 0.0
    took, _ = crowd.send(text, count)
    sent = count * BATCH
    own = (running.cpu_seconds() - cpu) / sent * 1e6
    its = ((redis.cpu_seconds() if redis else 0.0) - its) / sent * 1e6
    crowd.close()
    if running.counts()["pending"] != before + sent:
        raise RuntimeError(f"{running.counts()} after {before} and {sent} more")
    return sent / took, own, its


def main() -> None:
    asked = arguments(__doc__, redis=None)
    count, rounds = (FEW, 1) if asked.quick else (MANY, asked.rounds)
    room = {"queueSize": 4 * (rounds + 1) * count * BATCH}
    taken: dict[str, list[tuple[float, float, float]]] = {name: [] for name in CLIENTS}
    with store(asked.redis) as redis, node(**HANDLERS, queues=QUEUES, **room, **settings(redis)) as running:
        for queue in QUEUES:
            running.client.call("POST", f"/api/queues/{queue}/pause")
        turn(running, redis, 1, 1)
        for _ in range(rounds):
            for name, clients in CLIENTS.items():
                taken[name].append(turn(running, redis, clients, count))
        durability = running.client.call("GET", "/api/cluster/status")["durability"]
        about = {"tasks": count * BATCH, "durability": durability, **facts(redis)}
    for name, clients in CLIENTS.items():
        rates, own, its = (list(column) for column in zip(*taken[name], strict=True))
        report(f"batches_{name}", rates, "tasks/s", clients=clients, **about)
        report(f"batches_{name}_cpu", own, "us/task", clients=clients, **about)
        if asked.redis:
            report(f"batches_{name}_redis_cpu", its, "us/task", clients=clients, **about)


if __name__ == "__main__":
    main()
