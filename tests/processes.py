"""Nodes in processes of their own: started, watched over HTTP and their logs, killed, and always reaped.

A `NodeProcess` is a place (a folder with data, configuration and handlers) in which one process after the other runs.
`nodes` is the fixture that makes them; `conftest.py` of a folder takes it over by importing it. What they logged is
printed when the test ends, so that pytest shows it where the test failed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

import pytest

from tests.clients import Client

COMMAND = (sys.executable, "-m", "actors.node")
READY_WITHIN = 30.0
"""Seconds; generous, since other tests may run beside this one. That a node starts fast is measured elsewhere."""

LINES_SHOWN = 100

QUICK: dict[str, Any] = {
    "apiPort": 0,
    "logFormat": "json",
    "pollInterval": "100ms",
    "backoff": {"base": "20ms", "factor": 1.5, "max": "200ms", "jitter": 0.2},
    "shutdownGrace": "2s",
}
"""A configuration for tests: what waits by default for seconds waits for less."""


class Ended(NamedTuple):
    """How a process ended."""

    code: int
    out: str
    err: str


class _Stream:
    """Reads one of a process's streams, so that it never blocks, and wakes who waits for a line."""

    def __init__(self, stream: IO[str]) -> None:
        self.lines: list[str] = []
        self._stream = stream
        self._changed = threading.Condition()
        self._open = True
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._stream:
            for line in self._stream:
                with self._changed:
                    self.lines.append(line.rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._open = False
            self._changed.notify_all()

    def find(self, wanted: Callable[[str], bool], within: float) -> str | None:
        """The first line that is wanted, also of those to come; None where it does not come, or the stream ended."""
        deadline = time.monotonic() + within
        seen = 0
        with self._changed:
            while True:
                for line in self.lines[seen:]:
                    if wanted(line):
                        return line
                seen = len(self.lines)
                left = deadline - time.monotonic()
                if not self._open or left <= 0:
                    return None
                self._changed.wait(left)

    def join(self) -> None:
        """Wait until all is read. A child of the process may still hold the other end, and say nothing."""
        self._thread.join(2)


class NodeProcess:
    """See the module. `config` is written to the place's file at each start; change it between two starts."""

    def __init__(
        self, home: Path, config: Mapping[str, Any], *, env: Mapping[str, str] = {}, wrapper: Sequence[str] = ()
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        self.data = home / "data"
        self.config: dict[str, Any] = {**QUICK, "dataDir": str(self.data), **config}
        self.env = dict(env)
        self.wrapper = tuple(wrapper)
        self.said: list[str] = []
        self._groups: list[int] = []
        self._process: subprocess.Popen[str] | None = None
        self._out: _Stream | None = None
        self._err: _Stream | None = None

    def launch(self, *args: str, command: Sequence[str] = COMMAND, cwd: Path | None = None, file: bool = True) -> None:
        """Start the process and do not wait. `file`: with `--config` and the place's file."""
        assert self._process is None, "the one before has not ended"
        if file:
            path = self.home / "node.json"
            path.write_text(json.dumps(self.config))
            args = ("--config", str(path), *args)
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("TASKQUEUE_")}
        self._process = subprocess.Popen(
            [*self.wrapper, *command, *args],
            cwd=cwd or self.home,
            env={**inherited, **self.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._groups.append(self._process.pid)
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._out, self._err = _Stream(self._process.stdout), _Stream(self._process.stderr)

    def start(self, *args: str, within: float = READY_WITHIN, **options: Any) -> Client:
        """Start the process and wait for its ready line."""
        self.launch(*args, **options)
        return self.ready(within)

    def ready(self, within: float = READY_WITHIN) -> Client:
        """A client of the node, once it has said that it is ready."""
        return Client(self.wait_log("ready", within)["port"])

    def wait_log(self, event: str, within: float) -> dict[str, Any]:
        """The first log line of that event."""
        found: dict[str, Any] = json.loads(self.wait_line(f'"event": "{event}"', within))
        return found

    def wait_line(self, words: str, within: float) -> str:
        """The first line on stdout with these words."""
        assert self._out is not None
        line = self._out.find(lambda text: words in text, within)
        if line is None:
            pytest.fail(f"no line {words!r} within {within:g} s; it said:\n{self.text()}")
        return line

    @property
    def pid(self) -> int:
        """Of the present process."""
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Does the process run?"""
        return self._process is not None and self._process.poll() is None

    def send(self, number: int) -> None:
        """Send a signal to the process."""
        os.kill(self.pid, number)

    def end(self, number: int = signal.SIGTERM, within: float = 20.0) -> Ended:
        """Send a signal and wait for the end."""
        self.send(number)
        return self.ended(within)

    def kill(self) -> None:
        """As a power cut would: no goodbye."""
        assert self.end(signal.SIGKILL).code == -signal.SIGKILL

    def ended(self, within: float = 20.0) -> Ended:
        """How the process ended, once it has."""
        process = self._process
        assert process is not None
        assert self._out is not None
        assert self._err is not None
        try:
            code = process.wait(within)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still there after {within:g} s; it said:\n{self.text()}")
        self._out.join()
        self._err.join()
        self.said += [f"-- pid {process.pid} ended with {code}", *self._out.lines, *self._err.lines]
        self._process = None
        return Ended(code, "\n".join(self._out.lines), "\n".join(self._err.lines))

    def text(self) -> str:
        """The last of what the processes here have said."""
        now = [*self._out.lines, *self._err.lines] if self._process and self._out and self._err else []
        return "\n".join([*self.said, *now][-LINES_SHOWN:])

    def reap(self) -> None:
        """Make an end of the process, and of all children of those that ran here."""
        for group in self._groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        self._groups.clear()
        if self._process is not None:
            self.ended()


Nodes = Callable[..., NodeProcess]


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    """Makes nodes: `nodes(queueSize=5)`, with a `name` where a test has several."""
    made: list[NodeProcess] = []

    def make(name: str = "node", *, env: Mapping[str, str] = {}, wrapper: Sequence[str] = (), **config: Any) -> Any:
        made.append(NodeProcess(tmp_path / name, config, env=env, wrapper=wrapper))
        return made[-1]

    yield make
    for node in made:
        node.reap()
        print(f"== {node.home.name}\n{node.text()}")


def open_gate(folder: Path, text: str) -> None:
    """Let the handler `gate` go on, with this text: whole, or not at all."""
    (folder / "closed").write_text(text)
    (folder / "closed").rename(folder / "open")
