"""Writing to the SQLite backend when things go wrong: sudden death, a full disk, a broken one, bad values, bugs."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from storage import sqlite as backend
from storage import verbs as v
from storage.sqlite import SqliteStore
from storage.sqlite_file import NAME
from taskqueue.core import events as ev
from taskqueue.core.errors import StoreBroken, StoreError, StoreFull
from taskqueue.core.events import Code
from taskqueue.core.task import Status
from taskqueue.core.views import Filter
from tests.factories import draft
from tests.sqlite_files import BATCH, GROUP, REGISTER, batch, child, lines, opened, stored
from tests.stores import assert_sound

LARGE = bytes(100_000)

strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


@pytest.fixture
def store(tmp_path: Path) -> Any:
    """A store with a node `o` that holds the task `held`."""
    with opened(tmp_path) as store:
        store.execute([REGISTER, v.Submit(draft("held")), v.Claim("o", 1, (GROUP,))])
        yield store
        if store._broken is None:
            assert_sound(store)


def complete(store: SqliteStore, result: bytes = b"1") -> ev.Complete:
    task = store.get("held")
    assert task is not None
    return ev.Complete(id="held", owner="o", fence=task.fence, result=result)


# -- sudden death ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("acknowledged", [1, 17, 60])
def test_a_kill_in_mid_batch_loses_nothing_that_was_acknowledged(tmp_path: Path, acknowledged: int) -> None:
    with child("flood", tmp_path) as process:
        said = lines(process, "stored ")
        numbers = list(islice(said, acknowledged))
        process.kill()
        numbers += said
    with opened(tmp_path) as store:
        assert_sound(store)
        ids = stored(numbers)
        assert len(store.statuses(ids)) == len(ids)
        later = [name for name in batch(len(numbers)) if store.get(name) is not None]
        assert later in ([], batch(len(numbers)))  # the batch on its way is whole, or not there
        assert store.counts()[Status.COMPLETED] >= len(ids) - 2 * BATCH


@strace
def test_every_acknowledgement_follows_a_sync(tmp_path: Path) -> None:
    log = tmp_path / "trace"
    wrapper = ("strace", "-f", "-o", str(log), "-e", "trace=fdatasync,fsync,write")
    with child("flood", tmp_path / "data", *wrapper) as process:
        list(islice(lines(process, "stored "), 30))
    calls = re.findall(r'(fdatasync|fsync|write\(1, "stored)', log.read_text())
    said = [at for at, call in enumerate(calls) if call.startswith("write")]
    assert len(said) >= 30
    for before, at in zip([0, *said], said, strict=False):
        assert any(call in ("fdatasync", "fsync") for call in calls[before:at])


# -- no room -----------------------------------------------------------------------------------------------------------


def limit_room(store: SqliteStore, pages: int | None) -> None:
    """Let the file grow by so many pages (None: as it likes)."""
    (now,) = store._writer.execute("PRAGMA page_count").fetchone()
    store._writer.execute(f"PRAGMA max_page_count = {1 << 30 if pages is None else now + pages}").fetchone()


def test_without_room_submits_are_refused_and_the_rest_goes_on(store: SqliteStore) -> None:
    limit_room(store, 3)
    large = v.Submit(draft("large", payload=LARGE))
    small = v.Submit(draft("small"))
    both = v.SubmitAll((draft("x", payload=LARGE), draft("y")))
    schedule = v.PutSchedule(v.Schedule(id="s", spec=b"{}", cursor=1))
    answers = store.execute([v.Pause("q"), small, large, complete(store), both, schedule])
    assert [type(answer) for answer in answers] == [v.Answer, StoreFull, StoreFull, v.Answer, StoreFull, StoreFull]
    assert store.get("held") == store.find(Filter(status=Status.COMPLETED), 9).tasks[0]
    assert len(store.find(Filter(), 9).tasks) == 1
    assert [view.name for view in store.queues() if view.paused] == ["q"]
    assert store.schedules() == []

    limit_room(store, None)
    answers = store.execute([small, large, both, schedule])
    assert [type(answer) for answer in answers] == [v.Submitted, v.Submitted, tuple, v.Schedule]
    assert len(store.find(Filter(), 9).tasks) == 5


def test_where_nothing_fits_nothing_is_changed(store: SqliteStore) -> None:
    limit_room(store, 3)
    before = store.get("held")
    end = complete(store, LARGE)
    answers = store.execute([v.Submit(draft("new")), v.Pause("q"), end])
    assert [type(answer) for answer in answers] == [StoreFull] * 3
    assert store.get("held") == before
    assert not any(view.paused for view in store.queues())
    assert store.check() == "no room to write: the disk is full"
    store.execute([])
    assert store.check() is not None

    limit_room(store, None)
    [answer] = store.execute([end])
    assert store.check() is None
    assert answer == v.Answer(Code.OK, Status.COMPLETED)
    task = store.get("held")
    assert task is not None
    assert task.result == LARGE


def test_submits_are_taken_again_once_tasks_were_deleted(store: SqliteStore) -> None:
    store.execute([v.Submit(draft("large", payload=LARGE)), ev.Cancel(id="large")])
    limit_room(store, 0)
    again = v.Submit(draft("more", payload=LARGE))
    assert isinstance(store.execute([again])[0], StoreFull)
    assert store.execute([ev.Delete(id="large")])[0].code is Code.OK  # type: ignore[union-attr]
    assert store.execute([again])[0].code is Code.OK  # type: ignore[union-attr]


# -- a medium that fails -----------------------------------------------------------------------------------------------


def broken(tmp_path: Path, job: str, name: str, *wrapper: str) -> None:
    """The child stores some batches, says that its medium is broken, refuses the next verb; what it stored is there."""
    with child(job, tmp_path, *wrapper) as process:
        assert process.stdout is not None
        output = process.stdout.read().splitlines()
        assert process.wait(30) == 0
    numbers = [line.removeprefix("stored ") for line in output if line.startswith("stored ")]
    failure, *rest = output[len(numbers) :]
    assert len(numbers) > 3
    assert failure.startswith(f"broken {name}")
    assert rest == ["refused", f"check {failure.removeprefix('broken ')}"]
    with opened(tmp_path) as store:
        assert_sound(store)
        ids = stored(numbers)
        assert len(store.statuses(ids)) == len(ids)


def test_a_write_that_fails_ends_all_writing(tmp_path: Path) -> None:
    broken(tmp_path, "flood_on_little_space", "SQLITE_IOERR_WRITE")


@strace
def test_a_sync_that_fails_ends_all_writing(tmp_path: Path) -> None:
    fault = "inject=fdatasync:error=EIO:when=40+"
    wrapper = ("strace", "-f", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", fault)
    broken(tmp_path, "flood_until_broken", "SQLITE_IOERR_FSYNC", *wrapper)


def test_a_broken_store_refuses_all_writing_and_says_so(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(tx: Any, verb: Any) -> Any:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_IOERR_FSYNC, "SQLITE_IOERR_FSYNC"
        raise error

    with monkeypatch.context() as patch:
        patch.setitem(backend.VERBS, v.Resume, fail)
        with pytest.raises(StoreBroken, match="SQLITE_IOERR_FSYNC: disk I/O error"):
            store.execute([v.Submit(draft("one")), v.Resume("q")])
    with pytest.raises(StoreBroken, match="SQLITE_IOERR_FSYNC"):
        store.execute([v.Pause("q")])
    assert store.check() == "SQLITE_IOERR_FSYNC: disk I/O error"
    assert store.get("held") is not None
    assert store.get("one") is None


# -- bad values, other writers, bugs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [
        draft("b", handler="\ud800"),
        draft("b", tags=("ok", "\udfff")),
        draft("b", timeout=2**70),
        draft("b", retries=-1),
    ],
    ids=["surrogate", "surrogate in a tag", "large number", "negative number"],
)
def test_what_cannot_be_stored_does_not_touch_its_neighbours(store: SqliteStore, bad: Any) -> None:
    answers = store.execute([v.Submit(draft("one")), v.Submit(bad), v.SubmitAll((draft("two"), bad)), v.Pause("q")])
    assert [type(answer) for answer in answers] == [v.Submitted, StoreError, StoreError, v.Answer]
    assert {task.id for task in store.find(Filter(), 9).tasks} == {"held", "one"}
    assert [view.name for view in store.queues() if view.paused] == ["q"]


def test_what_a_refused_neighbour_took_along_is_claimed_all_the_same(store: SqliteStore) -> None:
    """All verbs are done anew without the one that cannot be stored; lanes have forgotten the first time."""
    store.execute([v.Submit(draft(f"t{n}", handler="echo", priority=n)) for n in range(4)])
    bad = v.Submit(draft("b", handler="\ud800"))
    for request, n in ((2, 1), (3, 2)):
        claimed, refused = store.execute([v.Claim("o", request, (v.Group(("echo",), ("*",), n),)), bad])
        assert isinstance(refused, StoreError)
        assert isinstance(claimed, v.Claimed)
        assert [task.priority for task in claimed.tasks[0]] == [3, 2, 1][request - 2 : request - 2 + n]


def test_lanes_that_nobody_serves_are_not_read(store: SqliteStore) -> None:
    def claim(request: int) -> list[str]:
        """What a claim asks the file."""
        asked: list[str] = []
        store._writer.set_trace_callback(asked.append)
        store.execute([v.Claim("o", request, (v.Group(("echo", "other"), ("q1", "q2"), 100),))])
        store._writer.set_trace_callback(None)
        return asked

    before = claim(2)
    drafts = [draft(f"h{n}", handler=f"h{n}") for n in range(50)]  # unknown handlers
    drafts += [draft(f"q{n}", queue=f"q{n}") for n in range(3, 53)]  # a known one where nobody serves it
    drafts += [draft(f"p{n}", queue="q1", priority=n) for n in range(10)]
    store.execute([v.Pause("q1"), *(v.Submit(one) for one in drafts)])
    assert len(claim(3)) == len(before)
    store.execute([v.Resume("q1")])
    assert len(claim(4)) > len(before)


def test_what_is_no_verb_is_refused_before_anything_is_done(store: SqliteStore) -> None:
    with pytest.raises(TypeError, match="Promote"):
        store.execute([v.Submit(draft("one")), ev.Promote(id="held")])
    assert store.get("one") is None


def test_another_writer_makes_it_wait_but_breaks_nothing(store: SqliteStore, tmp_path: Path) -> None:
    store._writer.execute("PRAGMA busy_timeout = 0")
    with closing(sqlite3.connect(tmp_path / NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        [answer] = store.execute([v.Submit(draft("one"))])
        assert isinstance(answer, StoreError)
        other.execute("ROLLBACK")
    [answer] = store.execute([v.Submit(draft("one"))])
    assert isinstance(answer, v.Submitted)


def failing(error: str) -> Callable[..., Any]:
    def do(tx: Any, verb: Any) -> Any:
        tx.run("pause", "half")
        if error == "python":
            raise RuntimeError(error)
        tx._cursor.execute(error)

    return do


@pytest.mark.parametrize(("error", "raised"), [("python", RuntimeError), ("SELECT nothing", sqlite3.OperationalError)])
def test_a_bug_in_a_verb_undoes_the_batch_and_is_raised(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, error: str, raised: type[Exception]
) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(backend.VERBS, v.Resume, failing(error))
        with pytest.raises(raised):
            store.execute([v.Submit(draft("one")), v.Resume("q"), v.Submit(draft("two"))])
    assert store.get("one") is None
    assert not any(view.paused for view in store.queues())
    answers = store.execute([v.Submit(draft("one")), complete(store)])
    assert [type(answer) for answer in answers] == [v.Submitted, v.Answer]


# -- many lanes --------------------------------------------------------------------------------------------------------


def test_of_more_lanes_than_a_claim_looks_at_none_starves(store: SqliteStore) -> None:
    names = [f"h{n}" for n in range(600)]
    store.execute([v.Submit(draft(name, handler=name)) for name in names])
    taken: list[str] = []
    for request in range(2, 5):
        [claimed] = store.execute([v.Claim("o", request, (v.Group(tuple(names), ("*",), 600),))])
        assert isinstance(claimed, v.Claimed)
        taken += [task.id for task in claimed.tasks[0]]
    assert sorted(taken) == sorted(names)
