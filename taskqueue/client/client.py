"""`Client`: submits tasks, one at a time or many, and finds those submitted before. `connect` makes one.

State: the door to the other side. Any thread and any event loop may use a client; a process that was forked off opens
connections of its own.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, TypedDict, TypeVar, Unpack, overload

from taskqueue.client import flows
from taskqueue.client.bodies import Batch, Body, Moment, Span, Submittable, item_of, parameters_of
from taskqueue.client.refs import TaskRef
from taskqueue.client.results import ANYTHING, Returns
from taskqueue.client.steps import Door, Flow, Item, Outcome, Taken, drive, drive_async
from taskqueue.core.clock import SystemClock
from taskqueue.core.errors import TaskqueueError
from taskqueue.core.ids import Ids, UuidIds
from taskqueue.errors import (
    AccessDenied,
    BadAnswer,
    ConfigError,
    InvalidInput,
    PartlyRefused,
    QueueFull,
    StoreError,
    Unavailable,
)

R = TypeVar("R")
T = TypeVar("T")

Answered = TaskRef[R] | TaskqueueError


HOPELESS = (QueueFull, Unavailable, AccessDenied, BadAnswer, ConfigError, StoreError)
"""What is no body's own fault: the next batch would fare no better."""


class Options(TypedDict, total=False):
    """What a submit can say of its task; see docs/client.md. What it does not say, the handler's declaration does."""

    priority: int | str | None
    timeout: Span | None
    queue: str | None
    retries: int | None
    delay: Span | None
    run_at: Moment | None
    expires_at: Moment | None
    tags: Sequence[str] | None
    idempotency_key: str | None
    keep_result: bool | None
    id: str | None


