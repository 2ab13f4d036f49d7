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
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

READY_WITHIN = 30.0


class Client:
    """One keep-alive connection to a node."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def call(self, method: str, path: str, body: object = None) -> Any:
        """The parsed answer. Raises RuntimeError for anything but a 2xx."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        self._connection.request(method, path, data, {"Content-Type": "application/json"} if data is not None else {})
        answer = self._connection.getresponse()
        text = answer.read()
        if not 200 <= answer.status < 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text) if text else None

    def close(self) -> None:
        self._connection.close()


class Node:
    """A running `python -m actors.node` and what the system says of it."""

    def __init__(self, process: subprocess.Popen[str], port: int, ready_after: float) -> None:
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


@contextmanager
def node(*arguments: str, **settings: object) -> Iterator[Node]:
    """Start a node in a directory of its own, wait until it says that it is ready, and stop it in the end."""
    with tempfile.TemporaryDirectory(prefix="taskqueue-bench-") as folder:
        config = Path(folder) / "config.json"
        config.write_text(json.dumps({"apiPort": 0, "logFormat": "json", "dataDir": folder + "/data", **settings}))
        command = [sys.executable, "-m", "actors.node", "--config", str(config), *arguments]
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent)
        try:
            running = Node(process, _port(process), time.monotonic() - began)
            yield running
            running.client.close()
        finally:
            process.terminate()
            process.communicate(timeout=60)


def _port(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the node ended with exit code {process.wait()}")
        said = json.loads(line)
        if said.get("event") == "ready":
            return int(said["port"])
    raise RuntimeError(f"the node was not ready within {READY_WITHIN} s")


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


def arguments(description: str | None) -> argparse.Namespace:
    """`--quick` for a short run, `--rounds` for how often the figure is taken."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small numbers: does it work, not how fast is it")
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


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
            }
        ),
        flush=True,
    )
