"""Tokens in the configuration: what is taken, what is refused, and that no secret is ever said again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from taskqueue.core.access import Role, Token, digest_of
from taskqueue.core.config import Config
from taskqueue.core.errors import ConfigError
from taskqueue.core.settings import load, render

SECRET = "hunter2-hunter2-hunter2"
ONE = {"name": "ci", "token": SECRET, "role": "viewer"}


def reader(file: object, **others: bytes) -> Callable[[str], bytes]:
    def read(path: str) -> bytes:
        if path == "config.json":
            return json.dumps(file).encode()
        if path not in others:
            raise FileNotFoundError(2, "No such file or directory", path)
        return others[path]

    return read


def config_of(file: object, *argv: str, environ: dict[str, str] | None = None, **others: bytes) -> Config:
    return load(argv, environ or {}, reader(file, **others)).config


def refusal(file: object, *argv: str, environ: dict[str, str] | None = None, **others: bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        config_of(file, *argv, environ=environ, **others)
    message = str(caught.value)
    assert message.isprintable()
    assert "hunter2" not in message
    return message


def test_a_token_is_kept_as_its_digest() -> None:
    (token,) = config_of({"apiTokens": [ONE]}).api_tokens
    assert token == Token(name="ci", role=Role.VIEWER, digest=digest_of(SECRET))
    assert SECRET not in repr(token)


def test_tokens_from_the_environment() -> None:
    environ = {"TASKQUEUE_API_TOKENS": json.dumps([ONE])}
    assert config_of({}, environ=environ) == config_of({"apiTokens": [ONE]})
    assert config_of({"apiTokens": [ONE]}, environ={"TASKQUEUE_API_TOKENS": ""}).api_tokens == ()


def test_tokens_from_a_file() -> None:
    named = {"name": "ci", "tokenFile": "run/ci", "role": "admin"}
    (token,) = config_of({"apiTokens": [named]}, **{"run/ci": SECRET.encode() + b"\r\n"}).api_tokens
    assert token == Token(name="ci", role=Role.ADMIN, digest=digest_of(SECRET), file="run/ci")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "apiTokens: tokenFile of ci: f: cannot be read: No such file or directory"),
        (b"", "apiTokens: tokenFile of ci: f: expected 1 to 1,024 printable ASCII characters without spaces"),
        (b"hunter2 hunter2", "without spaces"),
        (b"hunter2\nhunter2", "without spaces"),
        (b"hunter2\xff", "without spaces"),
        (b"hunter2" * 1_000, "1 to 1,024"),
    ],
)
def test_a_file_without_a_token_is_told_by_name(content: bytes | None, said: str) -> None:
    others = {} if content is None else {"f": content}
    assert said in refusal({"apiTokens": [{"name": "ci", "tokenFile": "f", "role": "admin"}]}, **others)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("hunter2", "apiTokens: expected a list of"),
        ({"hunter2": 1}, "apiTokens: expected a list of"),
        (["hunter2"], "apiTokens[0]: expected a list of"),
        ([ONE] * 1_001, "apiTokens: expected a list of"),
        ([{**ONE, "name": ""}], "apiTokens[0].name: expected a name"),
        ([{**ONE, "name": ["hunter2"]}], "apiTokens[0].name: expected a name"),
        ([{"token": SECRET, "role": "viewer"}], "apiTokens[0].name: expected a name"),
        ([{**ONE, "role": "hunter2"}], "apiTokens[0].role: expected viewer, submitter, operator, admin"),
        ([{**ONE, "role": ["viewer"]}], "apiTokens[0].role: expected"),
        ([{"name": "ci", "token": SECRET}], "apiTokens[0].role: expected"),
        ([{**ONE, "tokenfile": "x"}], "apiTokens[0].tokenfile: unknown key; did you mean tokenFile?"),
        ([{**ONE, "tokenFile": "x"}], "apiTokens[0]: give either token or tokenFile"),
        ([{"name": "ci", "role": "viewer"}], "apiTokens[0]: give either token or tokenFile"),
        ([{**ONE, "token": ""}], "apiTokens[0].token: expected 1 to 1,024 printable ASCII"),
        ([{**ONE, "token": 5}], "apiTokens[0].token: expected 1 to 1,024 printable ASCII"),
        ([{**ONE, "token": "hunter2 "}], "apiTokens[0].token: expected 1 to 1,024 printable ASCII"),
        ([{**ONE, "token": "hunter2é"}], "apiTokens[0].token: expected 1 to 1,024 printable ASCII"),
        ([{**ONE, "token": "***"}], "apiTokens[0].token: *** stands for a secret"),
        ([{"name": "a", "tokenFile": "x\0", "role": "viewer"}], "apiTokens[0].tokenFile: expected a path"),
        ([ONE, {**ONE, "token": "another"}], "apiTokens[1].name: another token has this name"),
        ([ONE, {**ONE, "name": "cd"}], "apiTokens: ci and cd have the same secret"),
    ],
)
def test_what_is_no_token_is_refused_by_its_place(value: Any, said: str) -> None:
    assert refusal({"apiTokens": value}).startswith(f"config.json: {said}")
    refusal({}, environ={"TASKQUEUE_API_TOKENS": value if isinstance(value, str) else json.dumps(value)})


def test_the_same_secret_from_a_file_is_the_same() -> None:
    both = [ONE, {"name": "cd", "tokenFile": "f", "role": "admin"}]
    assert refusal({"apiTokens": both}, f=SECRET.encode()) == "apiTokens: ci and cd have the same secret"


def test_no_secret_is_shown() -> None:
    tokens = [ONE, {"name": "cd", "tokenFile": "f", "role": "admin"}]
    shown = render(config_of({"apiTokens": tokens}, f=b"hunter2"))
    assert "hunter2" not in shown
    assert digest_of(SECRET).hex() not in shown
    assert json.loads(shown)["apiTokens"] == [
        {"name": "ci", "token": "***", "role": "viewer"},
        {"name": "cd", "tokenFile": "f", "role": "admin"},
    ]


def test_a_token_that_can_be_guessed_is_marked() -> None:
    (short, long) = (config_of({"apiTokens": [{**ONE, "token": "x" * n}]}).api_tokens[0] for n in (15, 16))
    assert (short.short, long.short) == (True, False)


@pytest.mark.parametrize("file", [{"apiTokens": [ONE]}, {"allowUnauthenticated": True}])
def test_with_tokens_or_on_purpose_any_address_is_taken(file: dict[str, Any]) -> None:
    assert config_of(file, "--host", "0.0.0.0").api_host == "0.0.0.0"


def test_every_host_needs_tokens() -> None:
    file = {"allowedHosts": ["*"]}
    assert refusal(file) == 'allowedHosts: "*" lets any web page reach the API; that needs apiTokens'
    assert refusal({**file, "allowUnauthenticated": True}).startswith("allowedHosts: ")
    assert config_of({**file, "apiTokens": [ONE]}).allowed_hosts == ("*",)


def test_roles_stand_in_a_row() -> None:
    assert [[one.covers(other) for other in Role] for one in Role] == [
        [n >= m for m in range(len(Role))] for n in range(len(Role))
    ]
