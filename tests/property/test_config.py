"""A configuration that is printed and read again is the same one."""

from __future__ import annotations

import json
from string import ascii_letters, ascii_lowercase, digits

from hypothesis import given
from hypothesis import strategies as st

from taskqueue.core.clock import MILLISECOND, SECOND
from taskqueue.core.config import Backoff, Config, Retain, Retention
from taskqueue.core.errors import ConfigError
from taskqueue.core.options import OPTIONS
from taskqueue.core.settings import load, render, variable
from taskqueue.core.times import LONGEST

# To microseconds: as a number of seconds anything finer than a millisecond has to survive, too.
SPANS = st.integers(0, LONGEST)
NAMES = st.text(ascii_letters + digits + "_.:-", min_size=1, max_size=128)
MODULES = st.sampled_from(["a", "myapp.tasks", "_x.y_1.Z"])
PATHS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
RETAINED = st.builds(Retain, age=SPANS, max=st.integers(0, 10**9))
LEASES = st.integers(3 * SECOND, LONGEST)


def lists(items: st.SearchStrategy[str], least: int = 0) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(items, unique=True, min_size=least, max_size=4).map(tuple)


CONFIGS = st.builds(
    Config,
    queue_size=st.integers(1, 10**9),
    log_level=st.sampled_from(["debug", "info", "warning", "error"]),
    log_format=st.sampled_from(["text", "json"]),
    retry_count=st.integers(0, 1000),
    worker_count=st.integers(1, 1024),
    api_host=st.sampled_from(["127.0.0.1", "localhost", "::1"]),
    api_port=st.integers(0, 65535),
    api_threads=st.integers(2, 1024),
    allow_unauthenticated=st.booleans(),
    allowed_hosts=lists(st.sampled_from(["a.example", "[::1]", "10.0.0.1:80"])),
    data_dir=PATHS,
    handlers=lists(MODULES),
    app_dir=st.none() | PATHS,
    queues=lists(NAMES, 1) | st.just(("*",)),
    async_concurrency=st.integers(1, 10_000),
    storage=st.sampled_from(["sqlite", "redis", "memory", "other"]),
    redis_address=st.sampled_from(["localhost:6379", "[::1]:1", "unix:///a/b", "rediss://u@h", "cluster://a:1,b:2"]),
    redis_ca_file=st.none() | PATHS,
    redis_cert_file=st.none() | PATHS,
    redis_key_file=st.none() | PATHS,
    redis_wait_replicas=st.integers(0, 100),
    clean_redis_on_start=st.booleans(),
    require_durability=st.sampled_from([None, "fsync", "replicated"]),
    allow_eviction=st.booleans(),
    namespace=st.text(ascii_lowercase + digits + "_-", min_size=1, max_size=32),
    node_id=st.just("") | NAMES,
    lease_ttl=LEASES,
    heartbeat_interval=st.integers(10 * MILLISECOND, SECOND),
    leader_ttl=st.integers(100 * MILLISECOND, LONGEST),
    poll_interval=st.integers(10 * MILLISECOND, LONGEST),
    task_timeout=st.integers(MILLISECOND, LONGEST),
    backoff=st.tuples(SPANS, SPANS, st.floats(1, 1000), st.floats(0, 1)).map(
        lambda of: Backoff(base=min(of[:2]), max=max(of[:2]), factor=of[2], jitter=of[3])
    ),
    max_crashes=st.integers(1, 10_000),
    shutdown_grace=SPANS,
    retention=st.builds(Retention, completed=RETAINED, cancelled=RETAINED, dead_lettered=RETAINED),
    max_payload_bytes=st.integers(1, 1000),
    max_result_bytes=st.integers(1, 2**28),
    max_batch_bytes=st.integers(1000, 2**28),
    priority_aging=SPANS,
)


@given(CONFIGS)
def test_printed_and_read_again_it_is_the_same(config: Config) -> None:
    assert load([], {}, lambda _: render(config).encode()).config == config


@given(CONFIGS)
def test_through_the_environment_it_is_the_same(config: Config) -> None:
    environ = {}
    for key, value in json.loads(render(config)).items():
        text = value if isinstance(value, str) else json.dumps(value)
        environ[variable(key)] = "" if value is None else text
    loaded = load([], environ, lambda path: b"{}").config
    assert loaded == config


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)


@given(st.sampled_from(sorted(OPTIONS)), VALUES)
def test_any_json_is_taken_or_refused_in_one_line(key: str, value: object) -> None:
    message = f"{key}: taken"
    try:
        load([], {}, lambda _: json.dumps({key: value}).encode())
    except ConfigError as error:
        message = str(error)
    assert message.isprintable()
    assert key in message
