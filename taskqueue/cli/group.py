"""The tree of commands. Each is one line here and is imported when it is called, so that `--help` costs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

COMMANDS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "Nodes": {
        "node": ("local:node", "Start a node; so does `taskqueue` alone, with a node's flags."),
        "backup": ("local:backup", "Copy the database of a node, which may run meanwhile."),
        "doctor": ("doctor:doctor", "Check a deployment and say what to change."),
        "bench": ("bench:bench", "Measure a running node, shortly and honestly."),
    },
    "Tasks": {
        "submit": ("submit:submit", "Submit a task, or many from a file."),
        "list": ("tasks:list_tasks", "List tasks, newest first."),
        "show": ("tasks:show", "Show tasks whole, with their attempts."),
        "cancel": ("acting:cancel", "Cancel tasks that wait or run."),
        "retry": ("acting:retry", "Run failed tasks now, not after their backoff."),
        "replay": ("acting:replay", "Start dead-lettered or cancelled tasks anew."),
        "delete": ("acting:delete", "Delete finished tasks."),
        "dead": ("dead:dead", "Dead letters: list, replay, purge."),
    },
    "Steering": {
        "schedule": ("schedules:schedule", "Schedules: list, show, add, rm, pause, resume, preview, trigger."),
        "queue": ("queues:queue", "Queues: list, pause, resume, purge."),
        "nodes": ("nodes:nodes", "Nodes: list, drain, undrain."),
    },
    "Looking": {
        "status": ("status:status", "The deployment in one look."),
        "top": ("top:top", "Watch it live; quits on q."),
        "audit": ("status:audit", "Who changed what, newest first."),
        "completion": ("completion:completion", "Print what makes a shell complete this command."),
    },
}
"""By section of the help: where each command is, and its one line."""

_PLACES = {name: place for section in COMMANDS.values() for name, (place, _) in section.items()}


class Guessing(click.Group):
    """A group that names the command that was probably meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See click."""
        if self.get_command(ctx, args[0]) is None and not ctx.resilient_parsing:
            near = get_close_matches(args[0], self.list_commands(ctx), n=1)
            guess = f"; did you mean {near[0]}?" if near else ""
            ctx.fail(f"there is no command {args[0]!r}{guess}")
        return super().resolve_command(ctx, args)


class Listing(Guessing):
    """A group that lists when no command is named: `taskqueue nodes` is `taskqueue nodes list`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See click."""
        if not ctx.resilient_parsing and (not args or (args[0].startswith("-") and args[0] not in ("--help", "-h"))):
            args = ["list", *args]
        return super().parse_args(ctx, args)


class Root(Guessing):
    """The whole tree."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table."""
        return list(_PLACES)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import it."""
        if name not in _PLACES:
            return None
        module, _, attribute = _PLACES[name].partition(":")
        command: click.Command = getattr(import_module(f"taskqueue.cli.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """By section, from the table: nothing is imported for it."""
        for title, commands in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name, line) for name, (_, line) in commands.items()], col_max=12)


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"taskqueue {version('taskqueue')}")
        ctx.exit()


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--url", metavar="URL", help="Node to speak to  [TASKQUEUE_URL; default: http://127.0.0.1:8080]")
@click.option("--token", metavar="TOKEN", help="Token that the node wants  [TASKQUEUE_TOKEN]")
@click.option("--json", is_flag=True, help="Print the answer of the REST API, for programs")
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Print the version")
def root(**_: Any) -> None:
    """A task queue: start nodes, submit tasks, look after them.

    Exit codes: 0 done, 1 the node said no, 2 wrong usage or no node, 130 interrupted.
    """
