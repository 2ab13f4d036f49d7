"""The options that say which tasks are meant."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from taskqueue.cli.params import MOMENT, NAME
from taskqueue.core.task import Cause, Status

STATUS = click.option("--status", type=click.Choice([state.value for state in Status]), help="Only those in this state")
CAUSE = click.option("--cause", type=click.Choice([cause.value for cause in Cause]), help="Only those given up for it")
HANDLER = click.option("--handler", type=NAME, metavar="NAME", help="Only those of this handler")
QUEUE = click.option("--queue", type=NAME, metavar="NAME", help="Only those in this queue")
TAG = click.option("--tag", type=NAME, metavar="TAG", help="Only those with this tag")
SCHEDULE = click.option("--schedule", type=NAME, metavar="ID", help="Only those that this schedule made")
BEFORE = click.option("--before", type=MOMENT, metavar="TIME", help="Only those submitted at this time or before")

LISTED = {"status": STATUS, "handler": HANDLER, "queue": QUEUE, "tag": TAG, "schedule": SCHEDULE}
LISTED_DEAD = {"cause": CAUSE, "handler": HANDLER, "queue": QUEUE, "tag": TAG, "schedule": SCHEDULE}
MANY = {"status": STATUS, "handler": HANDLER, "queue": QUEUE, "tag": TAG, "cause": CAUSE, "before": BEFORE}
MANY_DEAD = {"handler": HANDLER, "queue": QUEUE, "tag": TAG, "cause": CAUSE, "before": BEFORE}


def filtered(options: dict[str, Callable[[Any], Any]]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A command that gets `filters`: those of these options that were given."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def command(*args: Any, **given: Any) -> Any:
            filters = {name: value for name in options if (value := given.pop(name)) is not None}
            return function(*args, filters=filters, **given)

        for option in reversed(options.values()):
            command = option(command)
        return command

    return decorate
