"""The `Store` protocol: what every backend does, what is atomic, and what it raises.

Writing goes through `execute`, reading through the methods below it. `execute` may be called by one thread at a time
(the StorageActor); reads may be called by any thread at any time and never wait for writes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from typing import Any, Protocol

from storage import verbs as v
from taskqueue.core.clock import Clock
from taskqueue.core.config import Config
from taskqueue.core.errors import ConfigError, StoreError
from taskqueue.core.events import Event
from taskqueue.core.task import Status, Task
from taskqueue.core.views import DeadCount, Filter, Held, LeaseView, Member, NotePage, Page, QueueView, RedisView

Verb = (
    Event
    | v.Submit
    | v.SubmitAll
    | v.Claim
    | v.Register
    | v.Beat
    | v.Deregister
    | v.Lease
    | v.Renew
    | v.Drain
    | v.Campaign
    | v.Resign
    | v.Led
    | v.PutSchedule
    | v.DropSchedule
    | v.Tally
    | v.Note
    | v.Pause
    | v.Resume
)

Result = v.Answer | v.Submitted | tuple[v.Submitted, ...] | v.Claimed | v.Beaten | v.Elected | v.Moved | v.Schedule


class Store(Protocol):
    """A place for tasks."""

    @property
    def durability(self) -> str:
        """`full`, `fsync`, `replicated` or `weak`: which promise an acknowledgement carries."""

    def execute(self, verbs: Sequence[Verb]) -> list[Result | StoreError]:
        """Do the verbs in order and return when all of them are durable; one result each.

        Each verb is atomic by itself; together they share one commit where the backend has such a thing. A verb that is
        refused answers with a code, it does not raise and does not touch its neighbours. A verb answered with
        `StoreFull` changed nothing.

        Answers by verb: an event of one task -> `Answer`; `Submit` -> `Submitted`; `SubmitAll` -> tuple of `Submitted`;
        `Claim` -> `Claimed`; `Beat` -> `Beaten`; `Campaign` -> `Elected`; every `Led` verb -> `Moved`, but `Fence` and
        `Tick`, which answer `Answer`; `PutSchedule` -> `Schedule` or `Answer`; all others -> `Answer`.

        Raises:
            StoreBroken: the outcome of all verbs is unknown.
        """

    def get(self, task_id: str) -> Task | None:
        """The task, or None."""

    def statuses(self, ids: Sequence[str]) -> dict[str, Status]:
        """The states of those tasks that exist."""

    def find(self, filter: Filter, limit: int, cursor: str | None = None) -> Page:
        """A page of tasks, newest first. Raises UnknownCursor for a cursor that this store did not make."""

    def counts(self) -> dict[Status, int]:
        """How many tasks are in each state (every state is a key)."""

    def dead(self) -> list[DeadCount]:
        """Dead letters by handler and cause."""

    def queues(self) -> list[QueueView]:
        """Every queue that holds a task or is paused, by name."""

    def members(self) -> list[Member]:
        """Every node's incarnation that the store remembers (those gone for more than an hour are forgotten), oldest
        first.
        """

    def leases(self) -> list[LeaseView]:
        """Every lease that is not over, or was fenced and is not forgotten, by owner."""

    def held(self, owner: str) -> list[Held]:
        """What the store thinks that `owner` runs."""

    def term(self) -> v.Term:
        """The present leader's term; epoch 0 where there never was one."""

    def schedules(self) -> list[v.Schedule]:
        """Every schedule, by id."""

    def schedule(self, schedule_id: str) -> v.Schedule | None:
        """The schedule, or None."""

    def revision(self) -> int:
        """A number that changes whenever a schedule is put or dropped (a tick does not count)."""

    def tallies(self, since: int) -> dict[int, dict[str, int]]:
        """Counts and gauges by minute, for every minute from the moment `since` on that has any."""

    def notes(self, limit: int, cursor: str | None = None) -> NotePage:
        """The audit log, newest first. Raises UnknownCursor for a cursor that this store did not make."""

    def check(self) -> str | None:
        """None where the store answers; else one line that says what is wrong with it."""

    def close(self) -> None:
        """Let go of everything. Idempotent; no other method may be called afterwards."""


class Subscription(Protocol):
    """Somebody listens to hints."""

    def close(self) -> None:
        """Listen no more. Idempotent."""


class SharedStore(Store, Protocol):
    """A store that several nodes share: `clusterEnabled` needs one."""

    def beat(self, verb: v.Beat) -> v.Beaten | StoreError:
        """The verb `beat`, from a thread of its own, on a connection of its own: it never waits behind other verbs."""

    def subscribe(self, on_hint: Callable[[str], None]) -> Subscription:
        """Call `on_hint`, from a thread of the store's, with `<queue>/<handler>` when a lane that had no work has some
        (`<queue>/` when any may have), with `@<owner>` when there are orders for an incarnation, with `!` when the
        leader resigned, and with an empty text after anything may have been missed. Hints may be lost.
        """

    def now(self) -> int:
        """The store's time, microseconds: due times are compared with it. Raises StoreError."""

    def view(self) -> RedisView | None:
        """What is known of the server, for people; None where that says nothing."""


class Opener(Protocol):
    """What an entry point of the group `taskqueue.stores` names."""

    def __call__(self, config: Config, clock: Clock) -> Store:
        """Open the store. Raises ConfigError with one line where the surroundings are not usable."""


def open_store(config: Config, clock: Clock) -> Store:
    """The store that `config.storage` names, found among the entry points `taskqueue.stores`.

    Raises:
        ConfigError: no backend of that name is installed, or it cannot be opened.
    """
    found: dict[str, Any] = {point.name: point for point in entry_points(group="taskqueue.stores")}
    if config.storage not in found:
        known = ", ".join(sorted(found))
        raise ConfigError(f"storage: no store named {config.storage!r} is installed; there are: {known}")
    opener: Opener = found[config.storage].load()
    return opener(config, clock)
