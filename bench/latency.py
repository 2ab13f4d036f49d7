"""How long after a client sends a task does its handler begin, while the node has nothing else to do?

One task at a time, over one connection, with a rest before each; client and handler read the same clock. The node syncs
once before the handler begins: submit and claim are one commit. What a sync costs is measured in between, on the same
disk: 4 KiB appended to a file of its own, and fdatasync. With `--redis` it is a node of a cluster, which asks Redis
instead; measured in between is a PING. Checked: each task completed, in one attempt.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import HANDLERS, Node, arguments, folder, node, report
from parts.servers import Server, facts, settings, store

MANY, FEW = 300, 20
REST = 0.03
"""Seconds before each task: what the one before it left to do is done."""


def one(running: Node) -> tuple[float, float]:
    """Milliseconds from sending to the answer, and to the handler's start."""
    time.sleep(REST)
    sent = time.monotonic_ns()
    task = running.client.call("POST", "/api/tasks", {"handler": "clock", "payload": {}})
    answered = time.monotonic_ns()
    done = running.client.call("GET", f"/api/tasks/{task['id']}?wait=20s")
    if done["status"] != "completed" or done["attempt"] != 1:
        raise RuntimeError(f"the task is {done}")
    return (answered - sent) / 1e6, (done["result"] - sent) / 1e6


@contextmanager
def sync(home: Path) -> Iterator[Callable[[], object]]:
    """A sync of the disk where the node has its data."""
    file = os.open(home / "sync", os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def write() -> None:
        os.write(file, b"x" * 4096)
        os.fdatasync(file)

    try:
        yield write
    finally:
        os.close(file)


@contextmanager
def ping(redis: Server) -> Iterator[Callable[[], object]]:
    """A round trip to the node's Redis."""
    yield redis.client.ping


def span(act: Callable[[], object]) -> float:
    """Milliseconds that it takes."""
    began = time.monotonic_ns()
    act()
    return (time.monotonic_ns() - began) / 1e6


def percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def main() -> None:
    asked = arguments(__doc__, redis=None)
    count = FEW if asked.quick else MANY
    step = "ping" if asked.redis else "sync"
    figures: dict[str, list[float]] = {}
    about: dict[str, object] = {"tasks": count}
    for _ in range(1 if asked.quick else asked.rounds):
        answers, starts, steps = [], [], []
        with (
            folder() as home,
            store(asked.redis) as redis,
            node(home, **HANDLERS, **settings(redis)) as running,
            sync(home) if redis is None else ping(redis) as act,
        ):
            about |= facts(redis)
            for number in range(-10, count):
                answered, started = one(running)
                stepped = span(act)
                if number >= 0:  # the first ones warm up
                    answers.append(answered)
                    starts.append(started)
                    steps.append(stepped)
            if running.counts()["completed"] != count + 10:
                raise RuntimeError(f"{running.counts()} instead of {count + 10} tasks")
        for name, values in (("latency_answer", answers), ("latency_start", starts), (f"latency_{step}", steps)):
            figures.setdefault(f"{name}_p50", []).append(statistics.median(values))
            figures.setdefault(f"{name}_p99", []).append(percentile(values, 99))
        beyond = statistics.median(starts) - statistics.median(steps)
        figures.setdefault(f"latency_beyond_{step}", []).append(beyond)
    for name, values in figures.items():
        report(name, values, "ms", **about)


if __name__ == "__main__":
    main()
