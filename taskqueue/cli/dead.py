"""`taskqueue dead`: dead letters, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from taskqueue.cli import acting, output
from taskqueue.cli.filters import LISTED_DEAD, MANY_DEAD, filtered
from taskqueue.cli.group import Listing
from taskqueue.cli.pages import listing, paged, printed
from taskqueue.cli.session import Session, connected
from taskqueue.cli.tasks import task_table


@click.group(cls=Listing)
def dead() -> None:
    """Dead letters: tasks that were given up. Without a command, lists them."""


@dead.command("list")
@filtered(LISTED_DEAD)
@paged
@connected
def list_dead(session: Session, filters: dict[str, Any], limit: int, cursor: str | None, everything: bool) -> None:
    """List dead letters, newest first, with counts by handler and cause."""
    counts: list[dict[str, Any]] = []

    def pages() -> Any:
        for page in listing(
            session, "/api/dead-letters", "tasks", filters, limit=limit, cursor=cursor, everything=everything
        ):
            counts[:] = page["counts"]
            yield page

    printed(session, pages(), "tasks", task_table)
    if counts and not session.json:
        rows = [(one["handler"], one["cause"], f"{one['count']:,}") for one in counts]
        output.show("", output.table(("handler", "cause", ">count"), rows, title="all dead letters"))


def _many(name: str, action: str, text: str) -> Callable[..., Any]:
    @dead.command(name, help=text)
    @filtered(MANY_DEAD)
    @click.option("--dry-run", is_flag=True, help="Only count them")
    @click.option("--yes", "-y", is_flag=True, help="Do not ask")
    @connected
    def command(session: Session, filters: dict[str, Any], dry_run: bool, yes: bool) -> int:
        return acting.many(session, action, {"status": "dead-lettered", **filters}, dry_run=dry_run, yes=yes)

    return command


replay = _many("replay", "replay", "Start dead letters anew: all, or those that the filters let through.")
purge = _many("purge", "delete", "Delete dead letters: all, or those that the filters let through.")
