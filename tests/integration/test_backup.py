"""`taskqueue backup`: what it copies is whole, also beside a node at work; what cannot be copied well is not copied."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from storage import sqlite_backup, sqlite_file
from storage import verbs as v
from storage.sqlite_backup import backup
from taskqueue.core.errors import ConfigError, StoreDamaged
from tests.clients import REFUSED, Client, until
from tests.factories import draft
from tests.processes import Nodes
from tests.sqlite_files import content, copy_alive, opened

COMMAND = str(Path(sys.executable).with_name("taskqueue"))


def run(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, "backup", *map(str, words)], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


def refused(*words: object, cwd: Path | None = None) -> str:
    """The one line that says why."""
    done = run(*words, cwd=cwd)
    assert (done.returncode, done.stdout) == (2, ""), done
    (line,) = done.stderr.splitlines()
    return line


class Clients:
    """Submit one batch after the other, until told to stop; `known` are the ids that were acknowledged."""

    def __init__(self, client: Client, count: int) -> None:
        self.known: set[str] = set()
        self._client = client
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._submit, args=(number,)) for number in range(count)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def _submit(self, number: int) -> None:
        for batch in range(1_000_000):
            if self._stop.is_set():
                return
            tasks = [{"id": f"c{number}-{batch}-{n}", "payload": {"text": "x" * 700 * (n % 2)}} for n in range(20)]
            try:
                reply = self._client.post("/api/tasks/batch", {"tasks": tasks})
            except REFUSED:
                return
            self.known.update(item["id"] for item in reply.json["items"] if item["status"] == 201)


def test_a_copy_of_a_node_at_work_holds_all_that_was_acknowledged(nodes: Nodes, tmp_path: Path) -> None:
    """Restoring is: put the copy into an empty data directory, under the name of the database, and start."""
    node = nodes()
    client = node.start()
    target = tmp_path / "copy.db"
    with Clients(client, 3) as clients:
        until(lambda: len(clients.known) >= 400, 30, "a node at work")
        before = set(clients.known)
        done = run(target, "--config", node.home / "node.json")
        assert done.returncode == 0, done
        assert done.stderr == ""
        after = len(clients.known)
        until(lambda: len(clients.known) > after, 30, "the node goes on")
    assert client.settled()["completed"] == len(clients.known), "the node did not notice"
    assert node.end().code == 0

    assert f"{target}: " in done.stdout
    assert " tasks, " in done.stdout
    assert target.stat().st_mode & 0o777 == 0o600
    restored = nodes("restored")
    restored.data.mkdir(mode=0o700)
    shutil.copyfile(target, restored.data / sqlite_file.NAME)
    client = restored.start()
    client.settled()
    found = {task["id"]: task for task in client.tasks(status="completed")}
    assert before <= set(found)
    assert f"{len(found):,} tasks" in done.stdout
    assert all(task["result"] == task["payload"] for task in found.values())
    assert restored.end().code == 0


def test_a_copy_of_what_a_killed_node_left_holds_its_log(tmp_path: Path) -> None:
    with opened(tmp_path / "data") as store:
        store.execute([v.Submit(draft("a")), v.Submit(draft("b", payload=b'"' + b"x" * 5_000 + b'"'))])
        left = copy_alive(tmp_path / "data", tmp_path / "left")
        assert (left / f"{sqlite_file.NAME}-wal").stat().st_size > 0
    done = backup(left, tmp_path / "copy.db")
    assert (done.tasks, done.corrupt) == (2, ())
    assert done.size == (tmp_path / "copy.db").stat().st_size
    restored = tmp_path / "restored"
    restored.mkdir()
    (tmp_path / "copy.db").rename(restored / sqlite_file.NAME)
    with opened(restored) as store:
        assert {task.id for task in (store.get("a"), store.get("b")) if task is not None} == {"a", "b"}


def test_a_copy_of_a_stopped_node_changes_nothing_of_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with opened(data) as store:
        store.execute([v.Submit(draft("a"))])
    before = content(data)
    assert backup(data, tmp_path / "copy.db").tasks == 1
    assert content(data)[sqlite_file.NAME] == before[sqlite_file.NAME]
    with opened(data) as store:
        assert store.get("a") is not None
    assert sorted(file.name for file in tmp_path.iterdir()) == ["copy.db", "data"]


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The directory of a node that has stopped."""
    with opened(tmp_path / "data") as store:
        store.execute([v.Submit(draft(f"t{n}", payload=b'"' + b"x" * 2_000 + b'"')) for n in range(50)])
    return tmp_path / "data"


