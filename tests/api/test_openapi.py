"""The description: nothing in it goes without saying, and what it says is what is read."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest

from api import parameters as described
from api.calls import Call, Route
from api.openapi import REFUSALS, TAGS, document, parameters, says
from api.routes import ROUTES
from api.words import Every, Span, Timeout
from taskqueue.core.access import Role
from taskqueue.core.fields import read_timeout
from taskqueue.core.recurrence import read_every
from taskqueue.core.times import parse_span

DOCUMENT = document(ROUTES, "0.1.0")
OPERATIONS = [
    pytest.param(route, DOCUMENT["paths"][route.template][route.method.lower()], id=f"{route.method} {route.template}")
    for route in ROUTES
]


def references(value: Any) -> set[str]:
    """Every reference in it."""
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def test_it_is_served(api):
    answer = api.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json == json.loads(json.dumps({**DOCUMENT, "info": {**DOCUMENT["info"], "version": "0.1.0"}}))
    assert answer.json["openapi"] == "3.1.0"


@pytest.mark.parametrize(("route", "operation"), OPERATIONS)
def test_every_route_is_described(route: Route, operation: dict[str, Any]):
    assert re.fullmatch(r"[A-Z].{10,}\.", operation["summary"]), "the docstring of what answers is a sentence"
    assert (str(route.role) in operation["description"]) if route.role else operation["security"] == []
    assert operation["tags"][0] in TAGS
    for parameter in operation["parameters"]:
        assert parameter["description"].endswith("."), parameter["name"]
        assert parameter["schema"], parameter["name"]
    assert {name for place, name, _ in parameters(route) if place == "path"} == set(
        re.findall(r"\{(\w+)}", route.template)
    )
    for status, answer in operation["responses"].items():
        known = DOCUMENT["components"]["responses"][status] if "$ref" in answer else answer
        assert len(known["description"]) > 5, status
    assert set(map(int, operation["responses"])) - set(REFUSALS) == set(route.answers) - set(REFUSALS)
    assert set(route.problems) <= set(REFUSALS)
    if route.body is not None:
        assert len(operation["requestBody"]["description"]) > 5
        (media,) = operation["requestBody"]["content"].values()
        assert media["examples"]


def test_a_route_without_words_would_be_noticed():
    def nothing(call: Call) -> None:
        pass

    bare = Route("GET", "/api/tasks", Role.VIEWER, nothing, {204: None})  # type: ignore[arg-type]
    assert says(bare) == ""
    with pytest.raises(KeyError):
        document([Route("GET", "/api/tasks", Role.VIEWER, nothing, {204: None}, query={"new": ("new", str)})], "0")  # type: ignore[arg-type]


def test_every_type_says_what_it_is():
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert len(schema.get("description", "")) > 3, name
        assert "_" not in "".join(re.findall(r"`(\w+)`", schema["description"])), f"{name}: names as they are outside"


def test_every_reference_leads_somewhere():
    for reference in references(DOCUMENT):
        target: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
        assert target


def test_operations_have_names_of_their_own():
    names = [operation["operationId"] for methods in DOCUMENT["paths"].values() for operation in methods.values()]
    assert len(set(names)) == len(names) == len(ROUTES)


def test_every_parameter_that_is_described_exists():
    used = {name for route in ROUTES for place, name, _ in parameters(route) if place == "query"}
    assert used == set(described.QUERY)


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if route.body is not None], ids=lambda route: route.template
)
def test_every_example_is_taken(api, route):
    made = api.post("/api/tasks", {"payload": 1, "parameters": {"delay": "1h"}}).json["id"]
    path = route.template.replace("/api/tasks/{id}", f"/api/tasks/{made}").replace("{id}", "s")
    api.submit(handler="thumbnail")
    if "{token}" in path:
        api.submit()
        (grant,) = api.post("/api/leases", {"handlers": ["echo"]}).json["tasks"]
        path = path.replace("{token}", grant["token"])
    (media,) = DOCUMENT["paths"][route.template][route.method.lower()]["requestBody"]["content"].values()
    for example in media["examples"].values():
        assert api.send(route.method, path, example["value"]).status_code < 300, example


SPANS = [
    *("0s", "0ms", "1ms", "99ms", "100ms", "0.1s", "0.5s", "1s", "1.5h", "999d", "99999999999ms", "0.25m"),
    *("", "5", "s", "1 s", "1S", "-1s", "1e3s", "1.s", ".5s", "1s\n", "٣s", "3651d", "99999d", "1w", "1.0000000s"),
    *(0, 0.05, 0.1, 1, 315_360_000, -1, 315_360_001, True, None),
]


@pytest.mark.parametrize(("kind", "read"), [(Span, parse_span), (Timeout, read_timeout), (Every, read_every)])
@pytest.mark.parametrize("value", SPANS)
def test_what_the_types_say_of_durations_is_what_is_read(kind, read, value):
    try:
        read(value)
        readable = True
    except ValueError:
        readable = False
    try:
        msgspec.convert(value, kind)
        said = True
    except msgspec.ValidationError:
        said = False
    assert said == readable or (value, kind, readable) == ("1s\n", kind, False)
