"""`taskqueue queue`: what waits where, and holding it back."""

from __future__ import annotations

from typing import Any

import click

from taskqueue.cli import failures, output
from taskqueue.cli.confirming import confirmed
from taskqueue.cli.group import Listing
from taskqueue.cli.params import NAME
from taskqueue.cli.session import Session, connected

NAMED = click.argument("name", type=NAME)


@click.group(cls=Listing)
def queue() -> None:
    """Queues. Without a command, lists them."""


@queue.command("list")
@connected
def list_queues(session: Session) -> None:
    """List queues: what waits, for how long, and whether anybody serves it."""
    session.answer(session.api.get("/api/queues"), lambda answer: queue_table(answer["queues"]))


def queue_table(queues: list[dict[str, Any]]) -> Any:
    """One line a queue."""
    heads = ("+queue", "state", ">pending", "?>failed", "?>running", ">oldest", "?>in/s", "?>out/s", "unserved")
    return output.table(heads, map(_row, queues))


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    unserved = output.text(", ".join(one["unserved"]), "red") if one["unserved"] else ""
    counts = (f"{one[key]:,}" for key in ("pending", "failed", "processing"))
    rates = (f"{one[key]:,.1f}" for key in ("submittedPerSecond", "finishedPerSecond"))
    state = "paused" if one["paused"] else "on"
    return (one["name"], state, *counts, output.seconds(one["oldestAge"]), *rates, unserved)


@queue.command("pause")
@NAMED
@connected
def pause(session: Session, name: str) -> None:
    """Let no node claim from it; submits go on. Outlives restarts."""
    session.answer(session.api.post(f"/api/queues/{name}/pause"), lambda _: output.text(f"{name} is paused"))


@queue.command("resume")
@NAMED
@connected
def resume(session: Session, name: str) -> None:
    """Let nodes claim from it again."""
    session.answer(session.api.post(f"/api/queues/{name}/resume"), lambda _: output.text(f"{name} is on"))


@queue.command("purge")
@NAMED
@click.option("--yes", "-y", is_flag=True, help="Do not ask")
@connected
def purge(session: Session, name: str, yes: bool) -> int:
    """Cancel all that waits in it."""
    from taskqueue.cli.api import LONG

    if not yes:
        waiting = sum(
            one["pending"] + one["failed"]
            for one in session.api.get("/api/queues").json["queues"]
            if one["name"] == name
        )
        if not confirmed(f"cancel {output.counted(waiting)} in {name}?", yes):
            return failures.NO
    answer = session.api.post(f"/api/queues/{name}/purge", within=LONG)
    session.answer(answer, lambda it: output.text(f"{output.counted(it['count'])} cancelled"))
    return failures.DONE
