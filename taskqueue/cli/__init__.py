"""The `taskqueue` command. A door: it opens the room that a subcommand needs, and no other.

`taskqueue` and `taskqueue node` start a node here, `taskqueue backup` copies its database; the other commands speak to
a node over REST and stand in modules of their own, which `group.py` lists and loads when they are called. Of other
rooms only `actors.node`, `storage.sqlite_backup` and what `doctor` checks with are opened, each inside the function
that needs it.
"""

from __future__ import annotations

import os
import sys

_COMPLETING = "_TASKQUEUE_COMPLETE"
"""Set by the shell functions that click writes: then nothing is run, whatever the arguments."""

OURS = frozenset({"--help", "-h", "--version", "--url", "--token", "--json"})
"""Options before the command's name; any other is a node's."""

_WRONG = 2
"""A node's exit code where its flags are wrong; and for other reasons, of which its one line says enough."""


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code. See docs/cli.md."""
    arguments = sys.argv[1:] if argv is None else argv
    if _COMPLETING not in os.environ and _starts_a_node(arguments):
        from taskqueue.stopping import StopEarly, raise_on_signals

        raise_on_signals()
        try:
            from actors.node import main as node_main
        except StopEarly:
            return 0
        code = node_main(arguments[1:] if arguments[:1] == ["node"] else arguments)
        if code == _WRONG:
            from taskqueue.cli.local import hint_at

            hint_at(arguments)
        return code
    if _COMPLETING not in os.environ and arguments[:1] == ["backup"]:
        from taskqueue.cli.backup import main as backup_main

        return backup_main(arguments[1:])
    from taskqueue.cli.running import run

    return run(arguments)


def _starts_a_node(arguments: list[str]) -> bool:
    first = arguments[0] if arguments else "node"
    return first == "node" or (first.startswith("-") and first.partition("=")[0] not in OURS)
