"""Submit one `stdlib.stats` task for each source file of the standard library, follow them, and check every result.

    python examples/stdlib_stats/drive.py --url http://127.0.0.1:8080

Exit code 0: every task completed with the figures that this program computes itself; 1: not so.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import secrets
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

LIBRARY = Path(sysconfig.get_path("stdlib")).resolve()
BATCH = 500
TRIES = 20
TERMINAL = ("completed", "dead-lettered", "cancelled")


class Api:
    """The few REST calls that this needs. A node that is full or away is asked again, as its Retry-After says."""

    def __init__(self, url: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise SystemExit(f"--url: expected http://… or https://…, got {url}")
        self._url = url.rstrip("/")

    def submit(self, tasks: list[dict[str, Any]]) -> None:
        """Submit; since every task has an id of ours, submitting one again is harmless."""
        for _ in range(TRIES):
            items = self._call("POST", "/api/tasks/batch", {"tasks": tasks})["items"]
            again = [task for task, item in zip(tasks, items, strict=True) if item["status"] in (429, 503)]
            wrong = [item for item in items if item["status"] not in (200, 201, 429, 503)]
            if wrong:
                raise SystemExit(f"not accepted: {wrong[0]}")
            if not again:
                return
            tasks = again
            time.sleep(1)
        raise SystemExit(f"{len(tasks)} tasks were not accepted in {TRIES} tries")

    def finished(self, task_id: str) -> dict[str, Any]:
        """The task, once it is over."""
        while True:
            task: dict[str, Any] = self._call("GET", f"/api/tasks/{task_id}?wait=20s")
            if task["status"] in TERMINAL:
                return task

    def _call(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._url + path, data, headers, method=method)  # noqa: S310 - http(s), see above
        for _ in range(TRIES):
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - the same
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                text = error.read().decode(errors="replace")
                if error.code not in (429, 503):
                    raise SystemExit(f"{method} {path}: {error.code} {text}") from None
                time.sleep(float(error.headers.get("Retry-After", 1)))
            except urllib.error.URLError as error:
                raise SystemExit(f"{self._url} cannot be reached: {error.reason}") from None
        raise SystemExit(f"{method} {path}: refused {TRIES} times")


def sources(limit: int | None) -> list[str]:
    """The library's own source files, relative to it; installed packages are not among them."""
    found = (file.relative_to(LIBRARY) for file in LIBRARY.rglob("*.py"))
    own = sorted(path.as_posix() for path in found if not {"site-packages", "dist-packages"} & set(path.parts))
    return own[:limit]


def figures(path: str) -> dict[str, Any]:
    """What the handler should have found, computed line by line."""
    lines = words = 0
    digest = hashlib.sha256()
    with (LIBRARY / path).open("rb") as file:
        for line in file:
            lines += line.endswith(b"\n")
            words += len(line.split())
            digest.update(line)
    return {"path": path, "lines": lines, "words": words, "sha256": digest.hexdigest()}


def batches(tasks: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(tasks), BATCH):
        yield tasks[start : start + BATCH]


def follow(api: Api, ids: Iterable[tuple[str, str]], progress: Progress, bar: Any) -> tuple[list[str], int, int]:
    """Wait for each task and compare: what went wrong, and the sums of lines and words."""
    wrong: list[str] = []
    lines = words = 0
    for task_id, path in ids:
        task = api.finished(task_id)
        expected = figures(path)
        if task["status"] != "completed" or task["result"] != expected:
            wrong.append(f"{path}: {task['status']}, {task['result'] or task['error']}, expected {expected}")
        lines += expected["lines"]
        words += expected["words"]
        progress.advance(bar)
    return wrong, lines, words


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="the node's address (default: %(default)s)")
    parser.add_argument("--limit", type=int, help="only the first so many files")
    options = parser.parse_args()
    api, console = Api(options.url), Console()
    paths = sources(options.limit)
    run = secrets.token_hex(4)
    ids = {f"stats-{run}-{number:05}": path for number, path in enumerate(paths)}
    tasks = [{"id": key, "handler": "stdlib.stats", "payload": {"path": path}} for key, path in ids.items()]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    began = time.monotonic()
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("submitting", total=len(tasks))
        for batch in batches(tasks):
            api.submit(batch)
            progress.advance(bar, len(batch))
        progress.update(bar, description="comparing", completed=0)
        wrong, lines, words = follow(api, ids.items(), progress, bar)
    for text in wrong[:20]:
        print(f"WRONG {text}")
    print(
        f"compared {len(paths)} files ({lines} lines, {words} words) in {time.monotonic() - began:.1f} s: "
        f"{len(wrong)} differ"
    )
    return 1 if wrong or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
