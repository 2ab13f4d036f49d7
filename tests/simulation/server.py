"""The one store of a run: `storage/memory.py` on a clock of its own, behind which every verb is judged by the laws.

It can be away, come back empty, or come back as what a replica had of it. What it has no replica of while one lags is
not vouched for (`WAIT`): who wrote meanwhile is told that the outcome is unknown.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

from actors.messages import OrdersFiled
from storage.memory import MemoryStore
from storage.store import Result, Verb
from taskqueue.core.events import Cancel
from taskqueue.core.task import Task

if TYPE_CHECKING:
    from tests.simulation.world import World

EPOCH = 1_790_000_000_000_000
STEP = 3
"""Microseconds that one verb takes, so that two claims have two times."""

HEARD = 0.7
"""How many hints arrive. Those of work are left out: it is found without them."""

Change = tuple[Task | None, Task | None]


class WorldClock:
    """A clock that shows the world's time, with an offset that may be set."""

    def __init__(self, world: World, offset: int = 0, booted: int = 0) -> None:
        self._world = world
        self._booted = booted
        self.offset = offset

    def now(self) -> int:
        return EPOCH + self._world.time + self.offset

    def monotonic(self) -> int:
        return self._world.time + self._booted


class Server:
    """State: the store, whether it can be reached, and what the replica had when it fell behind."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.clock = WorldClock(world)
        self.away = False
        self.line = 0
        """Counts the times that something was forgotten: a wipe, a rewind."""
        self.replica: bytes | None = None
        self.changes: list[Change] = []
        self._empty()

    def _empty(self) -> None:
        self.store = MemoryStore(self.clock, self._world.plan.config.priority_aging)
        self.table = table = self.store._table
        self.members = self.store._members
        put, remove, changes = table.put, table.remove, self.changes

        def noted_put(task: Task) -> None:
            changes.append((table.tasks.get(task.id), task))
            put(task)

        def noted_remove(task: Task) -> None:
            changes.append((task, None))
            remove(task)

        table.put, table.remove = noted_put, noted_remove  # type: ignore[method-assign]

    def execute(self, verbs: tuple[Verb, ...]) -> list[Result]:
        """Do the verbs; each is judged before the next is done."""
        law, changes, execute = self._world.law, self.changes, self.store.execute
        results: list[Any] = []
        for verb in verbs:
            changes.clear()
            [result] = execute((verb,))
            self._world.time += STEP
            law.judge(verb, result, changes)
            results.append(result)
            if type(verb) is Cancel and changes and (before := changes[0][0]) is not None and before.owner is not None:
                self._hint(before.owner)
        return results

    def _hint(self, owner: str) -> None:
        """Over the channel for hints an owner hears at once that there are orders for it; or does not."""
        if self._world.chance() < HEARD:
            for node in self._world.nodes:
                if node.owner == owner and node.up and not node.cut:
                    self._world.at(self._world.time + STEP, node.tell, "health", OrdersFiled())

    @property
    def vouches(self) -> bool:
        """Has the replica all that was written? Each exchange ends with a write (`Commands.mark`), so WAIT tells."""
        return self.replica is None

    # -- what befalls it -----------------------------------------------------------------------------------------------

    def wipe(self) -> None:
        """It comes back empty."""
        self._world.note("store", "comes back empty")
        self.line += 1
        self._empty()
        self._world.law.forget_all()

    def lag(self) -> None:
        """From now on its replica gets nothing."""
        self._world.note("store", "the replica lags from here on")
        self.replica = pickle.dumps((self._parts(), self._world.law.state))

    def then(self) -> Any:
        """The laws' record of what the replica has."""
        assert self.replica is not None
        return pickle.loads(self.replica)[1]

    def catch_up(self) -> None:
        """The replica has everything again."""
        self.replica = None

    def failover(self) -> None:
        """The replica takes over: what it had not is gone."""
        assert self.replica is not None
        self._world.note("store", "the replica has taken over")
        (parts, keys, paused), state = pickle.loads(self.replica)
        for part, values in zip(self._kept(), parts, strict=True):
            vars(part).update(values)
        self.store._keys = keys
        self.store._paused.clear()  # the same set: others hold it too
        self.store._paused.update(paused)
        self.replica = None
        self.line += 1
        self._world.law.go_back(state)

    def _kept(self) -> tuple[Any, ...]:
        return (self.table, self.members, self.store._schedules, self.store._past)

    def _parts(self) -> Any:
        values = [{name: value for name, value in vars(part).items() if not callable(value)} for part in self._kept()]
        return values, self.store._keys, self.store._paused
