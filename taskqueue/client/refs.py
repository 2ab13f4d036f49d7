"""`TaskRef`: a task that was submitted, and `get` and `wait` for many of them."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from math import isnan
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from taskqueue.client import flows
from taskqueue.client.results import ANYTHING, Returns
from taskqueue.client.steps import Flow, State
from taskqueue.core.task import Status
from taskqueue.errors import TaskCancelled, TaskFailed

if TYPE_CHECKING:
    from taskqueue.client.client import Client

R_co = TypeVar("R_co", covariant=True)
R = TypeVar("R")


class TaskRef(Generic[R_co]):
    """A task at the other side of a client. `await ref` is its result.

    Every method raises NotFound where the task is not known there (any more), and Unavailable where nobody can tell.
    """

    __slots__ = ("__weakref__", "_client", "_returns", "id")

    def __init__(self, client: Client, id: str, returns: Returns[R_co] = ANYTHING) -> None:
        self.id = id
        self._client = client
        self._returns = returns

    def get(self, timeout: float | None = None) -> R_co:
        """The handler's result, once the task has ended; as the type that the handler is annotated to return.

        A task that keeps no result gives None.

        Args:
            timeout: seconds; without it there is no end to the waiting.

        Raises:
            TaskFailed: it was given up.
            TaskCancelled: it was cancelled.
            NotFinished: the time is up (a TimeoutError).
            BadResult: the result does not fit the annotation.
        """
        return self._read(self._client.run(self._ended(timeout)))

    async def get_async(self, timeout: float | None = None) -> R_co:
        """`get`, for an event loop."""
        return self._read(await self._client.run_async(self._ended(timeout)))

    def __await__(self) -> Generator[Any, None, R_co]:
        return self.get_async().__await__()

    def status(self) -> Status:
        """How it is now: a `Status`, which is a str: `"pending"`, `"completed"`."""
        return self._client.run(self._status())

    async def status_async(self) -> Status:
        """`status`, for an event loop."""
        return await self._client.run_async(self._status())

    def cancel(self) -> None:
        """Nobody wants it any more. Raises Conflict where it has ended."""
        self._client.run(self._cancel())

    async def cancel_async(self) -> None:
        """`cancel`, for an event loop."""
        await self._client.run_async(self._cancel())

    def __repr__(self) -> str:
        return f"<task {self.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TaskRef) and (self.id, self._client) == (other.id, other._client)

    def __hash__(self) -> int:
        return hash(self.id)

    # -- how ---------------------------------------------------------------------------------------------------------

    def _ended(self, timeout: float | None) -> Flow[State]:
        return flows.ended(self.id, self._client.now, _seconds(timeout), self._client.timeout)

    def _status(self) -> Flow[Status]:
        return flows.status(self.id, self._client.now, self._client.timeout)

    def _cancel(self) -> Flow[None]:
        return flows.cancel(self.id, self._client.now, self._client.timeout)

    def _read(self, state: State) -> R_co:
        if state.status is Status.CANCELLED:
            raise TaskCancelled(self.id)
        if state.status is Status.DEAD_LETTERED:
            error = state.error
            assert error is not None  # what is given up has a reason
            raise TaskFailed(self.id, error.type, error.message, error.cause)
        if not state.keeps:
            return None  # type: ignore[return-value]  # the caller has waived the result
        return self._returns.read(self.id, b"null" if state.result is None else state.result)


@overload
def get(refs: TaskRef[R], timeout: float | None = None) -> R: ...


@overload
def get(refs: Iterable[TaskRef[R]], timeout: float | None = None) -> list[R]: ...


def get(refs: TaskRef[Any] | Iterable[TaskRef[Any]], timeout: float | None = None) -> Any:
    """The results of some tasks, in their order (or of one). `timeout`: seconds for all of them together.

    Raises what `TaskRef.get` raises, for the first task that has no result.
    """
    if isinstance(refs, TaskRef):
        return refs.get(timeout)
    refs, timeout = _refs(refs), _seconds(timeout)
    results = []
    deadline: float | None = None
    for ref in refs:
        if timeout is not None and deadline is None:
            deadline = ref._client.now() + timeout
        results.append(ref.get(None if deadline is None else max(0.0, deadline - ref._client.now())))
    return results


@overload
async def get_async(refs: TaskRef[R], timeout: float | None = None) -> R: ...


@overload
async def get_async(refs: Iterable[TaskRef[R]], timeout: float | None = None) -> list[R]: ...


async def get_async(refs: TaskRef[Any] | Iterable[TaskRef[Any]], timeout: float | None = None) -> Any:
    """`get`, for an event loop."""
    if isinstance(refs, TaskRef):
        return await refs.get_async(timeout)
    refs, timeout = _refs(refs), _seconds(timeout)
    results = []
    deadline: float | None = None
    for ref in refs:
        if timeout is not None and deadline is None:
            deadline = ref._client.now() + timeout
        results.append(await ref.get_async(None if deadline is None else max(0.0, deadline - ref._client.now())))
    return results


def wait(
    refs: Sequence[TaskRef[R]], num_returns: int = 1, timeout: float | None = None
) -> tuple[list[TaskRef[R]], list[TaskRef[R]]]:
    """Wait until `num_returns` of the tasks have ended, well or not, or `timeout` seconds are over.

    Returns:
        (done, rest), each in the order of `refs`; `done` holds at most `num_returns`.

    Raises:
        ValueError: a task is there twice, they are of several clients, or there are fewer than `num_returns`.
    """
    refs = _refs(refs)
    if not _checked(refs, num_returns):
        return [], []
    client = refs[0]._client
    return _split(refs, num_returns, client.run(_some(client, refs, num_returns, timeout)))


async def wait_async(
    refs: Sequence[TaskRef[R]], num_returns: int = 1, timeout: float | None = None
) -> tuple[list[TaskRef[R]], list[TaskRef[R]]]:
    """`wait`, for an event loop."""
    refs = _refs(refs)
    if not _checked(refs, num_returns):
        return [], []
    client = refs[0]._client
    return _split(refs, num_returns, await client.run_async(_some(client, refs, num_returns, timeout)))


def _refs(refs: Iterable[TaskRef[R]]) -> list[TaskRef[R]]:
    found = list(refs)
    for one in found:
        if not isinstance(one, TaskRef):
            raise TypeError(f"refs: expected what `.remote()` or `client.ref(id)` gives, got {one!r:.60}")
    return found


def _seconds(timeout: float | None) -> float | None:
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or isnan(timeout):
        raise TypeError(f"timeout: expected a number of seconds, got {timeout!r:.60}")
    return timeout


def _checked(refs: Sequence[TaskRef[Any]], wanted: int) -> bool:
    if not 0 <= wanted <= len(refs):
        raise ValueError(f"num_returns: expected 0 to {len(refs)}, got {wanted}")
    if len(set(refs)) < len(refs):
        raise ValueError("refs: each task may be there once")
    if len({id(ref._client) for ref in refs}) > 1:
        raise ValueError("refs: expected tasks of one client")
    return bool(refs)


def _some(client: Client, refs: Sequence[TaskRef[Any]], wanted: int, timeout: float | None) -> Flow[set[str]]:
    return flows.some_ended([ref.id for ref in refs], wanted, client.now, _seconds(timeout), client.timeout)


def _split(refs: Sequence[TaskRef[R]], most: int, ended: set[str]) -> tuple[list[TaskRef[R]], list[TaskRef[R]]]:
    done = [ref for ref in refs if ref.id in ended][:most]
    taken = {ref.id for ref in done}
    return done, [ref for ref in refs if ref.id not in taken]
