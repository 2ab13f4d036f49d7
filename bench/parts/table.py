"""What `make bench` printed, as a table for the README:
`make bench | tee figures.txt; python bench/parts/table.py <figures.txt`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any


def table(lines: Iterable[str]) -> Iterator[str]:
    """One row a figure; lines that are no JSON are left out."""
    figures = [json.loads(line) for line in lines if line.startswith("{")]
    yield "| figure | unit | median | min | max | rounds | load |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for figure in figures:
        ways = [str(figure[fact]) for fact in ("way", "peer") if fact in figure]
        name = ", ".join([f"`{figure['bench']}`", *ways])
        values = " | ".join(_short(figure[which]) for which in ("median", "min", "max"))
        yield f"| {name} | {figure['unit']} | {values} | {figure['rounds']} | {figure['load']:.1f} |"
    yield ""
    yield "; ".join(f"{key} {', '.join(sorted({str(one[key]) for one in figures}))}" for key in _SAME)


_SAME = ("cores", "python", "sqlite", "taskqueue", "commit")
"""What should be the same for all of them."""


def _short(value: Any) -> str:
    """Three figures that say something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    print("\n".join(table(sys.stdin)))
