"""`taskqueue status` and `taskqueue audit`."""

from __future__ import annotations

from typing import Any

import click

from taskqueue.cli import output
from taskqueue.cli.pages import listing, paged, printed
from taskqueue.cli.session import Session, connected


@click.command("status")
@connected
def status(session: Session) -> None:
    """The deployment in one look."""
    session.answer(session.api.get("/api/cluster/status"), _status)


def _status(answer: dict[str, Any]) -> list[Any]:
    nodes = ", ".join(f"{count} {state}" for state, count in answer["nodes"].items() if count) or "none"
    facts: list[tuple[str, object]] = [
        ("mode", answer["mode"]),
        ("version", answer["version"]),
        ("up", output.seconds(answer["uptime"])),
        ("durability", answer["durability"]),
        ("leader", f"{answer['leader']} (term {answer['term']})" if answer["leader"] else "none"),
        ("nodes", nodes),
    ]
    if answer.get("redis"):
        facts += [(f"redis {name}", value) for name, value in answer["redis"].items()]
    counts = [(state, f"{count:,}") for state, count in answer["tasks"].items()]
    return [output.facts(facts), "", output.table(("tasks", ">count"), counts)]


@click.command("audit")
@paged
@connected
def audit(session: Session, limit: int, cursor: str | None, everything: bool) -> None:
    """Who changed what, newest first."""
    printed(
        session,
        listing(session, "/api/audit", "entries", {}, limit=limit, cursor=cursor, everything=everything),
        "entries",
        _entries,
    )


def _entries(entries: list[dict[str, Any]], heading: bool) -> Any:
    rows = ((output.moment(one["at"]), one["token"], one["action"], one["target"], one["count"]) for one in entries)
    return output.table(("at (UTC)", "token", "action", "+target", ">count"), rows, heading=heading)
