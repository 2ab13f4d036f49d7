"""Takes the README's picture of the dashboard: `python docs/screenshots/take.py`, with the packages of `.[test]` and
Debian's chromium.

It starts a node of its own in a temporary folder and gives it work. The hour before is made up: its counts are written
with the store's own verb, so that the charts have something to show. It also says how fast the page was painted first,
and how many bytes it took.
"""

from __future__ import annotations

import json
import math
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from storage import verbs as v
from storage.store import open_store
from taskqueue.core.clock import MILLISECOND, MINUTE, SystemClock
from taskqueue.core.config import Config
from taskqueue.core.tally import bucket, minute

HERE = Path(__file__).parent
PICTURES = {"dashboard": ("", False), "dashboard-dark": ("tasks", True)}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
HANDLERS = {"email.send": (90, 55), "invoice.render": (40, 110), "webhook.post": (25, 60), "report.build": (1, 2_000)}
"""What the made-up hour held: runs a minute, and milliseconds a run."""


def past(folder: Path) -> None:
    """Write an hour of counts into the store that the node will open."""
    clock = SystemClock()
    chance = random.Random(7)
    store = open_store(Config(data_dir=str(folder)), clock)
    now = minute(clock.now())
    try:
        for ago in range(60, 0, -1):
            swell = 1 + 0.5 * math.sin(ago / 9) + (1.1 if 20 < ago < 27 else 0)
            counts: dict[str, int] = {}
            for name, (usual, took) in HANDLERS.items():
                done = round(usual * swell * chance.uniform(0.85, 1.15))
                failed = round(done * (0.12 if 20 < ago < 25 and name == "webhook.post" else 0.01))
                counts |= {f"completed@{name}": done - failed, f"failed@{name}": failed}
                counts[f"run@{name}:{bucket(round(took * chance.uniform(0.8, 1.4)) * MILLISECOND)}"] = done
            counts["completed"] = sum(n for name, n in counts.items() if name.startswith("completed@"))
            counts["failed"] = sum(n for name, n in counts.items() if name.startswith("failed@"))
            counts["submitted"] = counts["completed"] + chance.randrange(12)
            counts["dead"] = counts["failed"] // 3
            counts[f"wait:{bucket(round(9 * swell**3 * chance.uniform(0.8, 1.3)) * MILLISECOND)}"] = counts["completed"]
            waiting = round(4 * swell**3 * chance.uniform(0.7, 1.2))
            store.execute([v.Tally(now - ago * MINUTE, counts, {"pending": waiting})])
    finally:
        store.close()


def work() -> list[dict[str, Any]]:
    """The tasks of the day."""
    tasks: list[dict[str, Any]] = [
        {"handler": "report.build", "payload": {"month": f"2026-{n:02}"}, "parameters": {"tags": ["monthly"]}}
        for n in (9, 10, 11)
    ]
    for n in range(40):
        to = "nobody" if n % 13 == 5 else f"customer{n}@example.com"
        tasks.append({"handler": "email.send", "payload": {"to": to}, "parameters": {"tags": ["order"]}})
        tasks.append({"handler": "invoice.render", "payload": {"order": 4_000 + n}})
    tasks += [
        {"handler": "webhook.post", "payload": {"url": "https://shop.example.com", "slow": n < 3}} for n in range(8)
    ]
    tasks += [
        {"handler": "email.send", "payload": {"to": f"vip{n}@example.com"}, "parameters": {"delay": "2h"}}
        for n in range(5)
    ]
    return tasks


def call(port: int, path: str, body: Any = None) -> Any:
    """Ask the node."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def settle(port: int) -> None:
    """Returns when only the reports run and only what is delayed waits."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        tasks: Mapping[str, int] = call(port, "/api/cluster/status")["tasks"]
        if tasks["pending"] == 5 and tasks["processing"] == 3 and not tasks["failed"]:
            return
        time.sleep(0.2)
    raise SystemExit("the work did not end within a minute")


def shoot(port: int) -> None:
    """Take the pictures."""
    browser = shutil.which("chromium")
    if browser is None:
        raise SystemExit("chromium is not installed")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=FLAGS)
        for name, (place, dark) in PICTURES.items():
            context = chromium.new_context(
                viewport={"width": 1360, "height": 900},
                color_scheme="dark" if dark else "light",
                timezone_id="UTC",
                locale="en-GB",
            )
            page = context.new_page()
            page.goto(f"http://127.0.0.1:{port}/#/{place}")
            page.wait_for_selector("main:not([aria-busy])")
            page.wait_for_load_state("networkidle")
            seen = page.evaluate(
                """() => [performance.getEntriesByName("first-contentful-paint")[0].startTime,
                   performance.getEntriesByType("resource").filter((one) => one.name.includes("/dashboard/"))
                     .reduce((sum, one) => sum + one.transferSize, 0)]"""
            )
            picture = HERE / f"{name}.png"
            page.screenshot(path=picture)
            size = picture.stat().st_size
            print(f"{picture.name}: {size:,} bytes; first paint after {seen[0]:.0f} ms, {seen[1]:,} bytes of files")
        chromium.close()


def main() -> None:
    """Start, fill, look, stop."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        past(place / "data")
        config = {
            "apiPort": 0,
            "dataDir": str(place / "data"),
            "appDir": str(HERE),
            "handlers": ["handlers"],
            "nodeId": "web1",
            "queues": ["*"],
            "logFormat": "json",
            "shutdownGrace": "100ms",
            "backoff": {"base": "100ms"},
        }
        (place / "node.json").write_text(json.dumps(config))
        command = [sys.executable, "-m", "actors.node", "--config", str(place / "node.json")]
        node = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert node.stdout is not None
            port = next(json.loads(line)["port"] for line in node.stdout if '"event": "ready"' in line)
            call(port, "/api/tasks/batch", {"tasks": work()})
            report = {"id": "monday-report", "handler": "report.build", "payload": {"month": "2026-11"}}
            call(port, "/api/schedules", {**report, "cron": "30 8 * * MON", "timezone": "Europe/Berlin"})
            settle(port)
            shoot(port)
        finally:
            node.send_signal(signal.SIGTERM)
            node.communicate(timeout=30)


if __name__ == "__main__":
    main()
