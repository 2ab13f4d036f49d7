"""`taskqueue completion`: what makes a shell complete this command."""

from __future__ import annotations

import click


@click.command("completion", epilog='For bash, in ~/.bashrc:  eval "$(taskqueue completion bash)"')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what makes a shell complete this command."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None  # click has these three
    click.echo(kind(ctx.find_root().command, {}, "taskqueue", "_TASKQUEUE_COMPLETE").source())
