"""What the REST layer has to know of the configuration."""

from __future__ import annotations

from importlib.metadata import version

from msgspec import Struct

from taskqueue.core.access import Token
from taskqueue.core.config import Config

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
EVERY_HOST = "*"
ENVELOPE = 64 * 1024
"""Bytes that the body of one task may have beside its payload."""
LONGEST_BODY = 1024 * 1024
"""Bytes of a body that carries no payload; 10,000 ids fit in."""


class Settings(Struct, frozen=True, kw_only=True):
    """Limits and names. `hosts` are the Host headers answered, lower case, without port and brackets, or
    `EVERY_HOST`.
    """

    max_payload_bytes: int
    max_result_bytes: int
    max_batch_bytes: int
    hosts: frozenset[str]
    tokens: tuple[Token, ...]
    version: str


def settings_of(config: Config) -> Settings:
    """The settings that a node's configuration gives."""
    return Settings(
        max_payload_bytes=config.max_payload_bytes,
        max_result_bytes=config.max_result_bytes,
        max_batch_bytes=config.max_batch_bytes,
        hosts=LOOPBACK | {_known(host) for host in (config.api_host, *config.allowed_hosts)},
        tokens=config.api_tokens,
        version=version("taskqueue"),
    )


def bare(host: str) -> str:
    """A Host header without port, brackets and final dot."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().rstrip(".")


def _known(host: str) -> str:
    """The same for what stands in the configuration, where an IPv6 address may do without brackets."""
    return host.lower() if host.count(":") > 1 and not host.startswith("[") else bare(host)
