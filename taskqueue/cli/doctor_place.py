"""What `doctor` looks at on this machine: the folder of a database, and a port."""

from __future__ import annotations

import errno
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from taskqueue.cli.findings import Finding, bad, ok, warn

SCARCE, TIGHT = 64 << 20, 1 << 30
"""Bytes on the disk: below the first a node is about to stop taking tasks, below the second it soon may."""


def folder(path: Path) -> Iterator[Finding]:
    """A `dataDir`: may a node be there, on what disk, with how much room, and who has it."""
    from storage.lock import NETWORK, filesystem, holder_of

    place = path.absolute()
    there = place
    while not there.exists() and there != there.parent:
        there = there.parent
    made = "" if there == place else " (it will be made)"
    if not there.is_dir():
        yield bad("dataDir", f"{there} is no folder", "name another dataDir")
        return
    if not os.access(there, os.R_OK | os.W_OK | os.X_OK):
        yield bad("dataDir", f"{there} is not writable for user {os.geteuid()}", "chown it, or run as its owner")
        return
    yield ok("dataDir", f"{place}{made}")
    kind = filesystem(there, Path("/proc/self/mountinfo").read_text("utf-8"))
    if kind in NETWORK:
        yield bad("disk", f"{kind} is a network filesystem: locks and syncs do not hold", "use a local disk")
    else:
        yield ok("disk", kind or "local")
    free = shutil.disk_usage(there)[2]
    said = f"{free / 2**30:,.1f} GiB free"
    if free < SCARCE:
        yield bad("space", said, "make room, or move the dataDir")
    elif free < TIGHT:
        yield warn("space", said, "make room, or lower `retention`")
    else:
        yield ok("space", said)
    try:
        holder = holder_of(place)
    except OSError as error:
        yield bad("lock", f"{place / 'LOCK'}: {error.strerror}", "run as the node's user")
    else:
        yield ok("lock", "free" if holder is None else f"held by {holder}; a second node there exits 2")


def port(host: str, number: int) -> Finding:
    """Could a node listen there? One that does already is fine."""
    name = f"port {number}"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, number))
            probe.listen(1)
            return ok(name, f"free on {host}")
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return bad(name, f"{host}: {error.strerror}", "choose another apiPort or apiHost")
    if _is_node(host, number):
        return ok(name, f"a node of taskqueue listens on {host}")
    return bad(name, f"something else listens on {host}", "choose another apiPort, or stop it (ss -ltnp shows it)")


def _is_node(host: str, number: int) -> bool:
    from taskqueue.cli.api import Api
    from taskqueue.core.errors import TaskqueueError

    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - looked at, not bound
    shown = f"[{reachable}]" if ":" in reachable else reachable
    api = Api(f"http://{shown}:{number}", None)
    try:
        reply = api.ask("GET", "/healthz", within=5.0)
    except TaskqueueError:
        return False
    finally:
        api.door.close()
    return reply.status in (200, 503) and b'"problems"' in reply.body
