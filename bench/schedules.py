"""What do many schedules cost a node that has nothing else to do?

10,000 schedules that are due within the year but not now: how fast they are made over REST, one a request; what share
of a core the node uses while nothing is due, beside the same node without any; its memory; and with twenty more that
are due every second, how late their tasks begin.
"""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from harness import Client, Node, arguments, moment, node, report, tasks, until

MANY, FEW = 10_000, 300
WATCHED, GLANCED = 30.0, 4.0
"""Seconds over which the idle node is watched, and with `--quick`."""
CLIENTS = 16


def fill(running: Node, count: int) -> float:
    """Make `count` schedules, half cron and half intervals; schedules a second."""

    def make(first: int) -> None:
        client = Client(running.port)
        for number in range(first, count, CLIENTS):
            body: dict[str, object] = {"id": f"s{number}", "payload": {"n": number}, "timezone": "Europe/Berlin"}
            if number % 2:
                body["every"] = f"{300 + number % 60}d"
            else:
                body["cron"] = f"{number % 60} {number // 60 % 24} 1 {coming(number)} *"
            client.call("POST", "/api/schedules", body)
        client.close()

    began = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(make, range(CLIENTS)))
    return count / (time.monotonic() - began)


def coming(number: int) -> int:
    """A month that is neither this one nor the next."""
    return (time.gmtime().tm_mon + 1 + number % 10) % 12 + 1


def idle(running: Node, seconds: float) -> float:
    """Percent of a core while nothing happens."""
    before, began = running.cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    return (running.cpu_seconds() - before) / (time.monotonic() - began) * 100


def firing(running: Node, count: int, seconds: float) -> tuple[int, list[float]]:
    """With `count` schedules due every second: how many tasks that made, and how late they began (milliseconds)."""
    for number in range(count):
        running.client.call("PUT", f"/api/schedules/f{number}", {"payload": None, "every": "1s"})
    time.sleep(seconds)
    for number in range(count):
        running.client.call("POST", f"/api/schedules/f{number}/pause")
    until(lambda: _ended(running.client), 30)
    made = [task for task in tasks(running.client, handler="echo") if task["schedule"].startswith("f")]
    return len(made), [(moment(task["startedAt"]) - moment(task["runAt"])) * 1e3 for task in made]


def _ended(client: Client) -> bool:
    counts = client.call("GET", "/api/cluster/status")["tasks"]
    return not (counts["pending"] or counts["processing"])


def main() -> None:
    asked = arguments(__doc__)
    count, seconds = (FEW, GLANCED) if asked.quick else (MANY, WATCHED)
    made, without, with_them, memory, late = [], [], [], [], []
    fired = 0
    for _ in range(1 if asked.quick else asked.rounds):
        with node() as running:
            time.sleep(2)
            without.append(idle(running, seconds))
            made.append(fill(running, count))
            time.sleep(5)
            with_them.append(idle(running, seconds))
            memory.append(running.rss_mb())
            listed = running.client.call("GET", "/api/schedules")["schedules"]
            if len(listed) != count or any(one["nextRunAt"] is None for one in listed):
                raise RuntimeError(f"{len(listed)} schedules of {count}, or some are never due")
            number, delays = firing(running, 20, seconds / 3)
            fired += number
            late.append(statistics.median(delays))
    facts = {"schedules": count, "watched_s": seconds}
    report("schedules_made", made, "schedules/s", clients=CLIENTS, **facts)
    report("idle_cpu", without, "% of a core", schedules=0, watched_s=seconds)
    report("schedules_idle_cpu", with_them, "% of a core", **facts)
    report("schedules_rss", memory, "MB", **facts)
    report("schedules_late", late, "ms", due_per_second=20, tasks=fired, **facts)


if __name__ == "__main__":
    main()
