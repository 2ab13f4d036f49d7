"""A node refuses what it cannot trust: one line that says what to do, exit 2, and every file as it was."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from textwrap import dedent

import pytest

from tests.clients import until
from tests.faults import ledger
from tests.processes import Ended, NodeProcess, Nodes

HERE = str(Path(__file__).parent)
PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
DB, WAL = "taskqueue.db", "taskqueue.db-wal"


def contents(place: Path) -> dict[str, tuple[int, bytes]]:
    """Every file beneath a place (or the file that it is), byte for byte, with its mode; of the lock only the name."""
    files = [place, *sorted(place.rglob("*"))]
    return {
        str(file): (file.lstat().st_mode, file.read_bytes() if file.is_file() and file.name != "LOCK" else b"")
        for file in files
    }


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data of a node that was killed: a database, and a log with many transactions."""
    node = NodeProcess(tmp_path_factory.mktemp("crashed"), {})
    client = node.start()
    try:
        for n in range(60):
            client.submit("nobody", {"n": n, "text": "x" * 300}, id=f"t{n}")
    finally:
        node.reap()
    (node.data / "taskqueue.db-shm").unlink()
    return node.data


def flip(name: str, at: float) -> Callable[[Path], None]:
    """Change one byte at this fraction of a file."""

    def spoil(data: Path) -> None:
        content = bytearray((data / name).read_bytes())
        content[int(len(content) * at)] ^= 0x55
        (data / name).write_bytes(content)

    return spoil


