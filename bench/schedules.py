"""How fast are schedules made, and how late do their tasks begin where there are many?

10,000 schedules that are due within the year but not now, made over REST, one a request; then, on top of them, twenty
that are due every second. What they cost a node that has nothing else to do is for `idle.py`. Checked: each is there
with a next due time, and each due time of the twenty became one task.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter

from harness import Client, Node, arguments, moment, node, report, tasks, until
from parts.timetable import CLIENTS, check, fill

MANY, FEW = 10_000, 300
FIRED, WATCHED, GLANCED = 20, 10.0, 2.0


def firing(running: Node, seconds: float) -> list[float]:
    """With `FIRED` more, due every second: how late their tasks began (milliseconds)."""
    for number in range(FIRED):
        running.client.call("PUT", f"/api/schedules/f{number}", {"payload": None, "every": "1s"})
    time.sleep(seconds)
    for number in range(FIRED):
        running.client.call("POST", f"/api/schedules/f{number}/pause")
    until(lambda: _ended(running.client), 30)
    made = [task for task in tasks(running.client, handler="echo") if task["schedule"].startswith("f")]
    due = Counter((task["schedule"], task["runAt"]) for task in made)
    if max(due.values()) > 1 or len(due) < FIRED * (seconds - 1):
        raise RuntimeError(f"{len(made)} tasks of {len(due)} due times in {seconds} s")
    return [(moment(task["startedAt"]) - moment(task["runAt"])) * 1e3 for task in made]


def _ended(client: Client) -> bool:
    counts = client.call("GET", "/api/cluster/status")["tasks"]
    return not (counts["pending"] or counts["processing"])


def main() -> None:
    asked = arguments(__doc__)
    count, seconds = (FEW, GLANCED) if asked.quick else (MANY, WATCHED)
    made, late, worst, fired = [], [], [], 0
    for _ in range(1 if asked.quick else asked.rounds):
        with node() as running:
            made.append(fill(running, count))
            check(running, count)
            delays = firing(running, seconds)
            fired += len(delays)
            late.append(statistics.median(delays))
            worst.append(max(delays))
    report("schedules_made", made, "schedules/s", clients=CLIENTS, schedules=count)
    report("schedules_late", late, "ms", due_per_second=FIRED, tasks=fired, schedules=count)
    report("schedules_latest", worst, "ms", due_per_second=FIRED, tasks=fired, schedules=count)


if __name__ == "__main__":
    main()
