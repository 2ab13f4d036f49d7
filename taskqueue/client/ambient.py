"""Which client `.remote()` uses: the one that `connect` made last, else one of TASKQUEUE_URL, made when it is needed.

The only state of the package that is a module's own (see docs/decisions/0011-client.md): functions under `@task` are
module-level, so what they submit to cannot be handed to them. `options(client=…)` and `Client.send` do without it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from taskqueue.client.client import Client
from taskqueue.client.steps import Door
from taskqueue.core.errors import ConfigError

URL = "TASKQUEUE_URL"
TOKEN = "TASKQUEUE_TOKEN"  # noqa: S105 - the name of the variable that holds one
DEFAULT_URL = "http://127.0.0.1:8080"

_REST = ("http", "https")
_STORES = ("redis", "rediss", "unix", "sentinel", "cluster")


class _Ambient:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.default: Client | None = None
        self.overrides: list[Client] = []


_ambient = _Ambient()


def connect(
    url: str | None = None,
    *,
    token: str | None = None,
    timeout: float = 10.0,
    settings: Mapping[str, Any] | None = None,
    default: bool = True,
) -> Client:
    """A client; from now on `.remote()` uses it too, unless `default` is false.

    Nothing is sent yet, so an other side that is away is noticed at the first use.

    Args:
        url: `http://…` or `https://…`: a node, over REST. `redis://…` (or any other form of `redisAddress`): the
            cluster's Redis itself. None: the environment variable TASKQUEUE_URL, else http://127.0.0.1:8080.
        token: the token that the node wants (None: TASKQUEUE_TOKEN). For REST only.
        timeout: seconds that a submit, a look or a cancel takes at most.
        settings: for Redis: keys of `config.json` such as `namespace` or `redisPassword`; they beat the environment
            (`TASKQUEUE_NAMESPACE`), and should be those of the nodes.

    Raises:
        ConfigError: something of this is wrong.
    """
    with _ambient.lock:
        if _ambient.overrides:
            return _ambient.overrides[-1]
    client = Client(_door(url, token, settings), timeout=timeout)
    if default:
        with _ambient.lock:
            _ambient.default = client
    return client


def current() -> Client:
    """The client that `.remote()` uses."""
    with _ambient.lock:
        found = _ambient.overrides[-1] if _ambient.overrides else _ambient.default
    return found if found is not None else connect()


@contextmanager
def override(client: Client) -> Iterator[Client]:
    """Inside, `current` and `connect` give this client, in every thread: for tests."""
    with _ambient.lock:
        _ambient.overrides.append(client)
    try:
        yield client
    finally:
        with _ambient.lock:
            _ambient.overrides.remove(client)


def _door(url: str | None, token: str | None, settings: Mapping[str, Any] | None) -> Door:
    named = "" if url is not None or URL not in os.environ else f"{URL}: "
    where = url if url is not None else os.environ.get(URL) or DEFAULT_URL
    if not isinstance(where, str) or "://" not in where:
        raise ConfigError(f'{named}expected a URL such as "{DEFAULT_URL}" or "redis://localhost:6379"')
    scheme = where.partition("://")[0]
    if scheme.lower() in _REST:
        from taskqueue.client.rest import RestDoor

        if settings:
            raise ConfigError(f"{named}settings are for Redis; a node has its own")
        return RestDoor(where, os.environ.get(TOKEN) or None if token is None else token)
    if scheme in _STORES:
        from taskqueue.client.direct import open_direct

        if token is not None:
            raise ConfigError(f"{named}a token is for REST; Redis wants a password, in the URL or as redisPassword")
        return open_direct(where, settings or {})
    raise ConfigError(f"{named}no scheme {scheme!r}; there are: {', '.join((*_REST, *_STORES))}")
