"""Where Redis is and how it is reached: addresses, dialling, and what is to be done about each of its errors.

State: none but the epoch of a `Dialer`, which grows when the server turned out to be another one, so that connections
to the former are let go. redis-py's own retries are off: only calls that may be repeated are, by their owners.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from enum import Enum
from typing import Any, Protocol, cast

from redis import exceptions as rx
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.retry import Retry

from storage.keys import prefix
from taskqueue.core.addresses import parse_address
from taskqueue.core.config import Config
from taskqueue.core.errors import ConfigError

ATTEMPT = 3.0
"""Seconds that one try waits for an answer; after that the connection is given up and its outcome is unknown."""

CONNECT = 1.0
"""Seconds that a connection may take to be made."""

FIRST_WAIT, LONGEST_WAIT = 0.05, 2.0
"""Bounds of the time between two tries, seconds; each wait is drawn from zero to the bound (full jitter)."""



class Wire(Protocol):
    """A connection of redis-py, which has no types of its own for these."""

    @property
    def is_connected(self) -> bool: ...

    def connect(self) -> None: ...

    def disconnect(self) -> None: ...

    def can_read(self, timeout: float) -> bool: ...

    def pack_command(self, *command: Any) -> list[bytes]: ...

    def send_packed_command(self, command: list[bytes], check_health: bool) -> None: ...

    def send_command(self, *command: Any) -> None: ...

    def read_response(self, *, timeout: float = ...) -> Any: ...


_KINDS: dict[str, Callable[..., Wire]] = {
    "plain": cast("Any", Connection),
    "tls": cast("Any", SSLConnection),
    "unix": cast("Any", UnixDomainSocketConnection),
}


class Cure(Enum):
    """What to do about an error."""

    RELOAD = "load the scripts, then the same again"
    AGAIN = "the same again, a little later"
    REDISCOVER = "let go, look anew for the server, then the same again"
    FULL = "no room: nothing was changed"
    DENIED = "no right to it: nothing was changed, and waiting does not help"
    WRONG = "a mistake: refused, and never tried again"


CURES: dict[str, Cure] = {
    "NOSCRIPT": Cure.RELOAD,
    "BUSY": Cure.AGAIN,
    "TRYAGAIN": Cure.AGAIN,
    "NOREPLICAS": Cure.AGAIN,
    "MISCONF": Cure.AGAIN,
    "LOADING": Cure.REDISCOVER,
    "READONLY": Cure.REDISCOVER,
    "MASTERDOWN": Cure.REDISCOVER,
    "CLUSTERDOWN": Cure.REDISCOVER,
    "MOVED": Cure.REDISCOVER,
    "ASK": Cure.REDISCOVER,
    "UNBLOCKED": Cure.REDISCOVER,
    "OOM": Cure.FULL,
    "NOAUTH": Cure.DENIED,
    "NOPERM": Cure.DENIED,
    "WRONGPASS": Cure.DENIED,
}
"""By the first word of an error reply. What is not in here is WRONG; a lost or silent connection is REDISCOVER."""


def cure(error: BaseException) -> Cure:
    """What to do about an error of redis-py."""
    word = getattr(error, "status_code", None) or str(error).split(" ", 1)[0]
    if word in CURES:
        return CURES[word]
    if isinstance(error, rx.ConnectionError | rx.TimeoutError | OSError) and not isinstance(
        error, rx.AuthenticationError
    ):
        return Cure.REDISCOVER
    return Cure.DENIED if isinstance(error, rx.AuthenticationError) else Cure.WRONG


def waits() -> Callable[[], float]:
    """How long to wait before each next try, seconds."""
    bound = FIRST_WAIT / 2

    def wait() -> float:
        nonlocal bound
        bound = min(LONGEST_WAIT, 2 * bound)
        return random.uniform(0, bound)

    return wait


# -- dialling ----------------------------------------------------------------------------------------------------------


class Dialer:
    """Opens connections to the one server that may be written to. Any thread may dial."""

    def __init__(self, config: Config) -> None:
        try:
            self.address = parse_address(config.redis_address)
        except ValueError as error:
            raise ConfigError(f"redisAddress: {error}") from None
        self.epoch = 0
        self._tag = prefix(config.namespace)
        self._common: dict[str, Any] = {
            "username": self.address.username,
            "password": config.redis_password or self.address.password,
            "socket_timeout": ATTEMPT,
            "socket_connect_timeout": CONNECT,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            "health_check_interval": 0,
        }
        self._tls: dict[str, Any] = {}
        if self.address.tls:
            _readable(redisCaFile=config.redis_ca_file)
            _readable(redisCertFile=config.redis_cert_file, redisKeyFile=config.redis_key_file)
            self._tls = {
                "ssl_cert_reqs": "required",
                "ssl_check_hostname": True,
                "ssl_ca_certs": config.redis_ca_file,
                "ssl_certfile": config.redis_cert_file,
                "ssl_keyfile": config.redis_key_file,
            }

    def dial(self, name: str) -> Wire:
        """A fresh connection, named `taskqueue-<name>` for who looks at the server. Raises what redis-py raises."""
        kind = self.address.kind
        named = {**self._common, "client_name": f"taskqueue-{name}"}
        if kind == "unix":
            wire = _KINDS["unix"](path=self.address.path, **named)
        elif kind == "tcp":
            wire = self._tcp(*self.address.hosts[0], db=self.address.database, **named)
        else:
            wire = self._tcp(*(self._from_sentinels() if kind == "sentinel" else self._from_cluster()), **named)
        try:
            wire.connect()
        except BaseException:
            wire.disconnect()
            raise
        return wire

    def _tcp(self, host: str, port: int, **options: Any) -> Wire:
        options.setdefault("socket_keepalive", True)
        return _KINDS["tls" if self._tls else "plain"](host=host, port=port, **self._tls, **options)

    def _ask(self, options: dict[str, Any], *command: str) -> Any:
        """What the first of the known hosts that answers says."""
        trouble: Exception = rx.ConnectionError("no host is known")
        for host, port in self.address.hosts:
            wire = self._tcp(host, port, **options)
            try:
                wire.connect()
                return ask(wire, *command)
            except (rx.RedisError, OSError) as error:
                trouble = error
            finally:
                wire.disconnect()
        raise trouble

    def _from_sentinels(self) -> tuple[str, int]:
        plain = {key: value for key, value in self._common.items() if key not in ("username", "password")}
        found = self._ask(plain, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.address.master)
        if found is None:
            raise rx.ConnectionError(f"the sentinels know no master named {self.address.master!r}")
        return found[0].decode(), int(found[1])

    def _from_cluster(self) -> tuple[str, int]:
        slot = self._ask(self._common, "CLUSTER", "KEYSLOT", self._tag)
        for first, last, (host, port, *_), *_ in self._ask(self._common, "CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return host.decode() or self.address.hosts[0][0], int(port)
        raise rx.ConnectionError(f"the cluster has nobody for slot {slot}")


def _readable(**files: str | None) -> None:
    for key, path in files.items():
        try:
            if path is not None:
                with open(path, "rb"):
                    pass
        except OSError as error:
            raise ConfigError(f"{key}: {path} cannot be read: {error.strerror}") from None


def ask(wire: Wire, *command: Any) -> Any:
    """The answer to one command. Raises what it says where it is an error."""
    wire.send_command(*command)
    return wire.read_response()
