"""Where Redis is: what a `redisAddress` may look like, and how it is shown. Pure."""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

SENTINEL_PORT, REDIS_PORT = 26379, 6379


class Address(Struct, frozen=True, kw_only=True):
    """What `redisAddress` says. `kind`: `tcp`, `unix`, `sentinel` or `cluster`; `hosts` are (host, port) each."""

    kind: str
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    master: str = ""
    database: int = 0
    tls: bool = False
    username: str | None = None
    password: str | None = None

    def __str__(self) -> str:
        """For people: without the password."""
        if self.kind == "unix":
            return f"unix://{self.path}"
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        if self.kind == "tcp":
            return f"rediss://{hosts}" if self.tls else hosts
        return f"{self.kind}://{hosts}" + (f"/{self.master}" if self.master else "")


_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.%]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?", re.ASCII)


def parse_address(text: str) -> Address:
    """Read a `redisAddress`.

    Raises:
        ValueError: with what is wrong; the text, which may hold a password, is not repeated.
    """
    from urllib.parse import parse_qs, unquote  # only who has a URL waits for it

    if "://" not in text:
        return Address(kind="tcp", hosts=(_host(text, REDIS_PORT),))
    scheme, _, rest = text.partition("://")
    authority, slash, path = rest.partition("/")
    user, _, places = authority.rpartition("@")
    name, _, password = user.partition(":")
    who: dict[str, Any] = {"username": unquote(name) or None, "password": unquote(password) or None}
    path, _, query = path.partition("?")
    tls = scheme == "rediss" or parse_qs(query).get("tls") == ["true"]
    if scheme == "unix":
        if places or not path:
            raise ValueError("expected unix:///path/of/the/socket")
        return Address(kind="unix", path=unquote(slash + path), **who)
    if scheme in ("redis", "rediss"):
        if path and not re.fullmatch(r"[0-9]{1,4}", path, re.ASCII):
            raise ValueError(f"expected {scheme}://host:port or {scheme}://host:port/number")
        return Address(kind="tcp", hosts=(_host(places, REDIS_PORT),), database=int(path or 0), tls=tls, **who)
    if scheme not in ("sentinel", "cluster"):
        raise ValueError("expected host:port, or a URL of redis, rediss, unix, sentinel or cluster")
    hosts = tuple(_host(place, SENTINEL_PORT if scheme == "sentinel" else REDIS_PORT) for place in places.split(","))
    if bool(path) != (scheme == "sentinel"):
        raise ValueError("cluster:// takes no path" if path else "expected sentinel://host:port,host:port/name")
    return Address(kind=scheme, hosts=hosts, master=unquote(path), tls=tls, **who)


def _host(text: str, port: int) -> tuple[str, int]:
    match = _HOST.fullmatch(text)
    if match is None or not 0 < int(match[3] or port) < 65536:
        raise ValueError("expected host:port")
    return match[1] or match[2], int(match[3] or port)


def masked(address: str) -> str:
    """A `redisAddress` as it may be shown: with `***` for its password."""
    return re.sub(r"(://[^/@]*?:)[^/]*@", r"\1***@", address)
