"""`taskqueue doctor`: checks a deployment and says what to change. It changes nothing itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from msgspec.structs import replace

from taskqueue.cli import failures, output
from taskqueue.cli.findings import Finding, Level, bad, ok
from taskqueue.cli.session import Session, connected
from taskqueue.core.config import Config
from taskqueue.core.errors import ConfigError
from taskqueue.core.settings import load


@click.command("doctor")
@click.option("--config", metavar="FILE", help="Check what a node with this file needs: settings, folder, port, Redis")
@click.option("--data-dir", metavar="DIR", help="Check a folder: disk, space, lock")
@click.option("--port", type=click.IntRange(1, 65_535), metavar="PORT", help="Check whether a port is free")
@click.option("--redis", metavar="ADDRESS", help="Check a Redis: host:port, or a URL as redisAddress takes it")
@connected
def doctor(session: Session, config: str | None, data_dir: str | None, port: int | None, redis: str | None) -> int:
    """Check a deployment and say what to change. Exits 1 if something is wrong.

    Without options the node at --url is looked at: is it there and ready, how durable is it, who is missing, what waits
    unserved. With --config, --data-dir, --port or --redis these are looked at instead, from this machine.
    """
    found = list(_checks(session, config, data_dir, port, redis))
    healthy = all(one.level is not Level.BAD for one in found)
    if session.json:
        output.raw(msgspec.json.encode({"ok": healthy, "checks": found}))
    else:
        _print(found)
    return failures.DONE if healthy else failures.NO


def _print(found: list[Finding]) -> None:
    from rich.table import Table

    shown = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(3):
        shown.add_column(overflow="fold")
    for one in found:
        shown.add_row(output.text(one.level), output.text(one.check), output.text(one.found, "default"))
        if one.advice:
            shown.add_row("", "", output.text(f"→ {one.advice}", "bold"))
    output.show(shown)


def _checks(
    session: Session, file: str | None, data_dir: str | None, port: int | None, redis: str | None
) -> Iterator[Finding]:
    from taskqueue.cli import doctor_node, doctor_place, doctor_redis

    if session.names_node or not (file or data_dir or port or redis):
        yield from doctor_node.checks(session.api)
    if not (file or data_dir or port or redis):
        return
    flags = (["--config", file] if file else []) + (["--data-dir", data_dir] if data_dir else [])
    try:
        config = load(flags, os.environ, lambda path: Path(path).read_bytes()).config
    except ConfigError as error:
        yield bad("settings", str(error), "see docs/operations.md for what each may be")
        config = Config()
        file = None  # what a node would need is not known
    if file:
        yield ok("settings", f"{file} can be read")
    if data_dir or (file and config.storage == "sqlite"):
        yield from doctor_place.folder(Path(data_dir or config.data_dir))
    if port or (file and config.api_port):
        yield doctor_place.port(config.api_host, port or config.api_port)
    if redis or (file and config.storage == "redis"):
        yield from doctor_redis.checks(replace(config, redis_address=redis) if redis else config)