def test_a_file_that_is_there_is_not_overwritten(data: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    target.write_text("precious")
    assert refused(target, "--data-dir", data) == f"{target}: exists already; a backup overwrites nothing"
    assert target.read_text() == "precious"
    assert not (tmp_path / "copy.db.part").exists()


def test_a_file_that_comes_meanwhile_is_not_overwritten(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "copy.db"
    copy = sqlite_backup._copy

    def slow(source: Path, part: Path) -> None:
        copy(source, part)
        target.write_text("precious")

    monkeypatch.setattr(sqlite_backup, "_copy", slow)
    with pytest.raises(ConfigError, match="exists already"):
        backup(data, target)
    assert target.read_text() == "precious"
    assert not (tmp_path / "copy.db.part").exists()


def test_of_two_backups_to_one_place_the_second_is_told(data: Path, tmp_path: Path) -> None:
    part = tmp_path / "copy.db.part"
    part.write_text("the other's")
    line = refused(tmp_path / "copy.db", "--data-dir", data)
    assert line == f"{part}: is there, of a backup that still runs or was cut off: delete it then"
    assert part.read_text() == "the other's"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "backup: name the file to write: taskqueue backup DEST"),
        (["--data-dir", "data"], "backup: name the file to write: taskqueue backup DEST"),
        (["copy.db", "--data-dir", "elsewhere"], "dataDir elsewhere: there is no taskqueue.db"),
        (["copy.db", "--port", "x"], "--port: "),
        (["nowhere/copy.db", "--data-dir", "data"], "nowhere/copy.db: cannot be written: No such file or directory"),
        (["data", "--data-dir", "data"], "data: exists already; a backup overwrites nothing"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(data: Path, words: list[str], said: str) -> None:
    assert said in refused(*words, cwd=data.parent)
    assert not (data.parent / "elsewhere").exists()


def test_only_sqlite_has_a_file(data: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"storage": "memory"}')
    assert refused("copy.db", cwd=tmp_path) == 'storage: "memory" has no file to back up'


def test_help(capfd: pytest.CaptureFixture[str]) -> None:
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "taskqueue backup DEST" in done.stdout


def test_the_file_of_another_application_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with closing(sqlite3.connect(tmp_path / "data" / sqlite_file.NAME)) as other:
        other.execute("CREATE TABLE t (x)")
    assert "another application" in refused(tmp_path / "copy.db", "--data-dir", tmp_path / "data")
    assert not list(tmp_path.glob("copy.db*"))


def test_a_damaged_file_is_not_copied(data: Path, tmp_path: Path) -> None:
    file = data / sqlite_file.NAME
    page = 4096
    with file.open("r+b") as opened_file:
        for number in range(2, file.stat().st_size // page):
            opened_file.seek(number * page)
            opened_file.write(b"\xff" * 64)
    line = refused(tmp_path / "copy.db", "--data-dir", data)
    assert line.startswith(f"{file}: damaged: ")
    assert not list(tmp_path.glob("copy.db*"))


def test_a_damaged_log_is_not_copied(tmp_path: Path) -> None:
    with opened(tmp_path / "data") as store:
        for number in range(5):
            store.execute([v.Submit(draft(f"t{number}"))])
        left = copy_alive(tmp_path / "data", tmp_path / "left")
    log = left / f"{sqlite_file.NAME}-wal"
    with log.open("r+b") as file:
        file.seek(32 + 24 + 100)
        file.write(b"\xff" * 8)
    line = refused(tmp_path / "copy.db", "--data-dir", left)
    assert line.startswith(f"{log}: damaged: ")
    assert not list(tmp_path.glob("copy.db*"))


def test_a_log_that_is_begun_anew_while_it_is_looked_at_is_looked_at_again(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = data / f"{sqlite_file.NAME}-wal"
    looks: list[Path] = []

    def damage(path: Path) -> str | None:
        looks.append(path)
        log.write_bytes(b"y" * 32 if len(looks) == 1 else b"")
        return "frame 3 is damaged, and later transactions follow it" if len(looks) == 1 else None

    monkeypatch.setattr(sqlite_backup.wal, "damage", damage)
    assert backup(data, tmp_path / "copy.db").tasks == 50
    assert looks == [log, log]


def test_a_payload_that_is_damaged_in_the_node_is_copied_and_told(data: Path, tmp_path: Path) -> None:
    """The node makes a dead letter of it when its turn comes; that is no reason to have no backup."""
    with closing(sqlite3.connect(data / sqlite_file.NAME)) as file:
        file.execute("UPDATE payloads SET body = x'22' WHERE seq = (SELECT seq FROM tasks WHERE id = 't7')")
        file.commit()
    assert backup(data, tmp_path / "copy.db").corrupt == ("t7",)
    done = run(tmp_path / "other.db", "--data-dir", data)
    assert done.returncode == 0
    assert "the payloads of 1 are not what was submitted, here and in the node (t7)" in done.stdout


def test_a_payload_that_was_not_copied_right_is_no_backup(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = sqlite_backup._copy

    def wrong(source: Path, part: Path) -> None:
        copy(source, part)
        with closing(sqlite3.connect(part)) as file:
            file.execute("UPDATE payloads SET body = x'22' WHERE seq = 1")
            file.commit()

    monkeypatch.setattr(sqlite_backup, "_copy", wrong)
    with pytest.raises(StoreDamaged, match="task t0 was not copied right"):
        backup(data, tmp_path / "copy.db")
    assert not list(tmp_path.glob("copy.db*"))


def test_a_full_disk_leaves_nothing_behind(data: Path, tmp_path: Path) -> None:
    command = f"ulimit -f 40; exec {COMMAND} backup copy.db --data-dir data"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2, done
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{tmp_path / 'copy.db'}: cannot be written: ")
    assert not list(tmp_path.glob("copy.db*"))


def test_a_copy_has_its_name_only_once_it_is_on_disk(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, part = tmp_path / "copy.db", tmp_path / "copy.db.part"
    steps: list[tuple[Path, bool]] = []
    sync = sqlite_file.sync

    def noted(path: Path) -> None:
        steps.append((path, target.exists()))
        sync(path)

    monkeypatch.setattr(sqlite_file, "sync", noted)
    backup(data, target)
    assert steps == [(part, False), (tmp_path, True)]
