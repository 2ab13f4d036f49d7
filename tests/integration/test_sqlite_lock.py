"""One process per data directory."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from storage import lock
from storage.lock import DirectoryLock, filesystem
from storage.sqlite_file import NAME
from taskqueue.core.clock import SECOND
from taskqueue.core.errors import ConfigError, StoreBroken
from tests.sqlite_files import REGISTER, child, content, lines, opened

NOW = 1_790_000_000 * SECOND


def test_the_second_is_told_who_has_it(tmp_path: Path) -> None:
    with child("hold", tmp_path) as process:
        next(lines(process, "open"))
        with pytest.raises(ConfigError) as caught, opened(tmp_path):
            pass
        message = str(caught.value)
        holder = f"node child (pid {process.pid} on {os.uname().nodename})"
        assert message.startswith(f"dataDir {tmp_path}: in use by {holder} since 20")
        assert "\n" not in message
        process.communicate("")
        assert process.returncode == 0
    with opened(tmp_path) as store:
        assert store.check() is None


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    with child("hold", tmp_path) as process:
        next(lines(process, "open"))
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        with opened(tmp_path) as store:
            assert store.check() is None


def test_children_do_not_inherit_it(tmp_path: Path) -> None:
    held = DirectoryLock(tmp_path, "n", NOW)
    assert not os.get_inheritable(held._file)
    held.release()
    held.release()
    DirectoryLock(tmp_path, "n", NOW).release()


def move(lock_file: Path) -> None:
    lock_file.rename(lock_file.with_name("other"))


def replace(lock_file: Path) -> None:
    lock_file.unlink()
    lock_file.touch()


@pytest.mark.parametrize("harm", [Path.unlink, move, replace])
def test_who_lost_the_file_writes_nothing_more_and_says_so(tmp_path: Path, harm: Callable[[Path], object]) -> None:
    with opened(tmp_path) as store:
        assert store.execute([REGISTER])
        harm(tmp_path / "LOCK")
        trouble = store.check()
        assert trouble is not None
        assert str(tmp_path / "LOCK") in trouble
        with pytest.raises(StoreBroken, match="another node may use the same data"):
            store.execute([REGISTER])


def test_a_holder_that_has_not_said_its_name_yet(tmp_path: Path) -> None:
    held = DirectoryLock(tmp_path, "n", NOW)
    os.ftruncate(held._file, 0)
    with pytest.raises(ConfigError, match="in use by another process"):
        DirectoryLock(tmp_path, "m", NOW)
    held.release()


def test_a_path_that_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"dataDir .*/file/data: cannot be used: Not a directory"):
        DirectoryLock(tmp_path / "file" / "data", "n", NOW)


def test_a_lock_that_the_kernel_cannot_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: int, how: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    with pytest.raises(ConfigError, match="cannot be locked: No locks available"):
        DirectoryLock(tmp_path, "n", NOW)


def test_network_filesystems_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = filesystem(tmp_path, Path("/proc/self/mountinfo").read_text("utf-8"))
    assert here not in ("", *lock.NETWORK)
    monkeypatch.setattr(lock, "NETWORK", {here})
    with pytest.raises(ConfigError, match=rf"network filesystem \({here}\)"), opened(tmp_path):
        pass
    assert NAME not in content(tmp_path)


MOUNTS = r"""21 1 254:1 / / rw,relatime shared:1 - ext4 /dev/root rw
30 21 0:30 / /mnt rw shared:2 master:3 - nfs4 server:/export rw
31 30 0:31 / /mnt/local rw - xfs /dev/sdb rw
32 21 0:32 / /mnt/with\040space rw - fuse.sshfs me@host: rw
33 31 0:33 / /mnt/local rw - tmpfs over rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/data", "ext4"),
        ("/mnt", "nfs4"),
        ("/mnt/x/y", "nfs4"),
        ("/mntx", "ext4"),
        ("/mnt/with space/y", "fuse.sshfs"),
        ("/mnt/local/x", "tmpfs"),
    ],
)
def test_the_filesystem_of_a_path(path: str, kind: str) -> None:
    assert filesystem(Path(path), MOUNTS) == kind


def test_no_mounts_no_type() -> None:
    assert filesystem(Path("/x"), "") == ""
