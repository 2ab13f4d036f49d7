"""How many tasks a second can 64 clients submit one by one, beside what the same server answers to an empty JSON POST?
Each is acknowledged after an fsync; with `--redis` the node is one of a cluster, and Redis has answered.

Two servers of the same make, turn by turn: a node, and one that answers `{}` and stores nothing. All clients are in
this process. `paused`: the tasks wait. `running`: the node also runs them meanwhile, as it would on a working day.
Checked: each task was stored, once. Commits are counted by the node itself; syncs by strace in a run of their own,
whose rate does not count.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import PARTS, Node, arguments, node, port_of, report, until
from parts.crowd import Crowd, request
from parts.servers import facts, settings, store

CLIENTS = 64
MANY, FEW = 10_000, 640
TASK = request("/api/tasks", json.dumps({"handler": "echo", "payload": {"text": "x" * 60}}).encode())
EMPTY = request("/", b"{}")


@contextmanager
def empty() -> Iterator[int]:
    """The port of a server that does nothing."""
    process = subprocess.Popen([sys.executable, f"{PARTS}/empty.py"], stdout=subprocess.PIPE, text=True)
    try:
        yield port_of(process)
    finally:
        process.terminate()
        process.communicate(timeout=60)


class Turns:
    """What each turn brought: rates, how they compare, and what a task cost."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.empty: list[float] = []
        self.ratios: list[float] = []
        self.commits: list[float] = []
        self.cpu: list[float] = []
        self.client: list[float] = []

    def take(self, running: Node, crowd: Crowd, other: Crowd, count: int) -> None:
        """An empty turn, one that counts, an empty turn."""
        before, _ = other.send(EMPTY, count)
        commits, cpu = running.metric("taskqueue_store_batch_count"), running.cpu_seconds()
        took, client = crowd.send(TASK, count)
        self.cpu.append((running.cpu_seconds() - cpu) / count * 1e6)
        self.commits.append((running.metric("taskqueue_store_batch_count") - commits) / count)
        after, _ = other.send(EMPTY, count)
        self.rates.append(count / took)
        self.empty.append(2 * count / (before + after))
        self.ratios.append(self.rates[-1] / self.empty[-1] * 100)
        self.client.append(client / count * 1e6)


def syncs(count: int) -> float | None:
    """Syncs a commit, by strace; None where there is none. Under it all is slower, so commits are smaller."""
    if shutil.which("strace") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "syncs"
        wrapper = ("strace", "-D", "-f", "--seccomp-bpf", "-qq", "-e", "trace=fsync,fdatasync", "-o", str(log))
        with node(wrapper=wrapper) as running:
            running.client.call("POST", "/api/queues/default/pause")
            crowd = Crowd(running.port, CLIENTS)
            before = _syncs(log), running.metric("taskqueue_store_batch_count")
            crowd.send(TASK, count)
            after = _syncs(log), running.metric("taskqueue_store_batch_count")
            crowd.close()
            if running.counts()["pending"] != count:
                raise RuntimeError(f"stored {running.counts()} instead of {count}")
    return (after[0] - before[0]) / (after[1] - before[1])


def _syncs(log: Path) -> int:
    return len(re.findall(r"sync\(", log.read_text()))


def main() -> None:
    asked = arguments(__doc__, redis=None)
    count = FEW if asked.quick else MANY
    paused, busy = Turns(), Turns()
    with empty() as port, store(asked.redis) as redis, node(**settings(redis)) as running:
        crowd, other = Crowd(running.port, CLIENTS), Crowd(port, CLIENTS)
        crowd.send(TASK, count // 10)
        other.send(EMPTY, count // 10)
        stored = count // 10
        for turns, verb in ((paused, "pause"), (busy, "resume")):
            running.client.call("POST", f"/api/queues/default/{verb}")
            until(lambda: verb == "pause" or not running.counts()["pending"], 120)  # noqa: B023 - called at once
            for _ in range(1 if asked.quick else asked.rounds):
                turns.take(running, crowd, other, count)
                stored += count
        until(lambda: running.counts()["completed"] == stored, 120)
        if sum(running.counts().values()) != stored:
            raise RuntimeError(f"{running.counts()} instead of {stored} tasks")
        durability = running.client.call("GET", "/api/cluster/status")["durability"]
        about = {"tasks": count, "clients": CLIENTS, "durability": durability, **facts(redis)}
        crowd.close()
        other.close()
    synced = None if asked.redis else syncs(FEW if asked.quick else MANY // 5)
    for name, turns in (("paused", paused), ("running", busy)):
        report(f"single_posts_{name}", turns.rates, "tasks/s", client_us=round(min(turns.client), 1), **about)
        report(f"single_posts_{name}_empty", turns.empty, "requests/s", **about)
        report(f"single_posts_{name}_ratio", turns.ratios, "% of an empty POST", **about)
        report(f"single_posts_{name}_commits", turns.commits, "commits/task", **about)
        report(f"single_posts_{name}_cpu", turns.cpu, "us/task", **about)
    if synced is not None:
        report("single_posts_syncs", [synced], "syncs/commit", counted_by="strace", clients=CLIENTS)


if __name__ == "__main__":
    main()
