"""What a handler is given (`TaskContext`), may raise (`Retry`, `Discard`, `Snooze`), and is told by (`TimedOut`).

A context holds no state of its own: it reports through a callable and reads a flag, both the node's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, MutableMapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from taskqueue.core.times import LONGEST, parse_span

Span = float | str | timedelta
"""A duration: a number of seconds, a string such as `"5m"`, or a timedelta."""


class Flag(Protocol):
    """Something that is set once, as `threading.Event` is."""

    def is_set(self) -> bool: ...


class TaskContext:
    """The running attempt, for a handler that has a parameter named `ctx`.

    Attributes:
        task_id: the task's id.
        fence: grows with every claim of the task: hand it to a resource of your own to keep a late attempt out.
        attempt: which attempt this is, from 1.
        generation: grows when a finished task is replayed.
        deadline: when the attempt's time is over (UTC).
        log: a logger whose records carry the task's id, also from threads that the handler starts itself.
    """

    __slots__ = ("_cancel", "_report", "attempt", "deadline", "fence", "generation", "log", "task_id")

    def __init__(
        self,
        *,
        task_id: str,
        fence: int,
        attempt: int,
        generation: int,
        deadline: datetime,
        report: Callable[[float, str], None],
        cancel: Flag,
    ) -> None:
        self.task_id = task_id
        self.fence = fence
        self.attempt = attempt
        self.generation = generation
        self.deadline = deadline
        self.log: logging.LoggerAdapter[logging.Logger] = _TaskLog(
            logging.getLogger("taskqueue.handlers"), {"task": task_id}
        )
        self._report = report
        self._cancel = cancel

    @property
    def cancelled(self) -> bool:
        """Nobody wants the result any more (cancelled, or out of time): end as soon as you can."""
        return self._cancel.is_set()

    def progress(self, fraction: float, note: str = "") -> None:
        """Say how far the attempt is. Cheap; the last word within a short while is stored.

        Raises:
            ValueError: `fraction` is not a number from 0 to 1, or `note` is no text.
        """
        if isinstance(fraction, bool) or not isinstance(fraction, int | float) or not 0 <= fraction <= 1:
            raise ValueError(f"progress: expected a fraction from 0 to 1, got {fraction!r}")
        if not isinstance(note, str):
            raise ValueError(f"progress: expected a text as note, got {note!r}")
        self._report(float(fraction), note)


class _TaskLog(logging.LoggerAdapter[logging.Logger]):
    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **(self.extra or {})}
        return msg, kwargs


class Retry(Exception):
    """Raise it to fail the attempt: it costs a retry, and the next one waits `delay` if given, else the backoff.

    Attributes:
        delay: microseconds, or None.
    """

    def __init__(self, message: str = "", *, delay: Span | None = None) -> None:
        super().__init__(message)
        self.delay = None if delay is None else micros(delay)


class Discard(Exception):
    """Raise it to give the task up: it is dead-lettered at once, whatever retries are left."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)


class Snooze(Exception):
    """Raise it to run again after `delay`; nothing is charged.

    Attributes:
        delay: microseconds.
    """

    def __init__(self, delay: Span) -> None:
        super().__init__(f"again in {delay}")
        self.delay = micros(delay)


class TimedOut(BaseException):
    """Thrown into a thread whose handler ran out of time.

    No `Exception`, so that a handler's `except Exception` does not take it for a failure of what it was doing; clean up
    in `finally`. A handler that goes on all the same is left behind, and its late result is refused.
    """


def micros(span: Span) -> int:
    """Microseconds of a duration.

    Raises:
        ValueError: it is none, or outside of 0 to 3650 days.
    """
    if isinstance(span, timedelta):
        value = span // timedelta(microseconds=1)
        if not 0 <= value <= LONGEST:
            raise ValueError("expected a duration between 0 and 3650 days")
        return value
    return parse_span(span)
