"""The file of the SQLite backend: how it is opened, and what is refused without being touched."""

from __future__ import annotations

import random
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from storage import sqlite_file
from storage import verbs as v
from storage.sqlite_file import NAME, PRAGMAS, READER_PRAGMAS, WRITER_PRAGMAS
from taskqueue.core.clock import ManualClock
from taskqueue.core.errors import ConfigError, StoreDamaged, StoreError
from taskqueue.core.events import Code
from taskqueue.core.views import Filter
from tests.factories import draft
from tests.sqlite_files import content, copy_alive, opened
from tests.stores import assert_sound

WAL = f"{NAME}-wal"
TASKS = 300
PAGE = 4096


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """A directory that a store with tasks was closed in."""
    folder = tmp_path / "clean"
    fill(folder)
    return folder


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A directory as a killed node leaves it, with a log of several transactions that are not in the file yet."""
    folder = tmp_path / "origin"
    fill(folder)
    with opened(folder) as store:
        for number in range(5):
            store.execute([v.Submit(draft(f"late{number}"))])
        return copy_alive(folder, tmp_path / "killed")


def fill(folder: Path) -> None:
    with opened(folder) as store:
        store.execute([v.Submit(draft(f"t{n}", payload=b"%d" % n * 200)) for n in range(TASKS)])


def edit(file: Path, change: Callable[[bytearray], bytes | bytearray]) -> None:
    file.write_bytes(change(bytearray(file.read_bytes())))


def flip(data: bytearray, at: int) -> bytearray:
    data[at] ^= 1
    return data


def test_every_pragma_is_as_promised(clean: Path) -> None:
    with opened(clean) as store, closing(sqlite_file.reader(clean / NAME)) as reader:
        for connection, pragmas in ((store._writer, WRITER_PRAGMAS), (reader, READER_PRAGMAS)):
            for name, _, wanted in pragmas:
                assert connection.execute(f"PRAGMA {name}").fetchone() == (wanted,)
    settings = {name: wanted for name, _, wanted in WRITER_PRAGMAS}
    assert settings.items() >= {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "mmap_size": 0}.items()
    assert settings.items() >= {"wal_autocheckpoint": 4000, "journal_size_limit": 64 << 20}.items()


def test_a_pragma_that_does_not_take_is_refused(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "READER_PRAGMAS", (*PRAGMAS, ("query_only", "OFF", 1)))
    with pytest.raises(ConfigError, match="query_only"), opened(clean):
        pass


def test_readers_cannot_write(clean: Path) -> None:
    with opened(clean), closing(sqlite_file.reader(clean / NAME)) as reader:
        refusal = pytest.raises(sqlite3.OperationalError, match="readonly")
        with refusal:
            reader.execute("DELETE FROM tasks")


def test_only_the_owner_can_look_into_a_fresh_directory(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "data"
    with opened(folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}


def test_a_creation_that_was_interrupted_is_begun_anew(tmp_path: Path) -> None:
    for suffix in (".new", ".new-wal", ".new-journal"):
        (tmp_path / f"{NAME}{suffix}").write_bytes(b"half")
    fill(tmp_path)
    assert set(content(tmp_path)) == {NAME}


def test_everything_is_there_after_a_restart(clean: Path) -> None:
    with opened(clean) as store:
        before = [store.get(f"t{n}") for n in range(TASKS)]
        store.execute([v.Pause("slow"), v.PutSchedule(v.Schedule(id="s", spec=b"{}", cursor=1))])
        views, schedules = store.queues(), store.schedules()
    with opened(clean) as store:
        assert [store.get(f"t{n}") for n in range(TASKS)] == before
        assert (store.queues(), store.schedules()) == (views, schedules)
        store.execute([v.Submit(draft("new"))])
        assert store.find(Filter(), 1).tasks[0].id == "new"


def truncate(folder: Path) -> None:
    edit(folder / NAME, lambda data: data[: len(data) // 2])


def cut_in_a_page(folder: Path) -> None:
    edit(folder / NAME, lambda data: data[:-100])


def zero_the_first_page(folder: Path) -> None:
    edit(folder / NAME, lambda data: bytes(PAGE) + data[PAGE:])


def zero_everything(folder: Path) -> None:
    edit(folder / NAME, lambda data: bytes(len(data)))


def empty(folder: Path) -> None:
    (folder / NAME).write_bytes(b"")


def text(folder: Path) -> None:
    (folder / NAME).write_bytes(b"no database\n" * 1000)


def garbage(folder: Path) -> None:
    """One page of every ten is noise."""
    noise = random.Random(1)

    def spoil(data: bytearray) -> bytearray:
        for at in range(PAGE, len(data), 10 * PAGE):
            data[at : at + PAGE] = noise.randbytes(PAGE)
        return data

    edit(folder / NAME, spoil)


def without(what: str) -> Callable[[Path], None]:
    """One thing of the schema is missing."""

    def harm(folder: Path) -> None:
        with closing(sqlite3.connect(folder / NAME)) as connection:
            connection.execute(f"DROP {what}")

    harm.__name__ = f"without_{what}"
    return harm


def without_everything(folder: Path) -> None:
    """As a rescue that rescued nothing leaves it: marked as ours, and no table in it."""
    (folder / NAME).unlink()
    with closing(sqlite3.connect(folder / NAME)) as connection:
        connection.execute(f"PRAGMA application_id = {sqlite_file.APPLICATION}")
        connection.execute(f"PRAGMA user_version = {sqlite_file.SCHEMA}")


def garble_a_lane(folder: Path) -> None:
    with closing(sqlite3.connect(folder / NAME, isolation_level=None)) as connection:
        connection.execute("UPDATE lanes SET handler = CAST(x'6563ff0a6f' AS TEXT)")


def garble_a_paused_queue(folder: Path) -> None:
    with closing(sqlite3.connect(folder / NAME, isolation_level=None)) as connection:
        connection.execute("INSERT INTO paused VALUES (CAST(x'ff' AS TEXT))")


LOST = [without("TABLE tasks"), without("TABLE tallies"), without("VIEW records"), without_everything]
HARMS = [truncate, cut_in_a_page, zero_the_first_page, zero_everything, empty, text, garbage]
HARMS += [*LOST, garble_a_lane, garble_a_paused_queue]


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
def test_a_damaged_file_is_refused_and_not_touched(clean: Path, harm: Callable[[Path], None]) -> None:
    harm(clean)
    refused_untouched(clean, NAME)


@pytest.mark.parametrize("harm", [truncate, zero_the_first_page, empty, garbage], ids=lambda harm: harm.__name__)
def test_a_damaged_file_with_a_log_is_refused_and_not_touched(killed: Path, harm: Callable[[Path], None]) -> None:
    harm(killed)
    (killed / f"{NAME}-shm").write_bytes(b"old index")
    refused_untouched(killed, NAME)


@pytest.mark.parametrize("at", [5, 32 + 3000, 32 + 24 + PAGE + 500], ids=["header", "first frame", "second frame"])
def test_a_flipped_bit_in_the_log_is_refused_and_not_touched(killed: Path, at: int) -> None:
    edit(killed / WAL, lambda data: flip(data, at))
    refused_untouched(killed, WAL)


def test_a_log_without_its_file_is_refused_and_not_touched(killed: Path) -> None:
    (killed / NAME).unlink()
    refused_untouched(killed, NAME)


def test_a_log_that_is_missing_though_the_node_was_killed_is_a_warning(
    killed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """SQLite removes the log before its index, so a kill at that moment leaves the same: no reason to refuse."""
    (killed / f"{NAME}-shm").write_bytes(b"old index")
    with opened(killed) as store:  # its log is there
        assert store.get("late4") is not None
    assert warned(caplog) == []
    with opened(killed):  # it was closed in order
        pass
    assert warned(caplog) == []
    (killed / f"{NAME}-shm").write_bytes(b"old index")
    with opened(killed) as store:
        assert_sound(store)
    (message,) = warned(caplog)
    assert f"{killed / WAL} is missing" in message
    assert "what was acknowledged last may be missing" in message
    with opened(killed):
        pass
    assert len(warned(caplog)) == 1


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The warnings of a missing log so far."""
    return [record.getMessage() for record in caplog.records if getattr(record, "event", None) == "log_missing"]


