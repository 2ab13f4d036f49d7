"""What people see: tables and lines with Rich, in colour on a terminal only. Rich is imported when a table is made.

Texts of tasks are strangers': everything that is not printable in them is escaped, and no markup is read from them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from taskqueue.core.text import one_line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

PIPED = 2_000
"""Columns where nobody says how wide it is: a line is never broken for a program."""

SHORT = 60

STYLES = {
    **dict.fromkeys(("pending", "late", "weak", "paused", "warn"), "yellow"),
    **dict.fromkeys(("processing", "draining"), "cyan"),
    **dict.fromkeys(("completed", "alive", "full", "fsync", "replicated", "ok"), "green"),
    **dict.fromkeys(("failed", "dead-lettered", "dead", "timeout", "crashed", "bad", "unserved"), "red"),
    **dict.fromkeys(("cancelled", "released", "snoozed"), "dim"),
}
"""The colour of a word, wherever it stands."""


def console(*, err: bool = False) -> Console:
    """Where tables go."""
    from rich.console import Console

    stream = sys.stderr if err else sys.stdout
    return Console(file=stream, highlight=False, width=None if stream.isatty() else PIPED)


def text(value: object, style: str = "") -> Text:
    """Anything, safe to show, in one line. None is a dash."""
    from rich.text import Text

    shown = "-" if value is None else one_line(str(value))
    return Text(shown, style or STYLES.get(shown, ""))


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "", heading: bool = True) -> Table:
    """A table. A head with `>` before it is of numbers; a head with `+` is never cut."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, title=title or None, title_justify="left", show_header=heading)
    for head in heads:
        whole = head.startswith("+")
        made.add_column(
            head.lstrip(">+"),
            justify="right" if head.startswith(">") else "left",
            overflow="fold" if whole else "ellipsis",
            no_wrap=not whole,
        )
    for row in rows:
        made.add_row(*(cell if hasattr(cell, "__rich_console__") else text(cell) for cell in row))
    return made


def facts(pairs: Iterable[tuple[str, object]]) -> Table:
    """Names and values, one a line."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, show_header=False)
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs:
        made.add_row(name, value if hasattr(value, "__rich_console__") else text(value))
    return made


def show(*things: RenderableType) -> None:
    """Print to stdout; without the spaces at the ends of lines, where it is no terminal."""
    out = console()
    if out.is_terminal:
        out.print(*things, sep="\n")
        return
    with out.capture() as captured:
        out.print(*things, sep="\n")
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def raw(body: bytes) -> None:
    """Print an answer as it came, on a line of its own."""
    sys.stdout.flush()
    sys.stdout.buffer.write(body + b"\n")
    sys.stdout.buffer.flush()


def short(value: object, most: int = SHORT) -> str:
    """The beginning of a text."""
    shown = "" if value is None else str(value)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def moment(value: str | None) -> str:
    """A time of the API without its fraction: `2026-11-24 04:16:53`, UTC."""
    return "-" if value is None else value[:19].replace("T", " ")


def seconds(value: float | None) -> str:
    """A span for people."""
    if value is None:
        return "-"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if value >= 2 * size:
            return f"{value / size:.1f}{unit}"
    return f"{value:.1f}s" if value >= 1 else f"{value * 1_000:.0f}ms"


def millis(value: float | None) -> str:
    """The same from milliseconds."""
    return "-" if value is None else seconds(value / 1_000) if value >= 1_000 else f"{value:.1f}ms"


def counted(count: int, noun: str = "task") -> str:
    """`1 task`, `1,200 tasks`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


Render = Callable[[Any], "RenderableType | Sequence[RenderableType]"]
Shown = Mapping[str, Any]
