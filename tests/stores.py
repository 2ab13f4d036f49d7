"""Stores for tests: how each backend is opened and hurt, and a driver that speaks the verbs of a store in few words."""

from __future__ import annotations

import atexit
import sqlite3
import tempfile
from collections import Counter, defaultdict
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import pytest
from msgspec.structs import replace

from storage import verbs as v
from storage.memory import open_memory
from storage.redis import open_redis
from storage.sqlite import open_sqlite
from storage.sqlite_file import NAME
from storage.store import Store
from taskqueue.core import events as ev
from taskqueue.core.clock import ManualClock
from taskqueue.core.config import Config
from taskqueue.core.events import Code
from taskqueue.core.task import Place, Status, Task, place
from taskqueue.core.views import DeadCount, Declaration, Filter, Held
from tests.factories import draft
from tests.redis_server import OTHER, RedisServer, binary, needs_other


class Memory:
    """The backend in memory, and how its tasks come to harm."""

    def __init__(self, folder: Path, clock: ManualClock) -> None:
        self.store = open_memory(Config(data_dir=str(folder)), clock)

    def corrupt(self, task_id: str) -> None:
        """Change a stored payload behind the store's back."""
        table = self.store._table
        table.tasks[task_id] = replace(table.tasks[task_id], payload=b'{"a":2}')

    def lose_member(self, owner: str) -> None:
        """Forget a member behind the store's back."""
        del self.store._members.seats[owner]

    def miscount(self) -> None:
        """Falsify a count behind the store's back."""
        self.store._table.counts["default", "echo", Status.PENDING] += 5


class Sqlite:
    """The backend in a file, and how its rows come to harm."""

    def __init__(self, folder: Path, clock: ManualClock) -> None:
        self._file = folder / NAME
        self.store = open_sqlite(Config(data_dir=str(folder)), clock)

    def corrupt(self, task_id: str) -> None:
        """Change a stored payload behind the store's back."""
        self._harm("UPDATE tasks SET payload = ? WHERE id = ?", b'{"a":2}', task_id)

    def garble(self, task_id: str, field: str, value: bytes = b"[x") -> None:
        """Make this field of a task unreadable behind the store's back."""
        self._harm(f"UPDATE tasks SET {field} = CAST(? AS TEXT) WHERE id = ?", value, task_id)

    def garble_member(self, owner: str, field: str, value: bytes = b"[x") -> None:
        """The same for what an incarnation says of itself."""
        self._harm(f"UPDATE members SET {field} = CAST(? AS TEXT) WHERE owner = ?", value, owner)

    def lose_member(self, owner: str) -> None:
        """Forget a member behind the store's back."""
        self._harm("DELETE FROM members WHERE owner = ?", owner)

    def lose_body(self, task_id: str) -> None:
        """Forget a long payload behind the store's back."""
        self._harm("DELETE FROM payloads WHERE seq = (SELECT seq FROM tasks WHERE id = ?)", task_id)

    def miscount(self) -> None:
        """Falsify a count behind the store's back; what it keeps of it in memory is then read anew."""
        self._harm("UPDATE lanes SET ready = ready + 5 WHERE queue = ? AND handler = ?", "default", "echo")
        self.store._tx.reload()

    def _harm(self, statement: str, *values: str | bytes) -> None:
        with closing(sqlite3.connect(self._file, isolation_level=None)) as connection:
            assert connection.execute(statement, values).rowcount == 1


class Redis:
    """The backend in a namespace of its own on a server that all tests of a process share."""

    program: str | None = None
    _servers: ClassVar[dict[str, RedisServer]] = {}
    _numbers = count()

    def __init__(self, folder: Path, clock: ManualClock) -> None:
        self._prefix = f"{{t{next(self._numbers)}}}:"
        server = self.server()
        config = Config(data_dir=str(folder), redis_address=server.url, namespace=self._prefix[1:-2])
        self.store = open_redis(config, clock)
        self._client = server.client

    @classmethod
    def server(cls) -> RedisServer:
        """The server, started at its first use and ended with the process; one of each binary."""
        program = binary(cls.program)
        if program not in cls._servers:
            folder = tempfile.TemporaryDirectory(prefix="taskqueue-redis-")
            cls._servers[program] = RedisServer(Path(folder.name), program=program).start()
            atexit.register(folder.cleanup)
            atexit.register(cls._servers[program].stop)
        return cls._servers[program]

    def corrupt(self, task_id: str) -> None:
        """Change a stored payload behind the store's back."""
        where = f"{self._prefix}body:{task_id}"
        self._client.append(where if self._client.exists(where) else f"{self._prefix}born:{task_id}", " ")

    def garble(self, task_id: str, field: str, value: bytes = b"[x") -> None:
        """Make this field of a task unreadable behind the store's back."""
        name = {"history": "his", "progress": "pro", "tags": "tag"}[field]
        self._client.hset(f"{self._prefix}task:{task_id}", name, b"\xff" + value)

    def garble_member(self, owner: str, field: str, value: bytes = b"[x") -> None:
        """The same for what an incarnation says of itself."""
        self._client.hset(f"{self._prefix}member:{owner}", field, value)

    def lose_member(self, owner: str) -> None:
        """Forget a member behind the store's back."""
        assert self._client.delete(f"{self._prefix}member:{owner}") == 1

    def lose_body(self, task_id: str) -> None:
        """Forget a long payload behind the store's back."""
        assert self._client.delete(f"{self._prefix}body:{task_id}") == 1

    def miscount(self) -> None:
        """Falsify a count behind the store's back."""
        self._client.hincrby(self._prefix + "counts", "P/default/echo", 5)
        self._client.hincrby(self._prefix + "totals", "P", 5)


