"""The description of the API, made from the table of routes and the types of what goes in and out: OpenAPI 3.1."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from inspect import getdoc
from typing import Any

import msgspec

from api.calls import METHODS_WITH_BODY, Route, Text
from api.errors import MEDIA_TYPE, Problem
from api.parameters import HEADERS, PATH, QUERY, Parameter

VERSION = "3.1.0"
JSON = "application/json"
_PART = re.compile(r"\{(\w+):(\w+)}")
_REF = "#/components/schemas/{name}"

ABOUT = (
    "Submit tasks, watch them, steer them. JSON in UTF-8, camelCase; times are RFC 3339. Errors are problems "
    "(RFC 9457): all that is wrong with what was sent is told at once, by path. HEAD is GET without the body."
)
TAGS = {
    "tasks": "One task, or many.",
    "dead-letters": "Tasks that were given up.",
    "schedules": "What makes tasks by itself.",
    "leases": "Workers in any language: claim, renew, end.",
    "queues": "Lines of tasks.",
    "handlers": "What live nodes serve.",
    "cluster": "The deployment and its nodes.",
    "stats": "What happened in the last minutes.",
    "audit": "Who changed what.",
    "whoami": "Who asks.",
    "operations": "For those who run it.",
    "pages": "For people.",
}

REFUSALS = {
    400: "The body is no JSON: not UTF-8, NaN or Infinity, half a surrogate pair, deeper than 32 levels; or no HTTP.",
    401: "No token, or one that nobody has.",
    403: "The token's role is too small; or, where no token is wanted, the page of another site asks.",
    404: "There is no such thing.",
    405: "`batch` and `bulk` are no ids: that path does not take this method.",
    409: "The present state does not allow it, or the id exists with another content.",
    413: "The body, or a payload in it, is over its limit.",
    415: "The body does not say that it is application/json in UTF-8.",
    421: "This node does not answer to that Host; see allowedHosts.",
    422: "Well formed, but something in it is wrong; `errors` says what, by path.",
    429: "queueSize tasks wait already; try again later.",
    503: "The store does not answer, the node stops, or too much waits; try again later. With `id`: whether that task "
    "was stored is unknown, and sending it again with this id is safe.",
}
"""What a problem of each status means, in every route."""

RETRY_AFTER = {"Retry-After": {"description": "Seconds.", "schema": {"type": "string", "pattern": "^[0-9]+$"}}}
REFUSAL_HEADERS = {
    401: {"WWW-Authenticate": {"description": "Bearer.", "required": True, "schema": {"type": "string"}}},
    405: {"Allow": {"description": "Which it takes.", "required": True, "schema": {"type": "string"}}},
    429: RETRY_AFTER,
    503: RETRY_AFTER,
}
LOCATION = {"Location": {"description": "Where it is.", "required": True, "schema": {"type": "string"}}}


def describe(routes: Sequence[Route], version: str) -> bytes:
    """The text of `/openapi.json`."""
    return msgspec.json.encode(document(routes, version))


def document(routes: Sequence[Route], version: str) -> dict[str, Any]:
    """The description as JSON values."""
    schemas = _Schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.template, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": VERSION,
        "info": {"title": "taskqueue", "version": version, "description": ABOUT},
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of apiTokens. Where none are set, everybody may do everything.",
                }
            },
            "responses": {str(status): _refusal(status, schemas) for status in REFUSALS},
            "schemas": schemas.components,
        },
    }


def says(route: Route) -> str:
    """What a route does: the docstring of what does it."""
    return (getdoc(route.answer) or "").replace("\n", " ")


def refusals(route: Route) -> list[int]:
    """The statuses of the problems that a route may answer."""
    found = {421, 422, 503, *route.problems}
    if route.role is not None:
        found |= {401, 403}
    if route.method in METHODS_WITH_BODY:
        found |= {400, 413, 415}
    return sorted(found - set(route.answers))


def parameters(route: Route) -> list[tuple[str, str, Parameter]]:
    """Where each parameter stands (path, query, header), its name, and what it is."""
    return [
        *(("path", name, PATH[converter]) for name, converter in _PART.findall(route.path)),
        *(("query", name, QUERY[name]) for name in route.query),
        *(("header", name, HEADERS[name]) for name in route.headers),
    ]


def tag_of(route: Route) -> str:
    """Which part of the API a route belongs to."""
    if route.path.startswith("/api/"):
        return route.path.split("/")[2]
    texts = [one.media_type for one in route.answers.values() if isinstance(one, Text)]
    return "pages" if any("html" in text or text == "*/*" for text in texts) else "operations"


class _Schemas:
    """The schemas of all types that the table names; shared ones stand among the components."""

    def __init__(self, routes: Iterable[Route]) -> None:
        types: list[Any] = [Problem]
        for route in routes:
            types += [one for one in route.answers.values() if one is not None and not isinstance(one, Text)]
            types += [] if route.body is None else [route.body]
            types += [parameter.type for _, _, parameter in parameters(route)]
        schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
        self._types = types
        self._schemas = [_renamed(schema) for schema in schemas]
        self.components = {_short(name): _component(_short(name), _renamed(one)) for name, one in components.items()}
        assert len(self.components) == len(components), "two types have one name outside"

    def of(self, type: Any) -> dict[str, Any]:
        """The schema of a type."""
        schema: dict[str, Any] = self._schemas[next(at for at, one in enumerate(self._types) if one is type)]
        return schema


def _component(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A named schema, described by its type's docstring as one line (before msgspec 0.23: with its indentation)."""
    if "description" in schema:
        schema = {**schema, "description": " ".join(schema["description"].split())}
    return {**schema, "title": name}