def refused_untouched(folder: Path, file: str) -> None:
    """Opening says in one line what is wrong with which file and what to do; every byte stays, nobody is locked out."""
    before = content(folder)
    for _ in range(2):
        with pytest.raises(StoreDamaged) as caught, opened(folder):
            pass
        message = str(caught.value)
        assert f"{folder / file}: damaged: " in message
        assert "nothing was changed" in message
        assert ".dump" in message
        assert "\n" not in message
        assert content(folder) == before


def test_a_killed_nodes_log_is_taken_up(killed: Path) -> None:
    with opened(killed) as store:
        assert_sound(store)
        assert store.get("late4") is not None


def test_a_torn_last_transaction_is_dropped_and_all_before_it_kept(killed: Path) -> None:
    edit(killed / WAL, lambda data: data[:-10])
    with opened(killed) as store:
        assert_sound(store)
        assert [store.get(f"late{n}") is None for n in range(5)] == [False, False, False, False, True]


@pytest.mark.parametrize(
    ("pragma", "message"),
    [("user_version = 99", "newer taskqueue"), ("application_id = 7", "another application")],
)
def test_files_of_others_are_refused(clean: Path, pragma: str, message: str) -> None:
    with closing(sqlite3.connect(clean / NAME)) as connection:
        connection.execute(f"PRAGMA {pragma}")
    before = content(clean)
    with pytest.raises(ConfigError, match=message) as caught, opened(clean):
        pass
    assert "\n" not in str(caught.value)
    assert content(clean)[NAME] == before[NAME]


