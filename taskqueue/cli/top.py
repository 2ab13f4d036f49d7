"""`taskqueue top`: throughput, queues, nodes, slow handlers, failures; live on a terminal, once where there is none."""

from __future__ import annotations

import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import click
import msgspec

from taskqueue.cli import failures, output
from taskqueue.cli.nodes import node_table
from taskqueue.cli.queues import queue_table
from taskqueue.cli.session import Session, connected
from taskqueue.core.errors import TaskqueueError

ROWS = 10
QUIT = "qQ"


@click.command("top")
@click.option("--every", type=click.FloatRange(0.2, 3_600), default=2.0, show_default=True, help="Seconds between")
@click.option("--once", is_flag=True, help="Look once and end; so it does without a terminal")
@connected
def top(session: Session, every: float, once: bool) -> int:
    """Watch a deployment: throughput, queues, nodes, the slowest handlers, failures. Quits on q or Ctrl-C.

    Rates and times are those of all nodes over the last five minutes.
    """
    seen = _look(session)
    if session.json:
        output.raw(msgspec.json.encode(seen))
    elif once or not sys.stdout.isatty():
        output.show(*screen(seen))
    else:
        _live(session, seen, every)
    return failures.DONE


def _look(session: Session) -> dict[str, Any]:
    """Everything that is on the screen. Raises as the API does."""
    api = session.api
    return {
        "status": api.get("/api/cluster/status").json,
        "stats": api.get("/api/stats", minutes=5).json,
        "queues": api.get("/api/queues").json["queues"],
        "nodes": api.get("/api/cluster/nodes").json["nodes"],
        "deadLetters": api.get("/api/dead-letters", limit=1).json["counts"],
    }


def _live(session: Session, seen: dict[str, Any], every: float) -> None:
    """Look again and again. A node that is away for a while is waited for."""
    from rich.console import Group
    from rich.live import Live

    trouble = ""
    try:
        with _keys() as pressed, Live(screen=True, auto_refresh=False, console=output.console()) as live:
            while True:
                live.update(Group(*screen(seen, trouble)), refresh=True)
                if pressed(every):
                    return
                try:
                    seen, trouble = _look(session), ""
                except TaskqueueError as error:
                    trouble = str(error)
    except KeyboardInterrupt:
        return


@contextmanager
def _keys() -> Iterator[Any]:
    """Gives a function: was a key to quit pressed within so many seconds? The terminal is left as it was."""
    if not sys.stdin.isatty():
        yield _nobody
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)

    def pressed(within: float) -> bool:
        deadline = monotonic() + within
        while (left := deadline - monotonic()) > 0:
            if select.select([sys.stdin], [], [], left)[0]:
                key = sys.stdin.read(1)
                if not key or key in QUIT:
                    return True
        return False

    try:
        yield pressed
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _nobody(within: float) -> bool:
    select.select([], [], [], within)
    return False


# -- the screen --------------------------------------------------------------------------------------------------------


def screen(seen: dict[str, Any], trouble: str = "") -> list[Any]:
    """What is shown of a look; `trouble`: why it is an old one."""
    status, now = seen["status"], seen["stats"]["now"]
    tasks = ", ".join(f"{count:,} {state}" for state, count in status["tasks"].items() if count) or "none"
    wait, run = now["waitMs"], now["runMs"]
    spans = (("wait", *map(output.millis, wait.values())), ("run", *map(output.millis, run.values())))
    parts: list[Any] = [output.text(trouble, "bold red")] if trouble else []
    parts += [
        output.text(f"taskqueue {status['version']}, {status['mode']}, up {output.seconds(status['uptime'])}", "bold"),
        output.facts(
            [
                ("tasks", tasks),
                ("rate", f"{now['submittedPerSecond']:,.1f}/s in, {now['finishedPerSecond']:,.1f}/s out"),
            ]
        ),
        "",
        output.table(("last 5 minutes", ">p50", ">p95", ">p99"), spans),
        "",
        queue_table(_worst(seen["queues"])),
        "",
        node_table(seen["nodes"][:ROWS]),
    ]
    if now["byHandler"]:
        parts += ["", _handlers(now["byHandler"])]
    if seen["deadLetters"]:
        rows = ((one["handler"], one["cause"], f"{one['count']:,}") for one in seen["deadLetters"][:ROWS])
        parts += ["", output.table(("dead letters of", "cause", ">count"), rows)]
    return parts


def _worst(queues: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those with the oldest tasks first, and no more than fit."""
    return sorted(queues, key=lambda one: (-(one["oldestAge"] or 0.0), -one["pending"], one["name"]))[:ROWS]


def _handlers(handlers: list[dict[str, Any]]) -> Any:
    """The slowest first."""
    slowest = sorted(handlers, key=lambda one: -(one["runMs"]["p95"] or 0.0))[:ROWS]
    rows = (
        (
            one["handler"],
            f"{one['completed']:,}",
            output.text(f"{one['failed']:,}", "red" if one["failed"] else ""),
            *(output.millis(one["runMs"][key]) for key in ("p50", "p95", "p99")),
        )
        for one in slowest
    )
    return output.table(("slowest handlers", ">completed", ">failed", ">p50", ">p95", ">p99"), rows)
