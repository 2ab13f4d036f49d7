"""Runs a command: its exit code, and one line and a hint on stderr where it failed; a traceback for bugs only."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

import click

from taskqueue.cli import failures
from taskqueue.cli.group import root
from taskqueue.core.errors import TaskqueueError


def run(arguments: Sequence[str]) -> int:
    """The exit code of `taskqueue` with these arguments."""
    try:
        code = _called(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        return _unheard()
    except SystemExit as end:  # click has met a closed pipe, or has completed a shell's word
        with suppress(BrokenPipeError):
            sys.stdout.flush()
            return end.code if isinstance(end.code, int) else failures.NO
        return _unheard()


def _called(arguments: Sequence[str]) -> int:
    try:
        code = root.main(list(arguments), prog_name="taskqueue", standalone_mode=False)
        return code if isinstance(code, int) else failures.DONE
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return failures.INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return failures.WRONG
    except click.ClickException as error:
        return failures.tell(failures.of_usage(error))
    except TaskqueueError as error:
        return failures.tell(failures.of(error))


def _unheard() -> int:
    """Who reads has seen enough. What is left in the buffer is not to be complained about at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return failures.NO