def test_a_file_of_an_earlier_version_goes_on(clean: Path) -> None:
    file = clean / NAME
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        new = sorted(connection.execute("SELECT name, sql FROM sqlite_master WHERE tbl_name = 'members'"))
        for index in ("members_live", "members_nodes", "members_leases", "members_gone"):
            connection.execute(f"DROP INDEX {index}")
        connection.execute("ALTER TABLE members DROP COLUMN ttl")
        connection.execute("CREATE INDEX members_live ON members (node) WHERE gone_at IS NULL")
        connection.execute("PRAGMA user_version = 1")
    with opened(clean) as store:
        assert len(store.statuses([f"t{n}" for n in range(TASKS)])) == TASKS
        assert store.execute([v.Lease("w", "worker", 1)]) == [v.Answer(Code.OK)]
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (sqlite_file.SCHEMA,)
        upgraded = sorted(connection.execute("SELECT name, sql FROM sqlite_master WHERE tbl_name = 'members'"))
    assert [name for name, _ in upgraded] == [name for name, _ in new]
    assert [sql for name, sql in upgraded if name != "members"] == [sql for name, sql in new if name != "members"]


def test_a_file_that_somebody_has_locked_is_no_damage(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "READER_PRAGMAS", (("busy_timeout", "0", 0),))  # or it would wait five seconds
    with closing(sqlite3.connect(clean / NAME, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ConfigError, match="locked"), opened(clean):
            pass


def test_a_file_that_cannot_be_opened_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(ConfigError, match="cannot be used: "), opened(tmp_path):
        pass


def test_reads_see_one_moment_and_wait_for_no_write(clean: Path) -> None:
    with opened(clean, ManualClock()) as store:
        store._writer.execute("BEGIN IMMEDIATE")
        store._writer.execute("DELETE FROM tasks WHERE id = 't1'")
        assert store.get("t1") is not None
        assert len(store.find(Filter(), 1000).tasks) == TASKS
        store._writer.execute("COMMIT")
        assert store.get("t1") is None


def test_more_readers_at_a_time_get_more_connections(clean: Path) -> None:
    with opened(clean) as store:
        with store._reading() as one, store._reading() as two:
            assert one("lane.last").fetchall() == two("lane.last").fetchall() == [(TASKS,)]
        assert len(store._pool) == 2
        store.get("t1")
        assert len(store._pool) == 2


def test_a_value_that_cannot_be_looked_for_is_an_error_of_its_own(clean: Path) -> None:
    with opened(clean) as store:
        with pytest.raises(UnicodeEncodeError):
            store.get("\ud800")
        assert store.get("t1") is not None


def test_a_read_that_fails_says_so_and_leaves_no_connection(clean: Path) -> None:
    with opened(clean) as store:
        store._writer.execute("DROP VIEW records")
        with pytest.raises(StoreError, match="records"):
            store.get("t1")
        store._writer.execute("DROP TABLE term")
        assert "term" in (store.check() or "")
        assert not store._pool
