"""Who may ask the API for what: roles, and the tokens that carry them. Pure.

Of a token only its SHA-256 is kept. Nothing here repeats a secret, in no message and no `repr`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from taskqueue.core.errors import ConfigError
from taskqueue.core.kinds import Kind, Wrong, json_or_text, nearest
from taskqueue.core.names import read_name

MASK = "***"
"""What `--print-config` shows of a secret."""

SHORT = 16
"""A token of fewer characters can be guessed."""

MOST_TOKENS = 1_000
LONGEST = 1_024
_TOKEN = re.compile(r"[!-~]+", re.ASCII)


class Role(StrEnum):
    """What a token is for; each may do what those before it may."""

    VIEWER = "viewer"
    SUBMITTER = "submitter"
    OPERATOR = "operator"
    ADMIN = "admin"

    def covers(self, needed: Role) -> bool:
        """Is this role enough, where `needed` is asked for?"""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(needed)


class Token(Struct, frozen=True, kw_only=True):
    """A token: its name, which is no secret, and the digest of its secret. `file`: where the secret is read from."""

    name: str
    role: Role
    digest: bytes = b""
    file: str | None = None
    short: bool = False


def digest_of(secret: str) -> bytes:
    """What is kept of a secret."""
    return sha256(secret.encode()).digest()


def recognise(secret: str, tokens: Sequence[Token]) -> Token | None:
    """The token with this secret. Takes the same time whichever it is, and where it is none."""
    given = digest_of(secret)
    found = None
    for token in tokens:
        if compare_digest(token.digest, given):
            found = token
    return found


def tokens() -> Kind:
    """`[{"name", "token" or "tokenFile", "role"}]`. Messages repeat nothing of what was given but names of keys."""

    def read(value: Any) -> tuple[Token, ...]:
        allowed = 'expected a list of {"name", "token" or "tokenFile", "role"}'
        if not isinstance(value, list) or len(value) > MOST_TOKENS:
            raise Wrong(allowed)
        made: list[Token] = []
        for at, item in enumerate(value):
            if not isinstance(item, dict):
                raise Wrong(allowed, f"[{at}]")
            try:
                made.append(_read(item))
            except Wrong as error:
                raise Wrong(str(error), f"[{at}]{error.path}") from None
            if made[-1].name in (other.name for other in made[:-1]):
                raise Wrong("another token has this name", f"[{at}].name")
        return distinct(made)

    def text(given: str) -> Any:
        return json_or_text(given) if given.strip() else []

    return Kind(read, text, lambda value: [_show(token) for token in value])


def distinct(tokens: Sequence[Token]) -> tuple[Token, ...]:
    """The same tokens. Raises `Wrong` where two have the same secret: then nobody could say who it was."""
    seen: dict[bytes, str] = {}
    for token in tokens:
        if token.digest and seen.setdefault(token.digest, token.name) != token.name:
            raise Wrong(f"{seen[token.digest]} and {token.name} have the same secret")
    return tuple(tokens)


_KEYS = {"name": None, "token": None, "tokenFile": None, "role": None}


def _read(item: dict[str, Any]) -> Token:
    for key in item:
        if key not in _KEYS:
            raise Wrong(f"unknown key; did you mean {nearest(key, _KEYS)}?", f".{key}")
    try:
        name = read_name(item.get("name"))
    except ValueError as error:
        raise Wrong(str(error), ".name") from None
    if item.get("role") not in list(Role):
        raise Wrong(f"expected {', '.join(Role)}", ".role")
    role = Role(item["role"])
    if ("token" in item) == ("tokenFile" in item):
        raise Wrong("give either token or tokenFile")
    if "token" in item:
        return with_secret(Token(name=name, role=role), item["token"], ".token")
    file = item["tokenFile"]
    if not isinstance(file, str) or not file or not file.isprintable():
        raise Wrong("expected a path", ".tokenFile")
    return Token(name=name, role=role, file=file)


def with_secret(token: Token, secret: object, path: str = "") -> Token:
    """The token with the digest of this secret. Raises `Wrong`, which does not repeat it."""
    if not isinstance(secret, str) or not _TOKEN.fullmatch(secret) or len(secret) > LONGEST:
        raise Wrong(f"expected 1 to {LONGEST:,} printable ASCII characters without spaces", path)
    if secret == MASK:
        raise Wrong(f"{MASK} stands for a secret that is not shown; give the secret", path)
    return replace(token, digest=digest_of(secret), short=len(secret) < SHORT)


def from_files(tokens: Sequence[Token], read_file: Callable[[str], bytes]) -> tuple[Token, ...]:
    """The same tokens, each with its secret's digest: those that name a file have it read (blanks at its end do not
    count).

    Raises:
        ConfigError: one line, which names the token and its file.
    """
    made = []
    for token in tokens:
        if token.file is None:
            made.append(token)
            continue
        where = f"apiTokens: tokenFile of {token.name}: {token.file}"
        try:
            made.append(with_secret(token, read_file(token.file).decode("ascii", "replace").rstrip()))
        except OSError as error:
            raise ConfigError(f"{where}: cannot be read: {error.strerror}") from None
        except Wrong as error:
            raise ConfigError(f"{where}: {error}") from None
    try:
        return distinct(made)
    except Wrong as error:
        raise ConfigError(f"apiTokens: {error}") from None


def _show(token: Token) -> dict[str, str]:
    secret = {"token": MASK} if token.file is None else {"tokenFile": token.file}
    return {"name": token.name, **secret, "role": token.role.value}
