"""Every error that code around `taskqueue` can catch: one shallow tree under `TaskqueueError`.

What can be done about each is said in its docstring. `InvalidInput` carries the paths of what is wrong, `Unavailable`
the id under which a repeat is safe.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from taskqueue.core.errors import (
    ConfigError,
    Conflict,
    InvalidInput,
    Malformed,
    NotFound,
    QueueFull,
    StoreError,
    TaskqueueError,
    TooLarge,
    Unavailable,
)

if TYPE_CHECKING:
    from taskqueue.client.refs import TaskRef

__all__ = [
    "AccessDenied",
    "BadAnswer",
    "BadResult",
    "ConfigError",
    "Conflict",
    "InvalidInput",
    "Malformed",
    "NotFinished",
    "NotFound",
    "PartlyRefused",
    "QueueFull",
    "StoreError",
    "TaskCancelled",
    "TaskFailed",
    "TaskqueueError",
    "TooLarge",
    "Unavailable",
]


class TaskFailed(TaskqueueError):
    """The task was given up (dead-lettered), so there is no result. It can be replayed.

    Attributes:
        type: the class of what its handler raised last, by name.
        message: what that said.
        cause: `error`, `timeout`, `crash`, `expired`, `discarded` or `corrupt`.
    """

    def __init__(self, task_id: str, type: str, message: str, cause: str) -> None:
        super().__init__(f"task {task_id} was given up ({cause}): {type}: {message}")
        self.task_id = task_id
        self.type = type
        self.message = message
        self.cause = cause


class TaskCancelled(TaskqueueError):
    """Somebody cancelled the task, so there is no result."""

    def __init__(self, task_id: str) -> None:
        super().__init__(f"task {task_id} was cancelled")
        self.task_id = task_id


class NotFinished(TaskqueueError, TimeoutError):
    """The task had not ended when the time was up. It goes on: ask again."""

    def __init__(self, message: str, task_id: str) -> None:
        super().__init__(message)
        self.task_id = task_id


class BadResult(TaskqueueError):
    """The task completed, but its result does not fit the annotation of its handler's return value."""

    def __init__(self, task_id: str, message: str) -> None:
        super().__init__(f"the result of task {task_id} is not what its handler is annotated to return: {message}")
        self.task_id = task_id


class AccessDenied(TaskqueueError):
    """The token is missing or unknown, or its role does not allow this."""


class BadAnswer(TaskqueueError):
    """What answers is no node, or has a bug; its log may say more. Whether it took effect is unknown."""


class PartlyRefused(TaskqueueError):
    """Not all bodies of a `submit_many` became tasks; those that did are not undone.

    Attributes:
        refs: one for each body that was read, in order; None where there is no task.
        failures: (place, error) of each of the others; an `Unavailable` there has the id for a safe repeat.
        complete: whether all bodies were read. False where it would have been no use to go on: the queue took nothing
            for the whole patience, or refuses this client.
    """

    def __init__(
        self, refs: Sequence[TaskRef[Any] | None], failures: Sequence[tuple[int, TaskqueueError]], *, complete: bool
    ) -> None:
        place, first = failures[0]
        rest = "" if complete else "; the rest was not read"
        super().__init__(f"{len(failures):,} of {len(refs):,} tasks were not taken, first [{place}]: {first}{rest}")
        self.refs = tuple(refs)
        self.failures = tuple(failures)
        self.complete = complete