def _short(name: str) -> str:
    """`TaskShape` is `Task` outside."""
    return name.removesuffix("Shape")


def _renamed(value: Any) -> Any:
    """The same schema, with references to the components' names as they are outside."""
    if isinstance(value, list):
        return [_renamed(one) for one in value]
    if isinstance(value, dict):
        return {
            key: _REF.format(name=_short(one.rpartition("/")[2])) if key == "$ref" else _renamed(one)
            for key, one in value.items()
        }
    return value


def _operation(route: Route, schemas: _Schemas) -> dict[str, Any]:
    who = "Open to everybody." if route.role is None else f"Needs the role {route.role}."
    described: dict[str, Any] = {
        "operationId": f"{route.answer.__module__.rpartition('.')[2]}.{route.answer.__name__}",
        "tags": [tag_of(route)],
        "summary": says(route),
        "description": who,
        "parameters": [
            {
                "name": name,
                "in": place,
                "required": place == "path",
                "description": parameter.says,
                "schema": schemas.of(parameter.type),
                **({} if parameter.example is None else {"example": parameter.example}),
            }
            for place, name, parameter in parameters(route)
        ],
        "responses": {
            **{str(status): _answer(status, kind, schemas) for status, kind in route.answers.items()},
            **{str(status): {"$ref": f"#/components/responses/{status}"} for status in refusals(route)},
        },
    }
    if route.role is None:
        described["security"] = []
    if route.body is not None:
        described["requestBody"] = {
            "required": True,
            "description": _meaning(schemas.of(route.body), schemas),
            "content": {JSON: _media(schemas.of(route.body))},
        }
    return described


def _media(schema: dict[str, Any]) -> dict[str, Any]:
    """A media type's object; examples stand beside the schema."""
    plain = {key: value for key, value in schema.items() if key != "examples"}
    return {
        "schema": plain,
        "examples": {str(n): {"value": one} for n, one in enumerate(schema.get("examples", ()), 1)},
    }


def _answer(status: int, type: Any, schemas: _Schemas) -> dict[str, Any]:
    if type is None:
        return {"description": HTTPStatus(status).description or HTTPStatus(status).phrase}
    if isinstance(type, Text):
        return {"description": type.says, "content": {type.media_type: {"schema": {"type": "string"}}}}
    schema = schemas.of(type)
    headers = {"headers": LOCATION} if status == HTTPStatus.CREATED else {}
    return {"description": _meaning(schema, schemas), "content": {JSON: {"schema": schema}}, **headers}


def _refusal(status: int, schemas: _Schemas) -> dict[str, Any]:
    headers = {"headers": REFUSAL_HEADERS[status]} if status in REFUSAL_HEADERS else {}
    return {"description": REFUSALS[status], "content": {MEDIA_TYPE: {"schema": schemas.of(Problem)}}, **headers}


def _meaning(schema: dict[str, Any], schemas: _Schemas) -> str:
    """What the type that a schema speaks of says of itself."""
    named = schemas.components.get(schema.get("$ref", "").rpartition("/")[2], {})
    return str(named.get("description", "A JSON value."))
