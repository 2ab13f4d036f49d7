"""How much of its workers' time does a node use where the disk takes its time to sync?

Handlers that wait for 20 ms, five at a time, and enough of them for some seconds; from the first start to the last
finish, by the tasks' own times, of what five workers can do without a pause. Each sync takes 0, 5, 20, 50 ms more than
it does, turn by turn: strace delays it, so only the first is taken where that is not installed. Checked: every task
completed, in one attempt.
"""

from __future__ import annotations

import shutil

from harness import HANDLERS, Node, arguments, moment, node, report, tasks, until

MANY, FEW = 1_500, 50
WORKERS, NAP = 5, 0.02
"""Seconds of each run."""

ADDED = (0, 5, 20, 50)
"""Milliseconds that each sync takes longer."""

WITHIN = 300.0


def slowed(strace: str, added: int) -> list[str]:
    """What a node is started with so that its disk is slow. It stays the process that was started (`-D`)."""
    calls = "fsync,fdatasync"
    rule = f"inject={calls}:delay_exit={added * 1_000}"
    return [strace, "-D", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", f"trace={calls}", "-e", rule]


def used(running: Node, count: int) -> float:
    """Percent of the workers' time."""
    running.client.call("POST", "/api/queues/default/pause")
    running.submit(count, handler="nap", payload={"seconds": NAP})
    running.client.call("POST", "/api/queues/default/resume")
    until(lambda: running.counts()["completed"] == count, WITHIN)
    done = list(tasks(running.client, status="completed"))
    if len(done) != count or any(task["attempt"] != 1 for task in done):
        raise RuntimeError("a task did not complete, or not in one attempt")
    span = max(moment(task["finishedAt"]) for task in done) - min(moment(task["startedAt"]) for task in done)
    return count * NAP / WORKERS / span * 100


def main() -> None:
    asked = arguments(__doc__)
    strace = shutil.which("strace")
    added_ms = ADDED if strace else ADDED[:1]
    count = FEW if asked.quick else MANY
    shares: dict[int, list[float]] = {added: [] for added in added_ms}
    for _ in range(1 if asked.quick else asked.rounds):
        for added, values in shares.items():
            wrapper = slowed(strace, added) if strace and added else []
            with node(wrapper=wrapper, **HANDLERS, workerCount=WORKERS) as running:
                values.append(used(running, count))
    for added, values in shares.items():
        report("slow_disk", values, "% of the workers' time", added_ms=added, handler_s=NAP, workers=WORKERS)


if __name__ == "__main__":
    main()
