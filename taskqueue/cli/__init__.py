"""The `taskqueue` command. A door: it opens the room that a subcommand needs, and no other."""

from __future__ import annotations

import sys

_UNBUILT = frozenset(
    {"submit", "list", "show", "cancel", "retry", "replay", "dead", "schedule", "queue", "nodes", "status", "top"}
    | {"doctor", "bench"}
)


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code. `taskqueue` and `taskqueue node` start a node; `taskqueue backup` copies
    its database."""
    arguments = sys.argv[1:] if argv is None else argv
    first = arguments[0] if arguments else "node"
    if first in _UNBUILT:
        print(f"taskqueue {first}: not available in this version", file=sys.stderr)
        return 2
    if first == "backup":
        from taskqueue.cli.backup import main as backup_main

        return backup_main(arguments[1:])
    from actors.node import main as node_main

    return node_main(arguments[1:] if first == "node" and arguments else arguments)
