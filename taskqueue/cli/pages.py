"""Lists that come in pages: as many rows as were asked for, or all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import click
import msgspec

from taskqueue.cli import output
from taskqueue.cli.session import Session

PAGE = 1_000


def paged(function: Callable[..., Any]) -> Callable[..., Any]:
    """A command with `--limit`, `--cursor`, `--all`."""
    for option in (
        click.option("--all", "everything", is_flag=True, help="All of them; with --json one answer a line"),
        click.option("--cursor", metavar="CURSOR", help="Go on where a list ended"),
        click.option("--limit", type=click.IntRange(1, PAGE), default=50, show_default=True, help="Rows"),
    ):
        function = option(function)
    return function


def listing(
    session: Session,
    path: str,
    key: str,
    query: dict[str, Any],
    *,
    limit: int,
    cursor: str | None,
    everything: bool,
) -> Iterator[dict[str, Any]]:
    """The answers to print: one with up to `limit` entries under `key`, or all pages as they come.

    A filtered page may be short, or empty, although there is more; so it is asked again until there are enough.
    """
    if everything:
        while True:
            page = session.api.get(path, limit=PAGE, cursor=cursor, **query).json
            yield page
            cursor = page["nextCursor"]
            if cursor is None:
                return
    whole = session.api.get(path, limit=limit, cursor=cursor, **query).json
    while whole["nextCursor"] is not None and len(whole[key]) < limit:
        rest = limit - len(whole[key])
        page = session.api.get(path, limit=rest, cursor=whole["nextCursor"], **query).json
        whole[key] += page[key]
        whole["nextCursor"] = page["nextCursor"]
    yield whole


def printed(session: Session, pages: Iterator[dict[str, Any]], key: str, render: Callable[[Any, bool], Any]) -> None:
    """Print them. `render` makes a table of entries; the second argument says whether it has a heading."""
    first, count = True, 0
    for page in pages:
        count += len(page[key])
        if session.json:
            output.raw(msgspec.json.encode(page))
        elif page[key]:
            output.show(render(page[key], first))
            first = False
        cursor = page["nextCursor"]
    if session.json:
        return
    if not count:
        click.echo("none", err=True)
    if cursor is not None:
        click.echo(f"there are more: --cursor {cursor}, or --all", err=True)
