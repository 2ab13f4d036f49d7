"""A node in a process of its own, for tests that need a real one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
READY_WITHIN = 30.0
DOWN_WITHIN = 45.0


class NodeProcess:
    """A started `python -m actors.node`, whose log is read as it comes."""

    def __init__(self, process: subprocess.Popen[str], errors: Path) -> None:
        self.process = process
        self.log: list[dict[str, Any]] = []
        self._errors = errors
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def url(self) -> str:
        """Where its API listens; waits until it does."""
        return f"http://127.0.0.1:{self.event('ready')['port']}"

    @property
    def errors(self) -> str:
        """What it wrote to stderr."""
        return self._errors.read_text()

    def event(self, name: str, within: float = READY_WITHIN) -> dict[str, Any]:
        """The first log line with this event; fails the test if none comes in time."""
        end = time.monotonic() + within
        with self._changed:
            while True:
                for line in self.log:
                    if line.get("event") == name:
                        return line
                ended = not self._reader.is_alive()
                if ended or not self._changed.wait(end - time.monotonic()):
                    state = f"exit code {self.process.poll()}" if ended else f"nothing in {within} s"
                    raise AssertionError(f"no {name!r}: {state}; stderr: {self.errors!r}; log: {self.log[-5:]}")

    def call(self, method: str, path: str, body: object = None) -> Any:
        """The JSON answer of a REST call; raises HTTPError where it is refused."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def end(self) -> int:
        """Ask it to stop, and wait; the exit code."""
        self.process.terminate()
        code = self.process.wait(DOWN_WITHIN)
        self._reader.join(DOWN_WITHIN)
        return code

    def close(self) -> None:
        """Whatever state it is in: gone after this, and nothing left open."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(DOWN_WITHIN)
        self._reader.join(DOWN_WITHIN)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            with self._changed:
                self.log.append(json.loads(text))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()


@contextmanager
def node_process(folder: Path, *arguments: str, **environ: str) -> Iterator[NodeProcess]:
    """A node with its data in `folder`, started with further arguments; killed at the end if it still runs."""
    command = [sys.executable, "-m", "actors.node", "--port", "0", "--log-format", "json"]
    errors = folder / "stderr.txt"
    with errors.open("w") as stderr:
        process = subprocess.Popen(
            [*command, "--data-dir", str(folder / "data"), *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    node = NodeProcess(process, errors)
    try:
        yield node
    finally:
        node.close()
