"""Every key of `config.json`: its kind, its range, its attribute in `Config`. Pure; `settings.py` reads the sources."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from taskqueue.core.access import tokens
from taskqueue.core.addresses import masked, parse_address
from taskqueue.core.clock import MILLISECOND
from taskqueue.core.config import MIB, Backoff, Config, Retain, Retention
from taskqueue.core.kinds import (
    Kind,
    Wrong,
    integer,
    json_or_text,
    nullable,
    number,
    path,
    section,
    several,
    show_span,
    span,
    switch,
    word,
)
from taskqueue.core.names import NAME_PATTERN


class Option(Struct, frozen=True):
    """One key. `field` is its attribute in `Config`; None: the feature is not built yet, only `default` is accepted."""

    kind: Kind
    field: str | None
    default: Any = None


def backoff() -> Kind:
    """`{"base", "factor", "max", "jitter"}`; also used by `@task`."""
    parts = {"base": span(), "factor": number(1, 1000), "max": span(), "jitter": number(0, 1)}
    whole = section(Backoff(), {name: (name, kind) for name, kind in parts.items()})

    def read(value: Any) -> Backoff:
        made: Backoff = whole.read(value)
        if made.base > made.max:
            raise Wrong(f"base ({show_span(made.base)}) is more than max ({show_span(made.max)})")
        return made

    return Kind(read, whole.text, whole.show)


def _redis_address() -> Kind:
    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise Wrong("expected host:port or a URL")
        try:
            parse_address(value)
        except ValueError as error:
            raise Wrong(str(error)) from None
        return value

    return Kind(read, show=masked)


def _secret() -> Kind:
    """A text that no message repeats and nothing shows."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or not value.isprintable():
            raise Wrong("expected printable characters")
        return value

    return Kind(read, show=lambda value: "***" if value else "")


def _retain(default: Retain) -> Kind:
    return section(default, {"age": ("age", span()), "max": ("max", integer(0, 1_000_000_000))})


_ANYTHING = Kind(lambda value: value, json_or_text)
_SIZE = integer(1, 256 * MIB)
_MODULE = word(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", 'a module such as "myapp.tasks"')
_QUEUE = word(r"\*|" + NAME_PATTERN, 'a queue\'s name of letters, digits, "_", ".", ":", "-" (at most 128), or "*"')
_HOST = word(r"[A-Za-z0-9.:_%\[\]-]{1,253}", "a host name or an address")
_ANSWERED = word(r"\*|[A-Za-z0-9.:_%\[\]-]{1,253}", 'a host name or an address, or "*" for all')
_KEPT = {
    "completed": ("completed", _retain(Retention().completed)),
    "cancelled": ("cancelled", _retain(Retention().cancelled)),
    "deadLettered": ("dead_lettered", _retain(Retention().dead_lettered)),
}

_BUILT: dict[str, tuple[str, Kind]] = {
    "queueSize": ("queue_size", integer(1, 1_000_000_000)),
    "logLevel": ("log_level", word("debug|info|warning|error", "debug, info, warning or error")),
    "logFormat": ("log_format", word("text|json", "text or json")),
    "retryCount": ("retry_count", integer(0, 1000)),
    "workerCount": ("worker_count", integer(1, 1024)),
    "apiPort": ("api_port", integer(0, 65535)),
    "dataDir": ("data_dir", path()),
    "apiHost": ("api_host", _HOST),
    "apiThreads": ("api_threads", integer(2, 1024)),
    "handlers": ("handlers", several(_MODULE, "a list of modules")),
    "appDir": ("app_dir", nullable(path())),
    "queues": ("queues", several(_QUEUE, "a list of at least one queue", least=1)),
    "asyncConcurrency": ("async_concurrency", integer(1, 10_000)),
    "storage": ("storage", word(r"[A-Za-z0-9_.-]{1,64}", "sqlite, memory, or a store's name")),
    "namespace": ("namespace", word("[a-z0-9_-]{1,32}", '1 to 32 of a-z, 0-9, "_", "-"')),
    "nodeId": ("node_id", nullable(word(NAME_PATTERN, 'letters, digits, "_", ".", ":", "-" (at most 128)'), "")),
    "leaseTtl": ("lease_ttl", span(100 * MILLISECOND)),
    "heartbeatInterval": ("heartbeat_interval", span(10 * MILLISECOND)),
    "leaderTtl": ("leader_ttl", span(100 * MILLISECOND)),
    "pollInterval": ("poll_interval", span(10 * MILLISECOND)),
    "taskTimeout": ("task_timeout", span(MILLISECOND)),
    "backoff": ("backoff", backoff()),
    "maxCrashes": ("max_crashes", integer(1, 10_000)),
    "shutdownGrace": ("shutdown_grace", span()),
    "retention": ("retention", section(Retention(), _KEPT)),
    "misfireGrace": ("misfire_grace", span()),
    "maxPayloadBytes": ("max_payload_bytes", _SIZE),
    "maxResultBytes": ("max_result_bytes", _SIZE),
    "maxBatchBytes": ("max_batch_bytes", _SIZE),
    "priorityAging": ("priority_aging", span()),
    "clusterEnabled": ("cluster_enabled", switch()),
    "redisAddress": ("redis_address", _redis_address()),
    "redisPassword": ("redis_password", _secret()),
    "redisCaFile": ("redis_ca_file", nullable(path())),
    "redisCertFile": ("redis_cert_file", nullable(path())),
    "redisKeyFile": ("redis_key_file", nullable(path())),
    "redisWaitReplicas": ("redis_wait_replicas", integer(0, 100)),
    "cleanRedisOnStart": ("clean_redis_on_start", switch()),
    "requireDurability": ("require_durability", nullable(word("fsync|replicated", '"fsync", "replicated", or null'))),
    "allowEviction": ("allow_eviction", switch()),
    "allowedHosts": ("allowed_hosts", several(_ANSWERED, "a list of host names")),
    "apiTokens": ("api_tokens", tokens()),
    "allowUnauthenticated": ("allow_unauthenticated", switch()),
}

# Known and accepted at their default; anything else is refused by name until the feature is there.
_UNBUILT: dict[str, tuple[Any, Kind]] = {
    "maxTasksPerChild": (None, nullable(_ANYTHING)),
    "maxChildMemory": (None, nullable(_ANYTHING)),
}

OPTIONS: dict[str, Option] = {
    **{key: Option(kind, field) for key, (field, kind) in _BUILT.items()},
    **{key: Option(kind, None, default) for key, (default, kind) in _UNBUILT.items()},
}


def show(config: Config) -> dict[str, Any]:
    """The configuration in the words of `config.json`; reading it again gives the same one.

    But for its secrets: those are masked.
    """
    return {
        key: option.kind.show(option.default if option.field is None else getattr(config, option.field))
        for key, option in OPTIONS.items()
    }
