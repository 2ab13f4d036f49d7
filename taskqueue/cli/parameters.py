"""The options of a task's parameters, shared by `submit` and `schedule add`."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from taskqueue.cli.params import MOMENT, NAME, POSITIVE_SPAN, PRIORITY, SPAN
from taskqueue.core.fields import MOST_RETRIES

_OPTIONS: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
    (
        "queue",
        "queue",
        click.option("--queue", type=NAME, metavar="NAME", help="Queue  [the handler's, else default]"),
    ),
    (
        "priority",
        "priority",
        click.option("--priority", type=PRIORITY, metavar="P", help="low, normal, high, critical or 0 to 9"),
    ),
    (
        "timeout",
        "timeout",
        click.option("--timeout", type=POSITIVE_SPAN, metavar="DURATION", help="Longest time of a run, as 30s or 5m"),
    ),
    (
        "retries",
        "retries",
        click.option("--retries", type=click.IntRange(0, MOST_RETRIES), metavar="N", help="Retries after the first"),
    ),
    ("delay", "delay", click.option("--delay", type=SPAN, metavar="DURATION", help="Run it no earlier than in this")),
    (
        "run_at",
        "runAt",
        click.option("--run-at", type=MOMENT, metavar="TIME", help="Run it no earlier than 2026-12-01T08:00:00Z"),
    ),
    (
        "expires_at",
        "expiresAt",
        click.option("--expires-at", type=MOMENT, metavar="TIME", help="Give it up if it still waits then"),
    ),
    ("tags", "tags", click.option("--tag", "tags", type=NAME, multiple=True, metavar="TAG", help="May be repeated")),
    (
        "keep_result",
        "keepResult",
        click.option("--keep-result/--no-keep-result", default=None, help="Whether what it returns is kept"),
    ),
)


def parameterised(function: Callable[..., Any]) -> Callable[..., Any]:
    """A command that gets `parameters`, as the REST API takes them: those that were given."""

    @wraps(function)
    def command(*args: Any, **options: Any) -> Any:
        said = {}
        for name, key, _ in _OPTIONS:
            value = options.pop(name)
            if value is not None and value != ():
                said[key] = list(value) if isinstance(value, tuple) else value
        if "delay" in said and "runAt" in said:
            raise click.UsageError("--delay or --run-at, not both")
        return function(*args, parameters=said, **options)

    for _, _, option in reversed(_OPTIONS):
        command = option(command)
    return command
