"""What the REST layer has to know of the configuration."""

from __future__ import annotations

from importlib.metadata import version

from msgspec import Struct

from taskqueue.core.config import Config

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
ENVELOPE = 64 * 1024
"""Bytes that the body of one task may have beside its payload."""
LONGEST_BODY = 1024 * 1024
"""Bytes of a body that carries no payload; 10,000 ids fit in."""


class Settings(Struct, frozen=True, kw_only=True):
    """Limits and names. `hosts` are the Host headers answered, lower case, without port and brackets."""

    max_payload_bytes: int
    max_batch_bytes: int
    hosts: frozenset[str]
    version: str


def settings_of(config: Config) -> Settings:
    """The settings that a node's configuration gives."""
    return Settings(
        max_payload_bytes=config.max_payload_bytes,
        max_batch_bytes=config.max_batch_bytes,
        hosts=LOOPBACK | {host.lower() for host in (config.api_host, *config.allowed_hosts)},
        version=version("taskqueue"),
    )
