"""`taskqueue list` and `taskqueue show`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click
import msgspec

from taskqueue.cli import failures, output
from taskqueue.cli.filters import LISTED, filtered
from taskqueue.cli.pages import listing, paged, printed
from taskqueue.cli.params import SPAN, TASK_ID
from taskqueue.cli.session import Session, connected
from taskqueue.core.errors import NotFound

SHOWN = 4_000
"""Characters of a payload or a result that are shown to people."""

LONGEST_WAIT = 60.0


@click.command("list")
@filtered(LISTED)
@paged
@connected
def list_tasks(session: Session, filters: dict[str, Any], limit: int, cursor: str | None, everything: bool) -> None:
    """List tasks, newest first."""
    pages = listing(session, "/api/tasks", "tasks", filters, limit=limit, cursor=cursor, everything=everything)
    printed(session, pages, "tasks", task_table)


def task_table(tasks: Sequence[dict[str, Any]], heading: bool = True) -> Any:
    """One line a task."""
    heads = ("+id", "status", "handler", "?queue", "?>prio", "?>attempt", "?created (UTC)", "error or note")
    return output.table(heads, map(_row, tasks), heading=heading)


def _row(task: dict[str, Any]) -> tuple[object, ...]:
    place = (task["id"], task["status"], task["handler"], task["queue"], task["priority"], task["attempt"])
    return (*place, output.moment(task["createdAt"]), output.short(_note(task)))


def _note(task: dict[str, Any]) -> str:
    error, progress = task["error"], task["progress"]
    if error is not None:
        return f"{error['cause']}: {error['type']}: {error['message']}"
    return "" if progress is None else f"{progress['fraction']:.0%} {progress['note']}"


@click.command("show")
@click.argument("ids", metavar="ID...", nargs=-1, required=True, type=TASK_ID)
@click.option("--wait", type=SPAN, metavar="DURATION", help="Wait so long for its end, at most 60s")
@connected
def show(session: Session, ids: tuple[str, ...], wait: Any) -> int:
    """Show tasks whole: what they are, what became of each attempt, payload, result, error."""
    code = failures.DONE
    for name in ids:
        try:
            answer = session.api.get(f"/api/tasks/{name}", within=LONGEST_WAIT + 15, wait=wait)
        except NotFound as error:
            code = failures.tell(failures.of(error))
        else:
            session.answer(answer, _whole)
    return code


def _whole(task: dict[str, Any]) -> list[Any]:
    parameters = task["parameters"]
    error, progress = task["error"], task["progress"]
    facts: list[tuple[str, object]] = [
        ("task", task["id"]),
        ("status", task["status"]),
        ("handler", task["handler"]),
        ("queue", f"{task['queue']}, priority {task['priority']}"),
        ("tags", ", ".join(task["tags"]) or None),
        ("schedule", task["schedule"]),
        ("created", task["createdAt"]),
        ("due", task["runAt"]),
        ("expires", task["expiresAt"]),
        ("started", task["startedAt"]),
        ("finished", task["finishedAt"]),
        ("node", task["node"]),
        ("attempt", f"{task['attempt']}, {task['retriesLeft']} retries left, {task['crashes']} crashes"),
        ("generation", task["generation"]),
        ("timeout", parameters["timeout"]),
        ("progress", progress and f"{progress['fraction']:.0%} {progress['note']} ({progress['at']})"),
        ("payload", _json(task["payload"])),
        ("result", _json(task["result"]) if task["status"] == "completed" else None),
        ("error", error and output.text(f"{error['cause']}: {error['type']}: {error['message']}", "red")),
    ]
    shown = [(name, value) for name, value in facts if value is not None and value != ""]
    heads = (">attempt", "?>gen", "outcome", "?node", "?started (UTC)", ">took", "error")
    history = output.table(heads, map(_attempt, task["history"]), title="attempts")
    return [output.facts(shown), *([history] if task["history"] else [])]


def _attempt(one: dict[str, Any]) -> tuple[object, ...]:
    error = one["error"]
    began, ended = (datetime.fromisoformat(one[key]) for key in ("startedAt", "finishedAt"))
    took = output.seconds((ended - began).total_seconds())
    why = "" if error is None else output.short(f"{error['type']}: {error['message']}", 200)
    head = (one["attempt"], one["generation"], one["outcome"], one["node"])
    return (*head, output.moment(one["startedAt"]), took, why)


def _json(value: Any) -> str:
    return output.short(msgspec.json.encode(value).decode(), SHOWN)
