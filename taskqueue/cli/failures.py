"""What goes wrong, as one line, a hint and an exit code."""

from __future__ import annotations

import sys
from typing import NamedTuple

import click

from taskqueue.core.errors import (
    ConfigError,
    Conflict,
    InvalidInput,
    NotFound,
    QueueFull,
    TaskqueueError,
    TooLarge,
    Unavailable,
)
from taskqueue.core.text import one_line
from taskqueue.errors import AccessDenied, BadAnswer, NotFinished

DONE, NO, WRONG, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: done; the node (or a check) said no; wrong usage, bad input or nobody there; Ctrl-C."""

_HINTS: tuple[tuple[type[TaskqueueError], int, str], ...] = (
    (InvalidInput, WRONG, "what is allowed stands at /docs of the node, and in docs/api.md"),
    (TooLarge, WRONG, "the limits are maxPayloadBytes and maxBatchBytes of the node"),
    (ConfigError, WRONG, "see `taskqueue --help`"),
    (Unavailable, WRONG, "try again; `taskqueue doctor` looks at what is wrong"),
    (BadAnswer, WRONG, "does --url lead to a node of taskqueue?"),
    (AccessDenied, NO, "--token or TASKQUEUE_TOKEN gives a token; its role has to allow this"),
    (NotFound, NO, "`taskqueue list`, `schedule` and `nodes` show what there is; tasks that are over go by and by"),
    (Conflict, NO, "`taskqueue show`, or `taskqueue schedule show`, tells what is there"),
    (QueueFull, NO, "too many tasks are waiting (queueSize of the node): try again later"),
    (NotFinished, NO, "it goes on: `taskqueue show` tells how it is"),
    (TaskqueueError, NO, ""),
)


class Failure(NamedTuple):
    """What is said on stderr, and the exit code."""

    line: str
    hint: str
    code: int


class Told(TaskqueueError):
    """A failure with a hint of its own. Exits 1, or with `code`."""

    def __init__(self, message: str, hint: str = "", code: int = NO) -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code


class Nobody(Told):
    """Nobody listens where a node should be."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "`taskqueue node` starts a node; --url or TASKQUEUE_URL says where one is", WRONG)


def of(error: TaskqueueError) -> Failure:
    """The failure that an error is."""
    if isinstance(error, Told):
        return Failure(str(error), error.hint, error.code)
    code, hint = next((code, hint) for kind, code, hint in _HINTS if isinstance(error, kind))
    if isinstance(error, Unavailable) and error.task_id is not None:
        hint = f"it may have been stored: the same again with --id {error.task_id} is safe"
    return Failure(str(error), hint, code)


def of_usage(error: click.ClickException) -> Failure:
    """The same for what click refuses."""
    ctx = getattr(error, "ctx", None)
    path = ctx.command_path if ctx is not None else "taskqueue"
    line = error.format_message().replace("\n\t", " ")  # click writes each choice on a line of its own
    return Failure(line, f"{path} --help", WRONG)


def tell(failure: Failure) -> int:
    """Say it; the exit code. Two lines at most, whatever the texts hold."""
    sys.stdout.flush()
    click.echo(f"taskqueue: {one_line(failure.line)}", err=True)
    if failure.hint:
        click.echo(f"hint: {one_line(failure.hint)}", err=True)
    return failure.code
