"""A progress bar on stderr, where a person looks at it; nothing otherwise."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import click


class Bar(Protocol):
    """What a long work tells."""

    def advance(self, by: int) -> None:
        """So much more is done."""

    def say(self, line: str) -> None:
        """A line for stderr, beside the bar."""


class _Quiet:
    def advance(self, by: int) -> None:
        pass

    def say(self, line: str) -> None:
        click.echo(line, err=True)


@contextmanager
def bar(title: str, total: int | None, *, bytes: bool = False) -> Iterator[Bar]:
    """A bar for as long as the block takes. `total`: None where nobody knows."""
    if not sys.stderr.isatty():
        yield _Quiet()
        return
    from rich import progress as rp
    from rich.text import Text

    from taskqueue.cli.output import console

    amount: rp.ProgressColumn = rp.DownloadColumn() if bytes else rp.MofNCompleteColumn()
    columns = (rp.TextColumn("{task.description}"), rp.BarColumn(), amount, rp.TimeRemainingColumn())
    with rp.Progress(*columns, console=console(err=True), transient=True) as shown:
        task = shown.add_task(title, total=total)

        class Shown:
            def advance(self, by: int) -> None:
                shown.update(task, advance=by)

            def say(self, line: str) -> None:
                shown.console.print(Text(line))

        yield Shown()
