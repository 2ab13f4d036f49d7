"""One process per data directory: an exclusive `flock` on its file `LOCK`, held for life.

State: the open file. The kernel lets go of it when the process ends, however it ends; children do not inherit it. Its
content says who holds it and is for people only. A network filesystem, where such locks cannot be trusted, is refused.
"""

from __future__ import annotations

import fcntl
import os
import re
import socket
from contextlib import suppress
from pathlib import Path

from msgspec import DecodeError, Struct, json

from taskqueue.core.errors import ConfigError
from taskqueue.core.times import format_time

NETWORK = frozenset(
    [
        *("9p", "afs", "ceph", "cifs", "coda", "gfs2", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "smb3"),
        *("smbfs", "fuse.ceph", "fuse.gcsfuse", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"),
    ]
)
"""Types of filesystems on which locks or syncs do not hold."""

_ESCAPE = re.compile(r"\\([0-7]{3})")


class Holder(Struct, frozen=True):
    """Who holds a data directory, and since when (RFC 3339)."""

    node: str
    pid: int
    host: str
    since: str


class DirectoryLock:
    """A data directory that this process alone may use."""

    def __init__(self, directory: Path, node: str, now: int) -> None:
        """Make the directory if it is missing, and take it.

        Raises:
            ConfigError: somebody else has it, it cannot be used, or it lies on a network filesystem.
        """
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            kind = filesystem(directory, Path("/proc/self/mountinfo").read_text("utf-8"))
            if kind in NETWORK:
                raise ConfigError(f"dataDir {directory}: is on a network filesystem ({kind}); use a local one")
            self._path = directory / "LOCK"
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(f"dataDir {directory}: cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            who = _holder(self._file)
            os.close(self._file)
            if not isinstance(error, BlockingIOError):
                raise ConfigError(f"dataDir {directory}: cannot be locked: {error.strerror}") from error
            raise ConfigError(f"dataDir {directory}: in use by {who}") from None
        with suppress(OSError):  # on a full disk it holds without a name
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, json.encode(Holder(node, os.getpid(), socket.gethostname(), format_time(now))), 0)

    def lost(self) -> str | None:
        """Why others may take the directory for free, though this process holds its lock; None where they do not."""
        try:
            if os.path.samestat(os.stat(self._path), os.fstat(self._file)):
                return None
            reason = "is another file now"
        except OSError as error:
            reason = f"cannot be found any more ({error.strerror})"
        return f"the lock {self._path} {reason}: another node may use the same data"

    def release(self) -> None:
        """Let go. Idempotent."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def holder_of(directory: Path) -> str | None:
    """Who has a data directory now, for people; None where nobody has. Nothing is made.

    To ask the kernel is to hold a shared lock for a moment: a node that starts in just that moment is refused.

    Raises:
        OSError: it cannot be looked at.
    """
    try:
        file = os.open(directory / "LOCK", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return _holder(file)
    finally:
        os.close(file)


def _holder(file: int) -> str:
    """Who holds the lock, for a message."""
    try:
        holder = json.decode(os.pread(file, 4096, 0), type=Holder)
    except DecodeError:
        return "another process"
    return f"node {holder.node} (pid {holder.pid} on {holder.host}) since {holder.since}"


def filesystem(path: Path, mountinfo: str) -> str:
    """The type of the filesystem that holds `path`, by the text of `/proc/self/mountinfo`; "" if it does not say."""
    real = path.resolve()
    best, kind = Path(), ""
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        mount = Path(_ESCAPE.sub(lambda code: chr(int(code[1], 8)), left.split()[4]))
        if real.is_relative_to(mount) and len(mount.parts) >= len(best.parts):
            best, kind = mount, right.split()[0]
    return kind
