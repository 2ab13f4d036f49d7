"""The files under `deploy/`, read for the tests: an image's instructions, a unit's directives, YAML, and settings."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from taskqueue.core.config import Config
from taskqueue.core.options import OPTIONS
from taskqueue.core.settings import load, variable

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KEYS = {variable(key): key for key in OPTIONS}


def documents(name: str) -> list[Any]:
    """All documents of a YAML file."""
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


def seconds(text: str) -> float:
    """`25s` as compose and the settings have it."""
    assert re.fullmatch(r"\d+s", text), text
    return float(text[:-1])


class Image(NamedTuple):
    """What a Dockerfile says of the image in the end, and what its build takes from the context."""

    user: str
    environ: dict[str, str]
    entrypoint: list[str]
    healthcheck: list[str]
    copied: list[str]


def image() -> Image:
    """The Dockerfile."""
    text = re.sub(r"^\s*#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)
    steps = [line.split(None, 1) for line in re.sub(r"\\\n\s*", "", text).splitlines() if line.strip()]
    said: dict[str, list[str]] = {}
    for word, rest in steps:
        said.setdefault(word, []).append(rest)
    environ = dict(pair.split("=", 1) for line in said["ENV"] for pair in line.split())
    copied = [name for line in said["COPY"] if not line.startswith("--from") for name in line.split()[:-1]]
    (check,) = said["HEALTHCHECK"]
    return Image(
        user=said["USER"][-1],
        environ=environ,
        entrypoint=json.loads(said["ENTRYPOINT"][-1]),
        healthcheck=json.loads(check.partition(" CMD ")[2]),
        copied=copied,
    )


def unit() -> dict[str, str]:
    """The directives of the unit's [Service]; each stands once."""
    text = (DEPLOY / "systemd" / "taskqueue.service").read_text()
    part = text.partition("[Service]\n")[2].partition("\n[Install]")[0]
    lines = [line for line in part.splitlines() if line and not line.startswith("#")]
    pairs = [(line.partition("=")[0], line.partition("=")[2]) for line in lines]
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)


def config_of(file: Path | None = None, environ: Mapping[str, str] = {}) -> Config:
    """The configuration that a node would make of a file and of variables, each of which has to be a setting.

    A feature that is not built yet is read by its kind, and then left out; without `apiTokens` so is `apiHost`.
    """
    given = json.loads(file.read_text()) if file is not None else {}
    unknown = [name for name in environ if name.startswith("TASKQUEUE_") and name not in KEYS]
    assert not unknown
    taken = {name: value for name, value in environ.items() if name in KEYS}
    unbuilt = {key for key, option in OPTIONS.items() if option.field is None}
    for name, value in taken.items():
        kind = OPTIONS[KEYS[name]].kind
        kind.read(kind.text(value))
    for key, value in given.items():
        OPTIONS[key].kind.read(value)
    if "apiTokens" in unbuilt:
        unbuilt.add("apiHost")
    raw = json.dumps({key: value for key, value in given.items() if key not in unbuilt}).encode()
    environ = {name: value for name, value in taken.items() if KEYS[name] not in unbuilt}
    files = {"config.json": raw}
    return load(
        ["--config", "config.json"], environ, lambda path: files.get(path, f"secret-of-{path}-{'0' * 32}".encode())
    ).config
