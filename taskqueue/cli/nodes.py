"""`taskqueue nodes`: who runs tasks."""

from __future__ import annotations

from typing import Any

import click

from taskqueue.cli import output
from taskqueue.cli.group import Listing
from taskqueue.cli.params import NAME
from taskqueue.cli.session import Session, connected

PATH = "/api/cluster/nodes"
NAMED = click.argument("name", metavar="NODE", type=NAME)


@click.group(cls=Listing)
def nodes() -> None:
    """Nodes. Without a command, lists them."""


@nodes.command("list")
@connected
def list_nodes(session: Session) -> None:
    """List nodes; one that died is listed for an hour."""
    session.answer(session.api.get(PATH), lambda answer: node_table(answer["nodes"]))


def node_table(nodes: list[dict[str, Any]]) -> Any:
    """One line a node."""
    heads = ("+node", "status", "leader", "?host", "?>pid", "?started (UTC)", "?heartbeat (UTC)")
    return output.table((*heads, "?>workers", ">running", "?queues", "?>handlers"), map(_row, nodes))


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    who = (one["id"], one["status"], "yes" if one["leader"] else "", one["host"], one["pid"])
    when = (output.moment(one["startedAt"]), output.moment(one["lastHeartbeat"]))
    work = (one["workers"], one["running"], output.short(", ".join(one["queues"])), len(one["handlers"]))
    return (*who, *when, *work)


@nodes.command("drain")
@NAMED
@connected
def drain(session: Session, name: str) -> None:
    """Let a node claim no more; what it runs goes on."""
    session.answer(session.api.post(f"{PATH}/{name}/drain"), lambda _: output.text(f"{name} drains"))


@nodes.command("undrain")
@NAMED
@connected
def undrain(session: Session, name: str) -> None:
    """Let a node claim again."""
    session.answer(session.api.post(f"{PATH}/{name}/undrain"), lambda _: output.text(f"{name} claims again"))
