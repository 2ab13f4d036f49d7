"""What a client asks of the other side, step by step, and who carries the steps out.

Every operation of a client is a generator of steps (`flows.py`): it holds the rules and touches nothing. A `Door`
carries a step out, blocking or as a coroutine; so both twins of each method follow the same rules.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Protocol, TypeVar

from msgspec import Struct

from taskqueue.core.errors import TaskqueueError
from taskqueue.core.task import Status

T = TypeVar("T")


class Item(Struct, frozen=True):
    """A submit, ready to be sent: its JSON, which holds the id."""

    id: str
    body: bytes


# -- steps -------------------------------------------------------------------------------------------------------------


class Send(Struct, frozen=True):
    """Submit these; answers one `Outcome` for each, in order, or `TooBig`. `within`: seconds."""

    items: Sequence[Item]
    within: float


class Look(Struct, frozen=True):
    """How is this task? Answers a `State` or `Later`; may wait up to `wait` seconds for its end. Raises NotFound."""

    id: str
    wait: float
    within: float


class LookAll(Struct, frozen=True):
    """Which of these have ended? Answers a set of ids, or `Later`; not all of them, where `within` is over or there are
    `wanted`. Raises NotFound.
    """

    ids: Sequence[str]
    wanted: int
    within: float


class Cancel(Struct, frozen=True):
    """Cancel this task; answers None or `Later`. Raises NotFound, Conflict."""

    id: str
    within: float


class Pause(Struct, frozen=True):
    """Let so many seconds pass."""

    seconds: float


Step = Send | Look | LookAll | Cancel | Pause
Flow = Generator[Step, Any, T]


# -- answers -----------------------------------------------------------------------------------------------------------


class Taken(Struct, frozen=True):
    """It is stored, under this id (an earlier one, where the idempotency key was known)."""

    id: str


class Refused(Struct, frozen=True):
    """It is not stored, and sending it again does not help."""

    error: TaskqueueError


class Later(Struct, frozen=True):
    """Not done, or nobody knows: the same again helps. `after`: seconds, where the other side named them."""

    error: TaskqueueError
    after: float | None = None


Outcome = Taken | Refused | Later


class TooBig(Struct, frozen=True):
    """The batch as a whole is too large for the other side."""

    error: TaskqueueError


class Failure(Struct, frozen=True):
    """What went wrong in the end."""

    type: str
    message: str
    cause: str


class State(Struct, frozen=True):
    """A task as a client needs it; `result` is JSON, None where there is none (or it is not kept)."""

    status: Status
    result: bytes | None = None
    error: Failure | None = None
    keeps: bool = True


class Door(Protocol):
    """One way to the other side. Any thread and any event loop may use it."""

    @property
    def url(self) -> str:
        """Where it leads, without secrets."""

    def do(self, step: Step) -> Any:
        """Carry a step out."""

    async def do_async(self, step: Step) -> Any:
        """The same without blocking the event loop."""

    def now(self) -> float:
        """Seconds since some moment; never goes back."""

    def close(self) -> None:
        """Let go of connections. Idempotent; they are made anew if need be."""

    async def close_async(self) -> None:
        """The same, for the connections of the running event loop too."""


def drive(door: Door, flow: Flow[T]) -> T:
    """What a flow comes to."""
    try:
        step = next(flow)
        while True:
            try:
                answer = door.do(step)
            except TaskqueueError as error:
                step = flow.throw(error)
            else:
                step = flow.send(answer)
    except StopIteration as end:
        value: T = end.value
        return value


async def drive_async(door: Door, flow: Flow[T]) -> T:
    """The same in an event loop."""
    try:
        step = next(flow)
        while True:
            try:
                answer = await door.do_async(step)
            except TaskqueueError as error:
                step = flow.throw(error)
            else:
                step = flow.send(answer)
    except StopIteration as end:
        value: T = end.value
        return value
