"""A leader and its store in one thread, on a clock that a test moves: what schedules do in days and years.

LeaderActor and StorageActor are never started; their messages are delivered in order, until there are none left.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from actors.leader import LeaderActor
from actors.messages import FireDue, KeepHouse, Message, SchedulesChanged
from actors.schedules import Schedules
from actors.storage import StorageActor
from storage import verbs as v
from storage.memory import MemoryStore
from taskqueue.core import events as ev
from taskqueue.core.config import Config
from taskqueue.core.ids import CountingIds
from taskqueue.core.schedule import Owner, Spec
from taskqueue.core.task import Status, Task
from taskqueue.core.views import Filter
from taskqueue.handlers import Handler
from tests.postoffice import HANDLERS, Desk, never, registration


class _Line:
    """An address; what is told to it is delivered in its turn."""

    def __init__(self, clockwork: Clockwork, name: str) -> None:
        self._clockwork = clockwork
        self._name = name

    def tell(self, message: Message) -> bool:
        self._clockwork.post.append((self._name, message))
        return True


class Clockwork:
    """See the module."""

    def __init__(self, config: Config | None = None, handlers: Mapping[str, Handler] = HANDLERS) -> None:
        self.desk = Desk(config, handlers)
        self.clock = self.desk.clock
        self.store = MemoryStore(self.clock, self.desk.config.priority_aging)
        self.post: deque[tuple[str, Message]] = deque()
        self.declared = frozenset(name for name, handler in handlers.items() if handler.schedule is not None)
        self.schedules = Schedules(
            clock=self.clock,
            ids=CountingIds("s"),
            store=self.store,
            handlers=handlers,
            declared=lambda: self.declared,
            ask=lambda verbs, _note: tuple(self.store.execute(verbs)),
            submit=lambda submissions, *, note=None: [],
            get=self._get,
        )
        self._storage = StorageActor(
            never, store=self.store, clock=self.clock, on_broken=self.desk.refused.append, on_written=lambda *_: None
        )
        self.store.execute([registration(handlers)])
        self.start()

    def start(self) -> None:
        """A leader that knows nothing, as after a restart."""
        self.leader: LeaderActor = self.desk.leader_actor(
            registered=True, address=_Line(self, "leader"), storage=_Line(self, "storage")
        )
        self.keep_house()

    def keep_house(self) -> None:
        """The leader's tick, and all that comes of it."""
        self._tell(KeepHouse())

    def fire(self) -> None:
        """The leader's alarm, and all that comes of it."""
        self._tell(FireDue())

    def changed(self) -> None:
        """Somebody has put or dropped a schedule."""
        self._tell(SchedulesChanged())

    def _tell(self, message: Message) -> None:
        self.post.append(("leader", message))
        while self.post:
            name, one = self.post.popleft()
            (self.leader if name == "leader" else self._storage).on_receive(one)
        self.desk.scheduler.mail.clear()

    def pass_time(self, span: int, step: int) -> None:
        """Let time pass, with a tick at the first step and an alarm at each."""
        end = self.clock.monotonic() + span
        self.clock.advance(min(step, span))
        self.keep_house()
        while (left := end - self.clock.monotonic()) > 0:
            self.clock.advance(min(step, left))
            self.fire()

    def make(self, id: str, **fields: Any) -> v.Schedule:
        """A schedule, as the leader will see it."""
        spec = Spec(**{"handler": "echo", "payload": b"1", "anchor": self.clock.now(), **fields})
        self.schedules.create(id, spec, False)
        self.changed()
        return self.stored(id)

    def stored(self, id: str) -> v.Schedule:
        """A schedule that has to be there."""
        found = self.store.schedule(id)
        assert found is not None
        return found

    def tasks(self, **filter: Any) -> list[Task]:
        """The tasks that fit, by their due times."""
        found: list[Task] = []
        cursor: str | None = None
        while True:
            page = self.store.find(Filter(**filter), 1_000, cursor)
            found += page.tasks
            cursor = page.cursor
            if cursor is None:
                return sorted(found, key=lambda task: task.due_at)

    def due(self, id: str) -> list[int]:
        """The due times that became tasks."""
        return [task.due_at for task in self.tasks(schedule=id)]

    def finish(self) -> None:
        """All that waits is over."""
        self.store.execute([ev.Cancel(id=task.id) for task in self.tasks(status=Status.PENDING)])

    def _get(self, task_id: str) -> Task:
        task = self.store.get(task_id)
        assert task is not None
        return task


def in_code(**fields: Any) -> Spec:
    """A schedule that stands in code."""
    return Spec(**{"handler": "echo", "payload": b"{}", "owner": Owner.CODE, **fields})