def garbage_page(data: Path) -> None:
    """All in the database, then noise in its midst."""
    with closing(sqlite3.connect(data / DB)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'tasks'").fetchone()
    content = bytearray((data / DB).read_bytes())
    content[(page - 1) * 4096 : page * 4096] = bytes(range(256)) * 16
    (data / DB).write_bytes(content)


def garbage_leaf(data: Path) -> None:
    """All in the database, then noise where some of the tasks are."""
    with closing(sqlite3.connect(data / DB)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
    content = bytearray((data / DB).read_bytes())
    leaf_of_a_table = 13
    starts = range(0, len(content), 4096)
    at = next(at for at in starts if content[at] == leaf_of_a_table and b"t30" in content[at : at + 4096])
    content[at : at + 4096] = bytes(range(256)) * 16
    (data / DB).write_bytes(content)


def header(data: Path) -> None:
    """By byte 18, SQLite opens the file, and finds out at the first write that it may not."""
    content = bytearray((data / DB).read_bytes())
    content[18] ^= 0x10
    (data / DB).write_bytes(content)


def no_tables(data: Path) -> None:
    for file in data.iterdir():
        file.unlink()
    with closing(sqlite3.connect(data / DB)) as connection:
        connection.executescript("PRAGMA application_id = 1414616389; PRAGMA user_version = 2")


def lane(data: Path) -> None:
    """All in the database, then one byte of a handler's name."""
    with closing(sqlite3.connect(data / DB, isolation_level=None)) as connection:
        connection.execute("UPDATE lanes SET handler = CAST(x'6e6fff' AS TEXT)").close()


def newer(data: Path) -> None:
    with closing(sqlite3.connect(data / DB)) as connection:
        connection.execute("PRAGMA user_version = 99").close()


def foreign(data: Path) -> None:
    for file in data.iterdir():
        file.unlink()
    with closing(sqlite3.connect(data / DB)) as connection:
        connection.executescript("CREATE TABLE album (title TEXT); INSERT INTO album VALUES ('Blue')")


def alone(content: bytes) -> Callable[[Path], None]:
    """The database is replaced by these bytes, and has no log."""

    def spoil(data: Path) -> None:
        (data / WAL).unlink()
        (data / DB).write_bytes(content)

    return spoil


def a_file(data: Path) -> None:
    shutil.rmtree(data)
    data.write_text("not a folder")


def no_database(data: Path) -> None:
    (data / DB).unlink()


REFUSED: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "a flipped byte amid the log": (flip(WAL, 0.5), (WAL, "damaged", "restore a backup")),
    "a page of garbage": (garbage_page, (DB, "damaged", "restore a backup")),
    "a damaged header": (header, (DB, "its header is damaged", "restore a backup")),
    "an empty file": (alone(b""), (DB, "empty", "restore a backup")),
    "no database": (alone(b"Dear diary, today I learnt what a database is not.\n" * 200), (DB, "restore a backup")),
    "no tables": (no_tables, (DB, "damaged: no such table", "restore a backup")),
    "a lane without a readable name": (lane, (DB, "damaged", "UTF-8 column 'handler'", "restore a backup")),
    "a newer schema": (newer, ("dataDir", "newer taskqueue")),
    "somebody else's database": (foreign, ("dataDir", "another application")),
    "a log without its database": (no_database, (DB, "missing", "backup")),
    "a file as dataDir": (a_file, ("dataDir",)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_and_left_alone(nodes: Nodes, crashed: Path, case: str) -> None:
    spoil, words = REFUSED[case]
    node = nodes()
    shutil.copytree(crashed, node.data)
    spoil(node.data)
    before = contents(node.data)
    node.launch()
    assert_refused(node.ended(), *words)
    after = contents(node.data)
    assert before.keys() - after.keys() == set()
    assert after.keys() - before.keys() <= {str(node.data / "LOCK")}
    assert {name: after[name] for name in before} == before


def assert_refused(ended: Ended, *words: str) -> None:
    """Exit 2, one line that says all of this, and nothing else."""
    assert ended.code == 2, ended
    assert ended.out == ""
    assert len(ended.err.splitlines()) == 1, ended.err
    for word in words:
        assert word in ended.err


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="needs the sqlite3 shell")
@pytest.mark.parametrize("spoil", [flip(WAL, 0.5), garbage_leaf], ids=["the log", "a page"])
def test_what_can_be_read_is_saved_as_the_page_says(
    nodes: Nodes, crashed: Path, spoil: Callable[[Path], None]
) -> None:
    """Its commands, as they stand there; then all that was submitted is sent again."""
    node = nodes()
    shutil.copytree(crashed, node.data)
    spoil(node.data)
    node.launch()
    assert "A damaged file" in node.ended().err
    text = PAGE.read_text().partition("\n## A damaged file\n")[2].partition("\n## ")[0]
    commands = [dedent(block) for block in re.findall(r"^ *```bash\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)]
    commands += re.findall(r"`(sqlite3 damaged/.*?)`", text)
    ended = subprocess.run(
        ["bash", "-c", "\n".join(commands)], cwd=node.home, capture_output=True, text=True, timeout=60, check=False
    )
    *_, verdict, saved = ended.stdout.split()
    assert verdict == "ok", ended
    client = node.start()
    assert len(client.tasks()) == int(saved)
    assert 10 < int(saved) < 60
    again = [
        client.post("/api/tasks", {"id": f"t{n}", "handler": "nobody", "payload": {"n": n, "text": "x" * 300}})
        for n in range(60)
    ]
    statuses = [reply.status for reply in again]
    assert (statuses.count(200), statuses.count(201)) == (int(saved), 60 - int(saved))
    assert client.counts()["pending"] == 60
    assert node.end().code == 0


def test_a_missing_log_beside_its_index_is_said(nodes: Nodes, crashed: Path) -> None:
    node = nodes()
    shutil.copytree(crashed, node.data)
    (node.data / WAL).unlink()
    (node.data / f"{DB}-shm").write_bytes(b"")
    node.start()
    assert node.wait_log("log_missing", 5)["level"] == "warning"
    assert node.end().code == 0


def test_a_torn_log_is_normal(nodes: Nodes, crashed: Path) -> None:
    node = nodes()
    shutil.copytree(crashed, node.data)
    size = (node.data / WAL).stat().st_size
    os.truncate(node.data / WAL, size - 2_000)
    client = node.start()
    kept = {task["id"] for task in client.tasks()}
    assert {f"t{n}" for n in range(55)} <= kept
    assert node.end().code == 0


def test_a_folder_that_cannot_be_made(nodes: Nodes) -> None:
    node = nodes()
    (node.home / "file").write_text("")
    node.config["dataDir"] = str(node.home / "file" / "data")
    node.launch()
    assert_refused(node.ended(), "dataDir")
    node.config["dataDir"] = "/proc/nobody/can/write/here"
    node.launch()
    assert_refused(node.ended(), "dataDir")


def test_missing_parents_are_made(nodes: Nodes) -> None:
    node = nodes()
    node.config["dataDir"] = str(node.home / "a" / "b" / "data")
    node.start()
    assert (node.home / "a" / "b" / "data" / DB).exists()
    assert node.end().code == 0


def test_one_node_a_folder(nodes: Nodes, tmp_path: Path) -> None:
    """The second is told who holds it; a kill frees it at once, whatever children the first has left behind."""
    data = str(tmp_path / "data")
    env = {"LEDGER": str(tmp_path / "ledger")}
    first = nodes("first", env=env, dataDir=data, nodeId="one", appDir=HERE, handlers=["workload"])
    client = first.start()
    pid = first.pid
    task = client.submit("hang.child", {})
    client.finished(task)
    second = nodes("second", dataDir=data, nodeId="two")
    second.launch()
    assert_refused(second.ended(), "dataDir", "in use by node one", f"pid {pid}")
    assert client.submit("echo", 1)
    assert len(ledger.read(tmp_path / "ledger")) == 2
    assert until(lambda: children(pid), 5, "the child is there")
    first.kill()
    client = second.start()
    assert children(pid), "it is still there"
    assert client.task(task)["status"] == "completed"
    assert second.end().code == 0


def test_who_lost_its_lock_ends_at_once(nodes: Nodes, tmp_path: Path) -> None:
    """Somebody removed the file, so a second node starts. The first has something to do, yet does not wait for it, and
    a signal does not make an orderly end of it.
    """
    data = tmp_path / "data"
    first = nodes("first", dataDir=str(data), nodeId="one", shutdownGrace="1h")
    client = first.start()
    task = client.submit("sleep", {"seconds": 1}, timeout="30s")
    client.reaches(task, "processing")
    (data / "LOCK").unlink()
    second = nodes("second", dataDir=str(data), nodeId="two")
    second.launch()
    first.wait_log("failed", 20)
    while first.alive:
        with suppress(ProcessLookupError):
            first.send(signal.SIGTERM)
    ended = first.ended()
    assert (ended.code, ended.err) == (1, "")
    failures = [line for line in ended.out.splitlines() if '"level": "error"' in line]
    assert len(failures) == 1, failures
    assert str(data / "LOCK") in failures[0]
    client = second.ready()
    assert client.finished(task)["status"] == "completed"
    assert second.end().code == 0


def children(pid: int) -> list[int]:
    """Processes of the group of this one, itself aside."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and entry.name != str(pid):
            try:
                group = os.getpgid(int(entry.name))
            except ProcessLookupError:
                continue
            if group == pid:
                found.append(int(entry.name))
    return found


def test_a_stopped_holder_still_holds(nodes: Nodes, tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    first = nodes("first", dataDir=data)
    first.start()
    first.send(signal.SIGSTOP)
    second = nodes("second", dataDir=data)
    second.launch()
    assert_refused(second.ended(), "dataDir", "in use by node")
    first.send(signal.SIGCONT)
    assert first.end().code == 0
