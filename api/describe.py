"""Writes the reference in `docs/api.md` anew, from the table of routes and its types: `python -m api.describe`.

What stands between the two marks is made here; what is around them is written by hand.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from api.calls import Route
from api.openapi import REFUSALS, document, refusals, says
from api.routes import ROUTES

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
BEGIN = "<!-- {}: written by `python -m api.describe`, from the code -->"
END = "<!-- end of {} -->"


def page(old: str) -> str:
    """The page with its made parts as the code has them now. Raises ValueError where a mark is missing."""
    described = document(ROUTES, version("taskqueue"))
    for name, text in (("calls", _calls(ROUTES)), ("reference", _reference(ROUTES, described))):
        begin, end = BEGIN.format(name), END.format(name)
        start, stop = old.index(begin) + len(begin), old.index(end)
        old = f"{old[:start]}\n\n{text}\n\n{old[stop:]}"
    return old


def _calls(routes: Iterable[Route]) -> str:
    rows = [
        (f"`{one.method} {one.template}`", says(one), one.role or "open", ", ".join(map(str, sorted(one.answers))))
        for one in routes
    ]
    return _table(("call", "does", "role", "answers"), rows)


def _reference(routes: Iterable[Route], described: dict[str, Any]) -> str:
    parts = [_table(("status", "of a problem, in every call"), [(str(n), text) for n, text in REFUSALS.items()])]
    for route in routes:
        parts.append(f"### {route.method} {route.template}")
        parts.append(f"{says(route)} {'Open.' if route.role is None else f'Role: {route.role}.'}")
        operation = described["paths"][route.template][route.method.lower()]
        if operation["parameters"]:
            given = [
                (f"`{one['name']}`", one["in"], kind(one["schema"]), one["description"])
                for one in operation["parameters"]
            ]
            parts.append(_table(("parameter", "in", "type", "meaning"), given))
        if route.body is not None:
            media = operation["requestBody"]["content"]["application/json"]
            parts.append(f"Body: {kind(media['schema'])}. For example")
            parts += [_json(one["value"]) for one in media["examples"].values()]
        answers = [f"{status} ({_answer(operation['responses'][str(status)])})" for status in route.answers]
        parts.append(f"Answers {', '.join(answers)}; refuses with {', '.join(map(str, refusals(route)))}.")
    parts.append("### Types")
    for name, schema in described["components"]["schemas"].items():
        parts.append(f"#### Type: {name}")
        parts.append(schema.get("description") or f"{kind(schema)}.")
        if "properties" in schema:
            required = set(schema.get("required", ()))
            rows = [
                (
                    f"`{field}`",
                    kind(one),
                    " ".join(filter(None, ("Always." if field in required else "", one.get("description")))),
                )
                for field, one in schema["properties"].items()
            ]
            parts.append(_table(("field", "type", "meaning"), rows))
        elif "enum" in schema and "description" in schema:
            parts.append(f"One of {kind(schema)}.")
    return "\n\n".join(parts)


def kind(schema: dict[str, Any]) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#type-{name.lower()})"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(map(kind, schema["anyOf"]))
    if schema.get("type") == "array":
        most = f" of at most {schema['maxItems']:,}" if "maxItems" in schema else ""
        return f"list{most}: {kind(schema.get('items', {}))}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"object of {kind(schema['additionalProperties'])}"
    words = [schema.get("type", "any JSON")]
    words += [schema["format"]] if "format" in schema else []
    words += [f"`{schema['pattern']}`"] if len(schema.get("pattern", "x" * 40)) < 40 else []
    if "minimum" in schema or "maximum" in schema:
        words.append(f"{schema.get('minimum', '…')} to {schema.get('maximum', '…')}")
    return ", ".join(words)


def _answer(response: dict[str, Any]) -> str:
    for media, content in response.get("content", {}).items():
        return kind(content["schema"]) if media == "application/json" else f"`{media}`"
    return "no body"


def _json(value: Any) -> str:
    return f"```json\n{msgspec.json.encode(value).decode()}\n```"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
    sys.stdout.write(f"{PAGE}: written\n")
