"""The statements of the SQLite backend, read once from `sql/*.sql`.

State: none. A file is named after its verb. It holds one statement, or several under headings `-- :name` (then known as
`verb.name`). `-- takes: a, b` lists the parameters in the order in which Python gives them; in the text they are `:a`
and `:b`. A file whose text and list differ raises ValueError at the first use of any statement.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_HEADING = re.compile(r"^-- :(\w+)$", re.MULTILINE)
_TAKES = re.compile(r"^-- takes: (.+)$", re.MULTILINE)
_COMMENT = re.compile(r"^--.*\n", re.MULTILINE)
_PARAMETER = re.compile(r":(\w+)")


def schema() -> str:
    """The script that makes a fresh file."""
    return (files("storage") / "sql" / "schema.sql").read_text("utf-8")


@cache
def statements() -> dict[str, str]:
    """Every statement by name, with numbered parameters (which bind faster than named ones)."""
    found: dict[str, str] = {}
    for file in (files("storage") / "sql").iterdir():
        verb, _, suffix = file.name.partition(".")
        if suffix == "sql" and verb != "schema":
            first, *rest = _HEADING.split(file.read_text("utf-8"))
            parts = {f"{verb}.{name}": text for name, text in zip(rest[::2], rest[1::2], strict=True)}
            if _COMMENT.sub("", first).strip():
                parts[verb] = first
            found.update({name: _numbered(name, text) for name, text in parts.items()})
    return found


def _numbered(name: str, text: str) -> str:
    """The statement with `?1` for the first parameter that it takes, and so on."""
    takes = _TAKES.search(text)
    names = [] if takes is None else takes[1].split(", ")
    body = _COMMENT.sub("", text).strip()
    if {*names} != {*_PARAMETER.findall(body)}:
        raise ValueError(f"{name}: takes {names}, but the statement uses {sorted({*_PARAMETER.findall(body)})}")
    return _PARAMETER.sub(lambda match: f"?{names.index(match[1]) + 1}", body)
