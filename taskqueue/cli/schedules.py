"""`taskqueue schedule`: rules that make tasks again and again."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from taskqueue.cli import output
from taskqueue.cli.failures import Told
from taskqueue.cli.group import Listing
from taskqueue.cli.parameters import parameterised
from taskqueue.cli.params import JSON, NAME, POSITIVE_SPAN
from taskqueue.cli.session import Session, connected
from taskqueue.core.errors import Conflict
from taskqueue.core.schedule import Misfire, Overlap

PATH = "/api/schedules"
MISFIRES = [rule.value for rule in Misfire]
OVERLAPS = [rule.value for rule in Overlap]
ID = click.argument("name", metavar="ID", type=NAME)


@click.group(cls=Listing)
def schedule() -> None:
    """Schedules: rules that make tasks again and again. Without a command, lists them."""


@schedule.command("list")
@connected
def list_schedules(session: Session) -> None:
    """List schedules with their next due times."""
    session.answer(session.api.get(PATH), _table)


def _table(answer: dict[str, Any]) -> Any:
    heads = ("+id", "rule", "?zone", "handler", "state", "next (UTC)", "?last (UTC)", "?>skipped")
    return output.table(heads, map(_row, answer["schedules"]))


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    when = (output.moment(one["nextRunAt"]), output.moment(one["lastRunAt"]))
    head = (one["id"], _rule(one), one["timezone"], one["handler"], _state(one))
    return (*head, *when, f"{sum(one['skipped'].values()):,}")


def _rule(one: dict[str, Any]) -> str:
    return one["cron"] or f"every {one['every']}"


def _state(one: dict[str, Any]) -> str:
    return "orphaned" if one["orphaned"] else "paused" if one["paused"] else "on"


@schedule.command("show")
@ID
@connected
def show(session: Session, name: str) -> None:
    """Show one schedule whole."""
    session.answer(session.api.get(f"{PATH}/{name}"), _whole)


def _whole(one: dict[str, Any]) -> Any:
    skipped = ", ".join(f"{count:,} {reason}" for reason, count in one["skipped"].items())
    return output.facts(
        [
            ("schedule", one["id"]),
            ("rule", f"{_rule(one)} ({one['timezone']})"),
            ("state", _state(one)),
            ("handler", one["handler"]),
            ("payload", output.short(msgspec.json.encode(one["payload"]).decode(), 4_000)),
            ("parameters", msgspec.json.encode(one["parameters"]).decode()),
            ("misfire", one["misfire"]),
            ("overlap", one["overlap"]),
            ("declared by", one["owner"]),
            ("next", one["nextRunAt"]),
            ("last", one["lastRunAt"]),
            ("skipped", skipped or "none"),
        ]
    )


@schedule.command("add")
@click.argument("handler", type=NAME)
@click.argument("payload", metavar="JSON", type=JSON)
@click.option("--id", "name", type=NAME, metavar="ID", help="Its id; else one is made")
@click.option("--cron", metavar="RULE", help="Five fields, six (seconds first) or @daily: '*/5 * * * *'")
@click.option("--every", type=POSITIVE_SPAN, metavar="DURATION", help="An interval, as 30s")
@click.option("--timezone", metavar="ZONE", help="Whose clocks --cron means, as Europe/Berlin  [UTC]")
@click.option("--misfire", type=click.Choice(MISFIRES), help="For due times that were missed  [runOnce]")
@click.option("--overlap", type=click.Choice(OVERLAPS), help="While its last task lives  [allow]")
@click.option("--paused", is_flag=True, help="It begins paused")
@click.option("--replace", is_flag=True, help="Replace the one with this --id, if there is one")
@parameterised
@connected
def add(session: Session, name: str | None, replace: bool, parameters: dict[str, Any], **given: Any) -> None:
    """Make a schedule: HANDLER is given JSON (- for stdin) at each due time. The other options are its tasks'.

    \b
    taskqueue schedule add report.build '{"kind": "daily"}' --id daily --cron '30 8 * * MON-FRI' \\
      --timezone Europe/Berlin
    """
    if (given["cron"] is None) == (given["every"] is None):
        raise click.UsageError("expected --cron or --every")
    body = {key: value for key, value in given.items() if value not in (None, False)}
    if parameters:
        body["parameters"] = parameters
    if replace:
        if name is None:
            raise click.UsageError("--replace wants an --id")
        answer = session.api.call("PUT", f"{PATH}/{name}", body)
    else:
        try:
            answer = session.api.post(PATH, body if name is None else {"id": name, **body})
        except Conflict as error:
            raise Told(str(error), "--replace puts this one in its place") from None
    session.answer(answer, _whole)


@schedule.command("rm")
@click.argument("names", metavar="ID...", nargs=-1, required=True, type=NAME)
@connected
def remove(session: Session, names: tuple[str, ...]) -> None:
    """Delete schedules; the tasks that they made stay."""
    for name in names:
        try:
            session.api.call("DELETE", f"{PATH}/{name}")
        except Conflict as error:
            raise Told(str(error), f"`taskqueue schedule pause {name}` stops it meanwhile") from None
        session.say(f"{name} deleted")


@schedule.command("pause")
@ID
@connected
def pause(session: Session, name: str) -> None:
    """Skip what is due from now on."""
    session.answer(session.api.post(f"{PATH}/{name}/pause"), lambda one: output.text(f"{one['id']} is paused"))


@schedule.command("resume")
@ID
@connected
def resume(session: Session, name: str) -> None:
    """Fire what is due from now on."""
    session.answer(session.api.post(f"{PATH}/{name}/resume"), lambda one: output.text(f"{one['id']} is on"))


@schedule.command("trigger")
@ID
@connected
def trigger(session: Session, name: str) -> None:
    """Make its task now, beside its due times; prints the task's id."""
    session.answer(session.api.post(f"{PATH}/{name}/trigger"), lambda task: output.text(task["id"]))


@schedule.command("preview")
@ID
@click.option("--count", type=click.IntRange(1, 100), default=5, show_default=True, help="How many")
@connected
def preview(session: Session, name: str, count: int) -> None:
    """Show its next due times."""
    answer = session.api.get(f"{PATH}/{name}/preview", count=count)
    session.answer(answer, lambda it: [output.text(moment) for moment in it["times"]])