class OtherRedis(Redis):
    """The same on the second binary."""

    program = OTHER


BACKENDS = {"memory": Memory, "sqlite": Sqlite, "redis": Redis, OTHER: OtherRedis}


def backends(*without: str) -> list[Any]:
    """Every backend but these, as parameters of a test."""
    return [
        pytest.param(name, marks=needs_other() if name == OTHER else ()) for name in BACKENDS if name not in without
    ]


def group(*handlers: str, n: int = 100, queues: tuple[str, ...] = ("*",), solo: bool = False) -> v.Group:
    """Room for `n` tasks of `handlers` (`echo`, where none is named)."""
    return v.Group(handlers or ("echo",), queues, n, solo)


def names(tasks: tuple[tuple[Task, ...], ...]) -> list[list[str]]:
    """The ids of a claim's tasks, per group."""
    return [[task.id for task in part] for part in tasks]


class Driver:
    """One store and its clock, driven verb by verb. Owners count their claims here; `lead` remembers the leader."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store = store
        self.clock = clock
        self.term = v.Term(None, 0, 0)
        self._requests: Counter[str] = Counter()

    @property
    def now(self) -> int:
        return self.clock.now()

    def do(self, verb: Any) -> Any:
        """The answer to one verb."""
        [result] = self.store.execute([verb])
        return result

    def get(self, task_id: str = "t1") -> Task:
        """A task that has to be there."""
        task = self.store.get(task_id)
        assert task is not None, f"{task_id} is gone"
        return task

    # -- tasks ---------------------------------------------------------------------------------------------------------

    def submit(self, task_id: str = "t1", capacity: int | None = None, **changes: Any) -> v.Submitted:
        """The answer to a submit of `draft(task_id, **changes)`."""
        submitted: v.Submitted = self.do(v.Submit(draft(task_id, **changes), capacity))
        return submitted

    def add(self, task_id: str = "t1", **changes: Any) -> Task:
        """A stored task."""
        assert self.submit(task_id, **changes).code is Code.OK
        return self.get(task_id)

    def claim(self, owner: str, *groups: v.Group, request: int | None = None) -> v.Claimed:
        """A claim with the next request number, or that given; of `group()` where no group is given."""
        if request is None:
            self._requests[owner] += 1
            request = self._requests[owner]
        claimed: v.Claimed = self.do(v.Claim(owner, request, groups or (group(),)))
        return claimed

    def took(self, owner: str, *groups: v.Group) -> list[str]:
        """The ids that a claim takes, in order."""
        claimed = self.claim(owner, *groups)
        assert claimed.code is Code.OK
        return [task.id for tasks in claimed.tasks for task in tasks]

    def run(self, owner: str, task_id: str = "t1", **changes: Any) -> Task:
        """A new task, or that which waits, in the hands of `owner`."""
        if self.store.get(task_id) is None:
            self.add(task_id, **changes)
        task = self.get(task_id)
        assert task_id in self.took(owner, group(task.handler, solo=task.solo))
        return self.get(task_id)

    def happens(self, kind: type[ev.Event], task_id: str = "t1", **fields: Any) -> v.Answer:
        """The answer to an event; owner and fence are the present ones, where they are wanted and not given."""
        if issubclass(kind, ev.Owned):
            task = self.store.get(task_id)
            fields = {"owner": (task and task.owner) or "nobody", "fence": task.fence if task else 0, **fields}
        answer: v.Answer = self.do(kind(id=task_id, **fields))
        return answer

    def fail(self, task_id: str = "t1", **fields: Any) -> v.Answer:
        """The handler failed."""
        return self.happens(ev.Fail, task_id, **{"type": "ValueError", "message": "no", **fields})

    # -- members and leader --------------------------------------------------------------------------------------------

    def join(self, owner: str, node: str | None = None, **changes: Any) -> v.Answer:
        """`owner` registers as an incarnation of `node` (its own name, where none is given)."""
        fields: dict[str, Any] = {
            "host": "host",
            "pid": 7,
            "workers": 5,
            "queues": ("default",),
            "handlers": (Declaration(name="echo"),),
            **changes,
        }
        answer: v.Answer = self.do(v.Register(owner=owner, node=node or owner, **fields))
        return answer

    def lead(self, owner: str) -> v.Term:
        """`owner` becomes leader; `led` speaks for it from now on."""
        seen = self.store.term()
        elected = self.do(v.Campaign(owner, seen.epoch, seen.beat))
        assert elected.code is Code.OK
        self.term = elected.term
        return self.term

    def led(self, kind: type[v.Led], **fields: Any) -> Any:
        """The answer to a verb of the leader."""
        return self.do(kind(leader=self.term.owner or "nobody", epoch=self.term.epoch, **fields))

    def beats(self, owner: str) -> int:
        """How often it has beaten."""
        return next(member.beat for member in self.store.members() if member.owner == owner)

    def fence(self, owner: str) -> None:
        """The leader declares it dead."""
        assert self.led(v.Fence, owner=owner, beat=self.beats(owner)).code is Code.OK

    def die(self, owner: str, max_crashes: int = 3) -> v.Moved:
        """It is fenced, and its tasks are taken back."""
        self.fence(owner)
        moved: v.Moved = self.led(v.Reap, owner=owner, max_crashes=max_crashes)
        assert moved.code is Code.OK
        return moved

    def crash(self, task_id: str = "t1", times: int = 1, max_crashes: int = 3) -> Task:
        """That many nodes die while they run it."""
        for n in range(times):
            owner = f"victim-{task_id}-{self.get(task_id).crashes}-{n}-{self.now}"
            self.join(owner)
            self.run(owner, task_id)
            self.die(owner, max_crashes)
        return self.get(task_id)


def everything(store: Store, filter: Filter | None = None, limit: int = 1000) -> list[Task]:
    """All that `find` finds, newest first, page by page."""
    tasks: list[Task] = []
    cursor = None
    while True:
        page = store.find(filter or Filter(), limit, cursor)
        assert len(page.tasks) <= limit
        tasks += page.tasks
        cursor = page.cursor
        if cursor is None:
            return tasks


def assert_sound(store: Store) -> None:
    """What the store counts, lists and keeps for its owners is what follows from its tasks."""
    tasks = everything(store)
    ids = [task.id for task in tasks]
    assert len(set(ids)) == len(ids)
    assert [store.get(task_id) for task_id in ids] == tasks
    assert store.statuses(ids) == {task.id: task.status for task in tasks}
    for status in Status:
        assert everything(store, Filter(status=status)) == [task for task in tasks if task.status is status]
    assert store.counts() == _counts(tasks)

    dead = Counter((t.handler, t.error.cause) for t in tasks if t.status is Status.DEAD_LETTERED and t.error)
    assert sorted(store.dead(), key=str) == sorted((DeadCount(*cell, n) for cell, n in dead.items()), key=str)

    queues: defaultdict[str, list[Task]] = defaultdict(list)
    held: defaultdict[str | None, list[Held]] = defaultdict(list)
    for task in tasks:
        queues[task.queue].append(task)
        if task.status is Status.PROCESSING:
            held[task.owner].append(Held(task.id, task.fence))
        else:
            assert task.owner is None
    for owner in held.keys() | {member.owner for member in store.members()}:
        assert owner is not None
        assert sorted(store.held(owner), key=str) == sorted(held[owner], key=str)

    views = {view.name: view for view in store.queues()}
    assert list(views) == sorted(views)
    assert views.keys() - {name for name, view in views.items() if view.paused} <= queues.keys() <= views.keys()
    for name, view in views.items():
        claimable = [t.eligible_at for t in queues[name] if place(t) in (Place.READY, Place.SOLO)]
        assert view.oldest == min(claimable, default=None)
        assert view.counts == _counts(queues[name])
        assert [lane.handler for lane in view.lanes] == sorted({task.handler for task in queues[name]})
        for lane in view.lanes:
            assert lane.queue == name
            assert lane.counts == _counts([task for task in queues[name] if task.handler == lane.handler])


def _counts(tasks: list[Task]) -> dict[Status, int]:
    counts = Counter(task.status for task in tasks)
    return {status: counts[status] for status in Status}
