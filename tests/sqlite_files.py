"""SQLite stores for tests: opened, looked at as files, used by a process of its own that can be killed or starved.

Run as a program (`child` does so) it opens the store in a folder and does one of `JOBS` with it.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from storage import verbs as v
from storage.sqlite import SqliteStore, open_sqlite
from storage.store import Verb
from taskqueue.core import events as ev
from taskqueue.core.clock import Clock, ManualClock, SystemClock
from taskqueue.core.config import Config
from taskqueue.core.errors import StoreBroken
from tests.factories import draft

ROOT = Path(__file__).parent.parent
BATCH = 20
REGISTER = v.Register(owner="o", node="n", host="h", pid=1, workers=1, queues=("default",), handlers=())
GROUP = v.Group(("echo",), ("*",), BATCH)


@contextmanager
def opened(folder: Path, clock: Clock | None = None, node: str = "n1") -> Iterator[SqliteStore]:
    """The store in `folder`, closed at the end."""
    store = open_sqlite(Config(data_dir=str(folder), node_id=node), clock or ManualClock())
    try:
        yield store
    finally:
        store.close()


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a data directory but the lock, whole."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "LOCK"}


def copy_alive(folder: Path, to: Path) -> Path:
    """A data directory as a sudden death would leave it: the files as they are now, while a store has them open."""
    to.mkdir()
    for name, data in content(folder).items():
        if not name.endswith("-shm"):
            (to / name).write_bytes(data)
    return to


def batch(number: int) -> list[str]:
    """The ids of one batch of submits."""
    return [f"b{number}-{n}" for n in range(BATCH)]


# -- the program -------------------------------------------------------------------------------------------------------


@contextmanager
def child(job: str, folder: Path, *wrapper: str) -> Iterator[subprocess.Popen[str]]:
    """A process that does `job` in `folder`, perhaps under another program; killed at the end, if it still lives."""
    command = [*wrapper, sys.executable, "-m", "tests.sqlite_files", job, str(folder)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def _say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def _flood(store: SqliteStore) -> None:
    """Submit batch after batch, each with a claim of it and the end of the last one; say the number of each stored."""
    store.execute([REGISTER])
    number, held = 0, ()
    while True:
        ends: list[Verb] = [ev.Complete(id=task.id, owner="o", fence=task.fence, result=b"1") for task in held]
        claim = v.Claim("o", number + 1, (GROUP,))
        *_, claimed = store.execute([*ends, *(v.Submit(draft(name)) for name in batch(number)), claim])
        assert isinstance(claimed, v.Claimed)
        held = claimed.tasks[0]
        _say(f"stored {number}")
        number += 1


def _flood_until_broken(store: SqliteStore) -> None:
    """Flood until the medium fails; then say how the next verb fares."""
    try:
        _flood(store)
    except StoreBroken as error:
        _say(f"broken {error}")
    try:
        store.execute([v.Pause("q")])
    except StoreBroken:
        _say("refused")
    _say(f"check {store.check()}")


def _flood_on_little_space(store: SqliteStore) -> None:
    """The same where no file may grow past 256 KiB: writing then fails as on a broken medium, not as on a full one."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (256 << 10, resource.RLIM_INFINITY))
    _flood_until_broken(store)


def _hold(store: SqliteStore) -> None:
    """Have it open until the standard input ends."""
    _say("open")
    sys.stdin.read()


JOBS = {job.__name__.strip("_"): job for job in (_flood, _flood_until_broken, _flood_on_little_space, _hold)}


def main(job: str, folder: str) -> None:
    """Do `job` with the store in `folder`."""
    with opened(Path(folder), SystemClock(), "child") as store:
        JOBS[job](store)


def lines(process: subprocess.Popen[str], starting: str) -> Iterator[str]:
    """What the program says, from lines that start so; the rest of each."""
    assert process.stdout is not None
    return (line.removeprefix(starting).strip() for line in process.stdout if line.startswith(starting))


def stored(acknowledged: Sequence[str]) -> list[str]:
    """The ids of all batches that the program said are stored."""
    return [name for number in acknowledged for name in batch(int(number))]


if __name__ == "__main__":
    main(*sys.argv[1:])
