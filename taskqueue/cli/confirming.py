"""Asking before much is done."""

from __future__ import annotations

import sys

import click


def confirmed(question: str, yes: bool) -> bool:
    """Does somebody want it? `yes`: it was said beforehand. Raises UsageError where nobody answers."""
    if yes:
        return True
    click.echo(f"{question} [y/N] ", nl=False, err=True)
    answer = sys.stdin.readline()
    if not answer:
        click.echo(err=True)
        raise click.UsageError("nobody answered; --yes says it beforehand")
    if answer.strip().lower() in ("y", "yes"):
        return True
    click.echo("nothing was done", err=True)
    return False
