"""What does a node cost that has nothing to do, and what do 10,000 schedules add that are not due?

Memory, share of a core, and the time until it is ready: for a fresh node, and for the same data directory, with the
schedules, after a stop and a start. Checked: all schedules are there after that, each with a next due time.
"""

from __future__ import annotations

import time

from harness import Node, arguments, folder, node, report
from parts.timetable import check, fill

MANY, FEW = 10_000, 300
WATCHED, GLANCED = 30.0, 2.0
"""Seconds over which the idle node is watched, and with `--quick`."""
SETTLED, QUICKLY = 10.0, 1.0
"""Seconds after a start until it is watched: by then all schedules are read."""


def idle(running: Node, settle: float, seconds: float) -> float:
    """Percent of a core while nothing happens."""
    time.sleep(settle)
    before, began = running.cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    return (running.cpu_seconds() - before) / (time.monotonic() - began) * 100


def main() -> None:
    asked = arguments(__doc__)
    count, settle, seconds = (FEW, QUICKLY, GLANCED) if asked.quick else (MANY, SETTLED, WATCHED)
    figures: dict[str, tuple[str, int, list[float]]] = {}

    def take(name: str, unit: str, schedules: int, value: float) -> None:
        figures.setdefault(name, (unit, schedules, []))[2].append(value)

    for _ in range(1 if asked.quick else asked.rounds):
        with folder() as home:
            with node(home) as running:
                take("idle_ready", "s", 0, running.ready_after)
                take("idle_cpu", "% of a core", 0, idle(running, settle, seconds))
                take("idle_rss", "MB", 0, running.rss_mb())
                fill(running, count)
                check(running, count)
            with node(home) as running:
                take("idle_schedules_ready", "s", count, running.ready_after)
                take("idle_schedules_cpu", "% of a core", count, idle(running, settle, seconds))
                take("idle_schedules_rss", "MB", count, running.rss_mb())
                check(running, count)
    for name, (unit, schedules, values) in figures.items():
        report(name, values, unit, schedules=schedules, watched_s=seconds)


if __name__ == "__main__":
    main()
