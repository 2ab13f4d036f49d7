"""What people see: tables and lines with Rich, in colour on a terminal only. Rich is imported when a table is made.

Texts of tasks are strangers': everything that is not printable in them is escaped, and no markup is read from them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from taskqueue.core.text import one_line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

PIPED = 2_000
"""Columns where nobody says how wide it is: a line is never broken for a program."""

SHORT = 60

MARKS, GAP, LEAST = ">+?", 2, 20
"""Of tables: what may stand before a head, places between two columns, and places that a long text wants at least."""

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
    """A table. Marks before a head: `>` its column is of numbers, `+` it is never cut, `?` it is left out where the
    terminal is too narrow, the last of them first. What is too wide even then is cut with an ellipsis, long texts
    first.
    """
    from rich.table import Table

    cells: list[list[Any]] = [[cell if hasattr(cell, "cell_len") else text(cell) for cell in row] for row in rows]
    columns = [_Column.of(head, [row[place] for row in cells]) for place, head in enumerate(heads)]
    across = console().width
    shown = _fitting(columns, across)
    made = Table(box=None, pad_edge=False, title=title or None, title_justify="left", show_header=heading)
    for place in shown:
        columns[place].add_to(made, across)
    for row in cells:
        made.add_row(*(columns[place].fit(row[place]) for place in shown))
    return made


class _Column(NamedTuple):
    """One column. `widest`: that of its cells, in places of the terminal."""

    name: str
    marks: str
    widest: int

    @classmethod
    def of(cls, head: str, cells: Iterable[Text]) -> _Column:
        name = head.lstrip(MARKS)
        widest = max((text(name).cell_len, *(cell.cell_len for cell in cells)))
        return cls(name, head.removesuffix(name), widest)

    @property
    def least(self) -> int:
        return self.widest if "+" in self.marks else min(self.widest, LEAST)

    def add_to(self, made: Table, across: int) -> None:
        whole = "+" in self.marks and self.widest <= across
        made.add_column(
            self.fit(text(self.name)),
            justify="right" if ">" in self.marks else "left",
            overflow="fold" if "+" in self.marks else "ellipsis",
            # Rich makes those narrower first that it may wrap. The cells say themselves that they are not.
            no_wrap=whole or self.widest <= LEAST,
            min_width=self.widest if whole else None,
        )

    def fit(self, cell: Text) -> Text:
        """The cell, to be cut rather than wrapped, unless it is never cut."""
        if "+" not in self.marks:
            cell.no_wrap, cell.overflow = True, "ellipsis"
        return cell


def _fitting(columns: Sequence[_Column], across: int) -> list[int]:
    """The places of those that are shown."""
    shown = [*range(len(columns))]
    for place in reversed(range(len(columns))):
        if sum(columns[one].least + GAP for one in shown) - GAP <= across:
            break
        if "?" in columns[place].marks:
            shown.remove(place)
    return shown


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
    if value is None:
        return "-"
    if 0 < value < 0.1:
        return f"{max(1, round(value * 1_000))}µs"
    return seconds(value / 1_000) if value >= 1_000 else f"{value:.1f}ms"


def counted(count: int, noun: str = "task") -> str:
    """`1 task`, `1,200 tasks`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


Render = Callable[[Any], "RenderableType | Sequence[RenderableType]"]
Shown = Mapping[str, Any]