class Client:
    """One other side: a node, or a cluster's Redis.

    Attributes:
        timeout: seconds that a submit, a look or a cancel takes at most, repeats after lost answers included.
    """

    def __init__(self, door: Door, *, timeout: float = 10.0, ids: Ids | None = None) -> None:
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
            raise ConfigError(f"timeout: expected a number of seconds above 0, got {timeout!r:.60}")
        self.timeout = timeout
        self.now = door.now
        self._door = door
        self._ids = ids or UuidIds(SystemClock(), os.urandom)

    @property
    def url(self) -> str:
        """Where it leads, without secrets."""
        return self._door.url

    # -- one ---------------------------------------------------------------------------------------------------------

    def submit(self, handler: str, payload: Any, **options: Unpack[Options]) -> TaskRef[Any]:
        """Submit a task by its handler's name. What has no answer is sent again, with the same id, within `timeout`.

        Raises:
            InvalidInput: something of it is wrong; each with its path.
            TooLarge: the payload is.
            Conflict: the id exists, with another body.
            QueueFull: too many tasks are waiting.
            Unavailable: nobody answers. It may have been stored: a repeat with its `task_id` is safe.
        """
        return self.send(_named(handler, payload, options))

    async def submit_async(self, handler: str, payload: Any, **options: Unpack[Options]) -> TaskRef[Any]:
        """`submit`, for an event loop."""
        return await self.send_async(_named(handler, payload, options))

    def send(self, body: Body[R]) -> TaskRef[R]:
        """Submit what `.body(…)` of a `@task` function gave. Raises as `submit`."""
        return self._ref(self.run(self._submit(self.item(body))), body)

    async def send_async(self, body: Body[R]) -> TaskRef[R]:
        """`send`, for an event loop."""
        return self._ref(await self.run_async(self._submit(self.item(body))), body)

    def _submit(self, item: Item) -> Flow[str]:
        return flows.submit(item, self.now, self.timeout)

    def _ref(self, task_id: str, body: Body[R]) -> TaskRef[R]:
        return TaskRef(self, task_id, body.returns or ANYTHING)

    @overload
    def ref(self, id: str) -> TaskRef[Any]: ...

    @overload
    def ref(self, id: str, type: type[R]) -> TaskRef[R]: ...

    def ref(self, id: str, type: Any = Any) -> TaskRef[Any]:
        """A task that was submitted before, by its id; its result is read as `type`. Nothing is asked yet."""
        return TaskRef(self, id, ANYTHING if type is Any else Returns(lambda: type))

    # -- many --------------------------------------------------------------------------------------------------------

    @overload
    def submit_many(
        self, bodies: Iterable[Body[R]], *, patience: float = flows.PATIENCE
    ) -> list[TaskRef[R]]: ...

    @overload
    def submit_many(
        self, bodies: Iterable[Submittable], *, patience: float = flows.PATIENCE
    ) -> list[TaskRef[Any]]: ...

    def submit_many(self, bodies: Iterable[Any], *, patience: float = flows.PATIENCE) -> list[TaskRef[Any]]:
        """Submit many tasks, in batches, as fast as the other side takes them; their refs, in order.

        `bodies` is read batch by batch. A batch that is not answered is sent again with the same ids, so that it makes
        no task twice. What is not taken because the queue is full is sent again when it says so.

        Args:
            bodies: mappings as the REST API takes them, or what `.body(…)` of `@task` functions gives.
            patience: seconds without a single task taken after which it gives up.

        Raises:
            PartlyRefused: not all became tasks; it says which ones did and what was wrong with each of the others.
        """
        many = _Many()
        for answer in self._answers(bodies, patience, many):
            many.note(answer)
        return many.refs()

    async def submit_many_async(
        self, bodies: Iterable[Any] | AsyncIterable[Any], *, patience: float = flows.PATIENCE
    ) -> list[TaskRef[Any]]:
        """`submit_many`, for an event loop; `bodies` may be an asynchronous iterable."""
        many = _Many()
        async for answer in self._answers_async(bodies, patience, many):
            many.note(answer)
        return many.refs()

    def submit_each(
        self, bodies: Iterable[Submittable], *, patience: float = flows.PATIENCE
    ) -> Iterator[Answered[Any]]:
        """`submit_many` for more than memory holds: yields, in order, a ref or the error of each body.

        Raises:
            Unavailable, QueueFull: nothing was taken for `patience` seconds.
            AccessDenied, BadAnswer, ConfigError: it would be no use to go on.
                In all these cases the bodies that were read have been answered, and the rest was not read.
        """
        many = _Many()
        yield from self._answers(bodies, patience, many)
        if many.stopped is not None:
            raise many.stopped

    async def submit_each_async(
        self, bodies: Iterable[Submittable] | AsyncIterable[Submittable], *, patience: float = flows.PATIENCE
    ) -> AsyncIterator[Answered[Any]]:
        """`submit_each`, for an event loop."""
        many = _Many()
        async for answer in self._answers_async(bodies, patience, many):
            yield answer
        if many.stopped is not None:
            raise many.stopped

    def _answers(self, bodies: Iterable[Submittable], patience: float, many: _Many) -> Iterator[Answered[Any]]:
        batch = Batch(self.item)
        for body in bodies:
            batch.add(body)
            if batch.full:
                yield from self._merged(batch, self.run(self._submit_all(batch, patience)), many)
                if many.stopped is not None:
                    return
                batch = Batch(self.item)
        yield from self._merged(batch, self.run(self._submit_all(batch, patience)), many)

    async def _answers_async(
        self, bodies: Iterable[Submittable] | AsyncIterable[Submittable], patience: float, many: _Many
    ) -> AsyncIterator[Answered[Any]]:
        batch = Batch(self.item)
        async for body in _each(bodies):
            batch.add(body)
            if batch.full:
                outcomes = await self.run_async(self._submit_all(batch, patience))
                for answer in self._merged(batch, outcomes, many):
                    yield answer
                if many.stopped is not None:
                    return
                batch = Batch(self.item)
        for answer in self._merged(batch, await self.run_async(self._submit_all(batch, patience)), many):
            yield answer

    def _submit_all(self, batch: Batch, patience: float) -> Flow[list[Outcome]]:
        items = batch.items
        return (yield from flows.submit_all(items, self.now, patience)) if items else []

    def _merged(self, batch: Batch, outcomes: Sequence[Outcome], many: _Many) -> Iterator[Answered[Any]]:
        """The answers to a batch, in its order."""
        answers = iter(outcomes)
        for entry, returns in zip(batch.entries, batch.returns, strict=True):
            if isinstance(entry, InvalidInput):
                yield entry
                continue
            outcome = next(answers)
            if isinstance(outcome, Taken):
                yield TaskRef(self, outcome.id, returns or ANYTHING)
                continue
            if isinstance(outcome.error, HOPELESS):
                many.stopped = outcome.error
            yield outcome.error

    # -- how ---------------------------------------------------------------------------------------------------------

    def item(self, body: Submittable) -> Item:
        """What is sent of a body; for this package. Raises InvalidInput."""
        return item_of(body, self._ids)

    def run(self, flow: Flow[T]) -> T:
        """Carry a flow out; for this package."""
        return drive(self._door, flow)

    async def run_async(self, flow: Flow[T]) -> T:
        """The same in an event loop."""
        return await drive_async(self._door, flow)

    def close(self) -> None:
        """Let go of connections. A client that is used again opens new ones."""
        self._door.close()

    async def close_async(self) -> None:
        """The same, for those of the running event loop too."""
        await self._door.close_async()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close_async()

    def __repr__(self) -> str:
        return f"<client of {self.url}>"


class _Many:
    """What became of a `submit_many` so far."""

    def __init__(self) -> None:
        self.stopped: TaskqueueError | None = None
        self._refs: list[TaskRef[Any] | None] = []
        self._failures: list[tuple[int, TaskqueueError]] = []

    def note(self, answer: Answered[Any]) -> None:
        """One more body was answered."""
        if isinstance(answer, TaskRef):
            self._refs.append(answer)
        else:
            self._failures.append((len(self._refs), answer))
            self._refs.append(None)

    def refs(self) -> list[TaskRef[Any]]:
        """All of them. Raises PartlyRefused where one is missing."""
        if self._failures:
            raise PartlyRefused(self._refs, self._failures, complete=self.stopped is None)
        return [ref for ref in self._refs if ref is not None]


def _named(handler: str, payload: Any, options: Options) -> Body[Any]:
    given: dict[str, Any] = {**options}
    task_id = given.pop("id", None)
    return Body(handler, payload, parameters_of(given), task_id)


async def _each(bodies: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    if isinstance(bodies, AsyncIterable):
        async for body in bodies:
            yield body
    else:
        for body in bodies:
            yield body
