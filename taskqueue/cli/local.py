"""Commands that are run as they were given, in this process: `node`, `backup`."""

from __future__ import annotations

import click

_AS_GIVEN = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


@click.command(context_settings=_AS_GIVEN)
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
def node(flags: tuple[str, ...]) -> int:
    """Start a node; so does `taskqueue` alone, with a node's flags."""
    from actors.node import main

    return main(list(flags))


@click.command(context_settings=_AS_GIVEN)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def backup(words: tuple[str, ...]) -> int:
    """Copy the database of a node, which may run meanwhile."""
    from taskqueue.cli.backup import main

    return main(list(words))
