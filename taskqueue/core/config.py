"""The one frozen configuration of a node. Spans are microseconds; the keys outside are the same names in camelCase."""

from __future__ import annotations

from msgspec import Struct, field

from taskqueue.core.access import Token
from taskqueue.core.clock import DAY, HOUR, MILLISECOND, MINUTE, SECOND

MIB = 1024 * 1024


class Backoff(Struct, frozen=True, kw_only=True):
    """Delay before retry n: `base * factor ** (n - 1)`, at most `max`, give or take `jitter` (a share of it)."""

    base: int = 1 * SECOND
    factor: float = 2.0
    max: int = 10 * MINUTE
    jitter: float = 0.2


class Retain(Struct, frozen=True, kw_only=True):
    """How long finished tasks of one state are kept: whichever comes first."""

    age: int
    max: int = 100_000


class Retention(Struct, frozen=True, kw_only=True):
    """Retention by state."""

    completed: Retain = Retain(age=24 * HOUR)
    cancelled: Retain = Retain(age=24 * HOUR)
    dead_lettered: Retain = Retain(age=30 * DAY)


class Config(Struct, frozen=True, kw_only=True):
    """Every setting, validated (see `settings.py`, which reads them from flags, environment and file)."""

    queue_size: int = 100_000
    log_level: str = "info"
    log_format: str = "text"
    retry_count: int = 3
    worker_count: int = 5
    api_host: str = "127.0.0.1"
    api_port: int = 8080
    api_threads: int = 64
    api_tokens: tuple[Token, ...] = ()
    allow_unauthenticated: bool = False
    allowed_hosts: tuple[str, ...] = ()
    data_dir: str = "./data"
    cluster_enabled: bool = False
    handlers: tuple[str, ...] = ()
    app_dir: str | None = None
    queues: tuple[str, ...] = ("default",)
    async_concurrency: int = 200
    storage: str = "sqlite"
    namespace: str = "taskqueue"
    redis_address: str = "localhost:6379"
    redis_password: str = ""
    redis_ca_file: str | None = None
    redis_cert_file: str | None = None
    redis_key_file: str | None = None
    redis_wait_replicas: int = 0
    clean_redis_on_start: bool = False
    require_durability: str | None = None
    allow_eviction: bool = False
    node_id: str = ""
    lease_ttl: int = 15 * SECOND
    heartbeat_interval: int = 1 * SECOND
    leader_ttl: int = 5 * SECOND
    poll_interval: int = 1 * SECOND
    task_timeout: int = 5 * MINUTE
    backoff: Backoff = field(default_factory=Backoff)
    max_crashes: int = 3
    shutdown_grace: int = 25 * SECOND
    retention: Retention = field(default_factory=Retention)
    misfire_grace: int = 60 * SECOND
    max_payload_bytes: int = MIB
    max_result_bytes: int = MIB
    max_batch_bytes: int = 32 * MIB
    priority_aging: int = 5 * MINUTE


GRACE_AFTER_TIMEOUT = 500 * MILLISECOND
"""How long a handler has to end after it was told of its time-out, before its thread is left behind."""
