"""Commands that are run as they were given, in this process: `node`, `backup`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import click
from click.shell_completion import CompletionItem

from taskqueue.cli import OURS
from taskqueue.core.errors import ConfigError
from taskqueue.core.settings import load, variable

FLAGS: Mapping[str, tuple[str, ...]] = {
    "node": (
        *("--config", "--port", "--host", "--handlers", "--app-dir", "--node-id", "--data-dir", "--workers"),
        *("--log-level", "--log-format", "--print-config", "--version", "--help"),
    ),
    "backup": ("--config", "--data-dir", "--help"),
}
"""What a shell is told that they take."""

_AS_GIVEN = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


class _AsGiven(click.Command):
    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """See click, which knows none of their flags."""
        return [CompletionItem(flag) for flag in FLAGS[self.name or ""] if flag.startswith(incomplete)]


@click.command(cls=_AsGiven, context_settings=_AS_GIVEN)
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
def node(flags: tuple[str, ...]) -> int:
    """Start a node; so does `taskqueue` alone, with a node's flags."""
    from actors.node import main

    return main(list(flags))


@click.command(cls=_AsGiven, context_settings=_AS_GIVEN)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def backup(words: tuple[str, ...]) -> int:
    """Copy the database of a node, which may run meanwhile."""
    from taskqueue.cli.backup import main

    return main(list(words))


def hint_at(arguments: Sequence[str]) -> None:
    """Say what helps, once `taskqueue` with these arguments has refused to start a node, if that was for its flags."""
    named = arguments[:1] == ["node"]
    words = arguments[1:] if named else arguments
    try:
        # Without a file and the environment: what is wrong with these has no hint, since its line says where it stands.
        load(words, {variable("allowUnauthenticated"): "true"}, lambda _: b"{}")
    except ConfigError:
        known = FLAGS["node"] if named else (*FLAGS["node"], *OURS)
        names = [word.partition("=")[0] for word in words if word.startswith("--")]
        near = [guess for name in names if name not in known for guess in get_close_matches(name, known, n=1)]
        click.echo(f"hint: did you mean {near[0]}?" if near else "hint: taskqueue node --help", err=True)
