"""`taskqueue cancel`, `retry`, `replay`, `delete`: tasks by id, or all that filters let through."""

from __future__ import annotations

import sys
from typing import Any

import click

from taskqueue.cli import failures, output
from taskqueue.cli.confirming import confirmed
from taskqueue.cli.filters import MANY, filtered
from taskqueue.cli.session import Session, connected
from taskqueue.core.errors import Conflict, NotFound
from taskqueue.core.names import read_task_id

DONE = {"cancel": "cancelled", "retry": "set to run now", "replay": "replayed", "delete": "deleted"}


def _command(action: str, sentence: str, states: str) -> click.Command:
    @click.command(action, help=f"{sentence} {states} Others are left alone.\n\nIDs may come from stdin, with -.")
    @click.argument("ids", metavar="[ID...]", nargs=-1)
    @click.option("--all", "everything", is_flag=True, help="All that may be, of those that the filters let through")
    @filtered(MANY)
    @click.option("--dry-run", is_flag=True, help="With --all: only count them")
    @click.option("--yes", "-y", is_flag=True, help="With --all: do not ask")
    @connected
    def command(
        session: Session,
        *,
        ids: tuple[str, ...],
        everything: bool,
        filters: dict[str, Any],
        dry_run: bool,
        yes: bool,
    ) -> int:
        if ids and (everything or filters or dry_run):
            raise click.UsageError("IDs, or --all with filters; not both")
        if everything:
            return many(session, action, filters, dry_run=dry_run, yes=yes)
        if not ids:
            raise click.UsageError("expected IDs, or --all (with filters)")
        return each(session, action, _ids(ids))

    return command


cancel = _command("cancel", "Cancel tasks.", "Those that are pending, failed (wait for a retry) or processing.")
retry = _command("retry", "Run tasks now.", "Those that failed and wait for a retry.")
replay = _command("replay", "Start tasks anew, with all their retries.", "Those that are dead-lettered or cancelled.")
delete = _command("delete", "Delete tasks.", "Those that are completed, dead-lettered or cancelled.")


def _ids(given: tuple[str, ...]) -> list[str]:
    """All of them are checked before anything is done."""
    names = [word for name in given for word in (sys.stdin.read().split() if name == "-" else [name])]
    for name in names:
        try:
            read_task_id(name)
        except ValueError as error:
            raise click.BadParameter(f"{name!r}: {error}", param_hint="ID") from None
    return names


def each(session: Session, action: str, ids: list[str]) -> int:
    """One after the other; what does not go is said, and does not stop the others."""
    code = failures.DONE
    for name in ids:
        try:
            if action == "delete":
                session.api.call("DELETE", f"/api/tasks/{name}")
            else:
                answer = session.api.post(f"/api/tasks/{name}/{action}")
        except (NotFound, Conflict) as error:
            code = failures.tell(failures.of(error))
            continue
        if action == "delete":
            session.say(f"{name} {DONE[action]}")
        else:
            session.answer(answer, lambda task: output.text(f"{task['id']} {DONE[action]}"))
    return code


def many(session: Session, action: str, filters: dict[str, Any], *, dry_run: bool, yes: bool) -> int:
    """Count, ask, do. Between the two nothing that is submitted later is added."""
    from taskqueue.cli.api import LONG, just_after

    body: dict[str, Any] = {"action": action, "filter": filters}
    if dry_run or not yes:
        reply = session.api.ask("POST", "/api/tasks/bulk", {**body, "dryRun": True}, LONG)
        counted = session.api.accept(reply)
        if dry_run:
            session.answer(counted, lambda it: output.text(f"{output.counted(it['count'])} would be {DONE[action]}"))
            return failures.DONE
        if counted.json["count"] and not confirmed(f"{action} {output.counted(counted.json['count'])}?", yes):
            return failures.NO
        if "before" not in filters and (moment := just_after(reply)) is not None:
            body["filter"] = {**filters, "before": moment}
    done = session.api.post("/api/tasks/bulk", body, LONG)
    session.answer(done, lambda it: output.text(f"{output.counted(it['count'])} {DONE[action]}"))
    return failures.DONE
