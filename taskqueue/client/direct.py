"""The door to a cluster's store itself: the rules of a submit are applied here, then it is stored in bulk.

The same rules as at a node's door: `core/submission.py`, with what nodes declared of their handlers. A payload is
checked against its handler only where `.remote()` knows the function; else a wrong one is a dead letter at its first
run. State: the store, opened at the first use (anew in a process that was forked off); what nodes declared, a second
old at most.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any, Protocol

from msgspec.structs import replace

from taskqueue.client.steps import (
    Cancel,
    Failure,
    Item,
    Later,
    Look,
    LookAll,
    Outcome,
    Pause,
    Refused,
    Send,
    State,
    Step,
    Taken,
)
from taskqueue.core.addresses import parse_address
from taskqueue.core.clock import Clock, SystemClock
from taskqueue.core.config import Config
from taskqueue.core.errors import (
    ConfigError,
    Conflict,
    NotFound,
    QueueFull,
    StoreError,
    TaskqueueError,
    Unavailable,
)
from taskqueue.core.events import Cancel as Cancelled
from taskqueue.core.events import Code, Event
from taskqueue.core.kinds import Wrong, nearest
from taskqueue.core.names import is_task_id
from taskqueue.core.options import OPTIONS
from taskqueue.core.settings import load, variable
from taskqueue.core.submission import fill, parse_submission
from taskqueue.core.task import TERMINAL, Draft, Status, Task
from taskqueue.core.views import Declaration, Receipt

DECLARED_FOR = 1.0
"""Seconds that what nodes declared is taken for still so."""

GROUP = "taskqueue.direct"

SETTINGS = (
    *("namespace", "queueSize", "retryCount", "taskTimeout", "maxPayloadBytes", "priorityAging"),
    *("redisPassword", "redisCaFile", "redisCertFile", "redisKeyFile"),
    *("redisWaitReplicas", "requireDurability", "allowEviction"),
)
"""What a client reads of a node's settings: the rules of a submit, and how Redis is to be used."""


class Answer(Protocol):
    """What a store answers to an event."""

    @property
    def code(self) -> Code: ...

    @property
    def status(self) -> Status | None: ...


class Store(Protocol):
    """What the entry point `store` of the group `taskqueue.direct` opens; see `storage/direct.py`."""

    get: Callable[[str], Task | None]
    statuses: Callable[[Sequence[str]], dict[str, Status]]
    close: Callable[[], None]

    def submit(self, drafts: Iterable[Draft], capacity: int) -> list[Receipt]: ...

    def happen(self, event: Event) -> Answer: ...

    def declarations(self) -> dict[str, Declaration]: ...


def open_store(config: Config, clock: Clock) -> Any:
    """The store, through the entry point. Raises ConfigError."""
    (point,) = entry_points(group=GROUP, name="store")
    return point.load()(config, clock)


def open_direct(url: str, settings: Mapping[str, Any]) -> DirectDoor:
    """The door to a cluster's Redis. Raises ConfigError; nobody is asked yet."""
    if not isinstance(settings, Mapping):
        raise ConfigError(f"settings: expected a mapping, got {type(settings).__name__}")
    try:
        shown = str(parse_address(url))
    except ValueError as error:
        raise ConfigError(f"redisAddress: {error}") from None  # the URL may hold a password
    names = map(variable, SETTINGS)
    config = load([], {name: os.environ[name] for name in names if name in os.environ}, _no_file).config
    changes: dict[str, Any] = {"storage": "redis", "redis_address": url}
    for key, value in settings.items():
        if key not in SETTINGS:
            near = nearest(key, dict.fromkeys(SETTINGS))
            raise ConfigError(f"settings: {key}: no setting of a client; did you mean {near}?")
        option = OPTIONS[key]
        assert option.field is not None
        try:
            changes[option.field] = option.kind.read(value)
        except Wrong as error:
            raise ConfigError(f"settings: {key}{error.path}: {error}") from None
    config = replace(config, **changes)
    shown = shown if "://" in shown else f"redis://{shown}"
    return DirectDoor(shown, config, lambda: open_store(config, SystemClock()))


def _no_file(_: str) -> bytes:
    raise FileNotFoundError


