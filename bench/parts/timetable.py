"""Many schedules for a node, none of which is due soon."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from harness import Client, Node

CLIENTS = 16


def fill(running: Node, count: int) -> float:
    """Make `count` schedules, half cron and half intervals, one a request; schedules a second."""

    def make(first: int) -> None:
        client = Client(running.port)
        for number in range(first, count, CLIENTS):
            body: dict[str, object] = {"id": f"s{number}", "payload": {"n": number}, "timezone": "Europe/Berlin"}
            if number % 2:
                body["every"] = f"{300 + number % 60}d"
            else:
                body["cron"] = f"{number % 60} {number // 60 % 24} 1 {_coming(number)} *"
            client.call("POST", "/api/schedules", body)
        client.close()

    began = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(make, range(CLIENTS)))
    return count / (time.monotonic() - began)


def _coming(number: int) -> int:
    """A month that is neither this one nor the next."""
    return (time.gmtime().tm_mon + 1 + number % 10) % 12 + 1


def check(running: Node, count: int) -> None:
    """Raises RuntimeError where some are missing, or never due."""
    listed = running.client.call("GET", "/api/schedules")["schedules"]
    if len(listed) != count or any(one["nextRunAt"] is None for one in listed):
        raise RuntimeError(f"{len(listed)} schedules of {count}, or some are never due")
