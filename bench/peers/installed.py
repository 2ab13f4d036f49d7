"""The peers: what each is installed from, how its worker is started, and where it is put.

Each has an environment of its own (`.venv-peers/<peer>`, or another folder), so that none holds another to an old
version of what they share; none of them is a dependency of taskqueue.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent


class Peer(NamedTuple):
    """`worker` and `script` are command lines; `{bin}` and `{redis}` in them are filled in."""

    packages: Sequence[str]
    worker: Sequence[str]
    script: Sequence[str]


def _python(name: str, packages: Sequence[str], *worker: str) -> Peer:
    return Peer([*packages, "hiredis"], worker, ("{bin}/python", str(HERE / f"with_{name}.py")))


_QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "ERROR")
_BULLMQ = ("node", str(HERE / "with_bullmq.mjs"))
_NODE = (sys.executable, "-m", "actors.node", "--config", "{config}")

PEERS = {
    "taskqueue": Peer((), _NODE, (sys.executable, str(HERE / "with_taskqueue.py"))),
    "celery": _python("celery", ["celery[redis]"], "{bin}/celery", "-A", "with_celery", "worker", "-c", "2", *_QUIET),
    "dramatiq": _python("dramatiq", ["dramatiq[redis]"], "{bin}/dramatiq", "with_dramatiq", "-p", "2", "-t", "8"),
    "rq": _python(
        *("rq", ["rq"], "{bin}/rq", "worker-pool", "-n", "2", "-w", "rq.worker.SimpleWorker"),
        *("--url", "{redis}", "--logging-level", "ERROR"),
    ),
    "arq": _python("arq", ["arq"], "{bin}/arq", "with_arq.WorkerSettings"),
    "huey": _python(
        *("huey", ["huey", "redis"], "{bin}/python", "-m", "huey.bin.huey_consumer", "with_huey.huey"),
        *("-k", "thread", "-w", "10", "-q"),
    ),
    "taskiq": _python(
        *("taskiq", ["taskiq-redis"], "{bin}/taskiq", "worker", "with_taskiq:broker", "-w", "2"),
        *("--log-level", "ERROR"),
    ),
    "bullmq": Peer(["bullmq", "ioredis"], (*_BULLMQ, "worker"), _BULLMQ),
}


def install(name: str, folder: Path) -> str | None:
    """Install a peer where it is not yet; its version, None where that is not possible here."""
    place = folder / name
    packages = PEERS[name].packages
    if not packages:
        return "of this checkout"
    if name == "bullmq":
        if shutil.which("npm") is None:
            return None
        if not (place / "node_modules").exists():
            place.mkdir(parents=True, exist_ok=True)
            _quietly("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(place), *packages)
        said = json.loads((place / "node_modules" / name / "package.json").read_text())
        return str(said["version"])
    python = place / "bin" / "python"
    if not (place / "installed").exists():
        venv.create(place, with_pip=True, clear=True)
        _quietly(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)
        (place / "installed").touch()
    main = packages[0].partition("[")[0]
    return _quietly(str(python), "-c", f"from importlib.metadata import version as v; print(v({main!r}))").strip()


def _quietly(*command: str) -> str:
    """Its output. Raises RuntimeError with what it said, where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2000:]}")
    return done.stdout