class DirectDoor:
    """See the module, and `steps.Door`."""

    def __init__(self, url: str, config: Config, open: Callable[[], Store]) -> None:
        self.url = url
        self._config = config
        self._open = open
        self._lock = threading.Lock()
        self._pid = 0
        self._store: Store | None = None
        self._declared: tuple[float, dict[str, Declaration]] = (-DECLARED_FOR, {})

    def now(self) -> float:
        """See `Door.now`."""
        return time.monotonic()

    def do(self, step: Step) -> Any:
        """See `Door.do`."""
        if isinstance(step, Pause):
            return self.pause(step.seconds)
        if isinstance(step, Send):
            return self._send(step.items)
        try:
            if isinstance(step, Look):
                return _state(self.look(step))
            if isinstance(step, LookAll):
                return self._look_all(step)
            return self._cancel(step)
        except StoreError as error:
            return Later(_unavailable(error))

    async def do_async(self, step: Step) -> Any:
        """See `Door.do_async`. What speaks to Redis does so in a thread, never for long; pauses are the loop's."""
        if isinstance(step, Pause):
            return await asyncio.sleep(step.seconds)
        return await asyncio.to_thread(self.do, step)

    def close(self) -> None:
        """See `Door.close`."""
        with self._lock:
            store, self._store = self._store, None
            if store is not None and self._pid == os.getpid():
                store.close()

    async def close_async(self) -> None:
        """See `Door.close_async`."""
        await asyncio.to_thread(self.close)

    def pause(self, seconds: float) -> None:
        """Let so many seconds pass."""
        time.sleep(seconds)

    @property
    def store(self) -> Store:
        """The store, opened if need be. Raises StoreError where nobody answers, ConfigError where who answers must not
        be used.
        """
        with self._lock:
            if self._store is None or self._pid != os.getpid():
                self._pid = os.getpid()
                self._store = self._open()
            return self._store

    # -- submitting --------------------------------------------------------------------------------------------------

    def _send(self, items: Sequence[Item]) -> list[Outcome]:
        outcomes: list[Outcome | None] = []
        try:
            store, declared = self.store, self._declarations()
        except StoreError as error:
            return [Later(_unavailable(error, item.id)) for item in items]

        def drafts() -> Iterator[Draft]:
            for item in items:
                try:
                    draft = self._draft(item, declared)
                except TaskqueueError as error:
                    outcomes.append(Refused(error))
                else:
                    outcomes.append(None)
                    yield draft

        answers = map(_outcome, store.submit(drafts(), self._config.queue_size))
        return [next(answers) if outcome is None else outcome for outcome in outcomes]

    def _draft(self, item: Item, declared: Mapping[str, Declaration]) -> Draft:
        submission = parse_submission(item.body, max_payload=self._config.max_payload_bytes)
        return fill(submission, submission.id or item.id, declared.get(submission.handler), self._config)

    def _declarations(self) -> dict[str, Declaration]:
        at, declared = self._declared
        now = time.monotonic()
        if now - at >= DECLARED_FOR:
            declared = self.store.declarations()
            self._declared = (now, declared)
        return declared

    # -- looking and steering ----------------------------------------------------------------------------------------

    def look(self, step: Look) -> Task:
        """The task. Raises NotFound, StoreError."""
        task = self.store.get(step.id) if is_task_id(step.id) else None
        if task is None:
            raise NotFound(f"no task has the id {step.id}")
        return task

    def _look_all(self, step: LookAll) -> set[str]:
        statuses = self.store.statuses([task_id for task_id in step.ids if is_task_id(task_id)])
        for task_id in step.ids:
            if task_id not in statuses:
                raise NotFound(f"no task has the id {task_id}")
        return {task_id for task_id, status in statuses.items() if status in TERMINAL}

    def _cancel(self, step: Cancel) -> None:
        answer = self.store.happen(Cancelled(id=step.id)) if is_task_id(step.id) else None
        if answer is None or answer.code is Code.NOT_FOUND:
            raise NotFound(f"no task has the id {step.id}")
        if answer.code not in (Code.OK, Code.DUP):
            raise Conflict(f"a task that is {answer.status} does not allow cancel")


def _state(task: Task) -> State:
    error = task.error
    failure = None if error is None else Failure(error.type, error.message, error.cause)
    return State(task.status, task.result, failure, task.keep_result)


def _outcome(receipt: Receipt) -> Outcome:
    if receipt.error is None:
        return Taken(receipt.id)
    again = isinstance(receipt.error, QueueFull | Unavailable)
    return Later(receipt.error) if again else Refused(receipt.error)


def _unavailable(error: StoreError, task_id: str | None = None) -> Unavailable:
    return Unavailable(str(error), task_id=task_id)
