"""Writes the reference in `docs/cli.md` from the commands: `python docs/diagrams/cli.py`. A test compares them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from taskqueue.cli.group import COMMANDS, root

PAGE = Path(__file__).parent.parent / "cli.md"
MARK = "## Reference\n"
AS_THEY_ARE = ("node", "backup")
"""They read their own flags; docs/operations.md has these."""


def page() -> str:
    """The whole page as it should be: what stands before the reference is written by hand."""
    before, mark, _ = PAGE.read_text().partition(MARK)
    shown = "\n".join(f"### taskqueue {name}\n\n```text\n{text}\n```\n" for name, text in _helps())
    intro = "What `--help` says of each. `node` and `backup` take a node's settings: [operations.md](operations.md).\n"
    return f"{before}{mark}\n{intro}\n{shown}"


def _helps() -> Iterator[tuple[str, str]]:
    top = click.Context(root, info_name="taskqueue", **root.context_settings)
    for section in COMMANDS.values():
        for name in section:
            if name not in AS_THEY_ARE:
                yield from _help(root.get_command(top, name), top, name, name)


def _help(command: click.Command | None, above: click.Context, name: str, path: str) -> Iterator[tuple[str, str]]:
    assert command is not None
    context = click.Context(command, info_name=name, parent=above, terminal_width=100)
    yield path, "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            yield from _help(command.get_command(context, inner), context, inner, f"{path} {inner}")


if __name__ == "__main__":
    sys.exit(None if PAGE.write_text(page()) else 1)
