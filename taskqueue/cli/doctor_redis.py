"""What `doctor` looks at in a Redis. It only asks: nothing is loaded, made or set there."""

from __future__ import annotations

from collections.abc import Iterator
from time import time
from typing import TYPE_CHECKING

from taskqueue.cli.findings import Finding, bad, between, ok, warn
from taskqueue.core.addresses import masked
from taskqueue.core.clock import SECOND
from taskqueue.core.config import Config
from taskqueue.core.errors import ConfigError

if TYPE_CHECKING:
    from storage.redis_checks import Examination

NOTED, WRONG = 1.0, 5.0
"""Seconds between the clocks that are worth a word, and that are wrong: due times come late or early by them."""

FULL = 0.8
"""Share of `maxmemory` above which it is nearly full."""


def checks(config: Config) -> Iterator[Finding]:
    """Is it there, would a node use it, and how far can it be trusted?"""
    from redis.exceptions import RedisError

    from storage.connection import Dialer
    from storage.redis_checks import examine

    where = masked(config.redis_address)
    try:
        wire = Dialer(config).dial("doctor")
        try:
            before = time()
            seen = examine(wire, config)
            after = time()
        finally:
            wire.disconnect()
    except ConfigError as error:
        yield bad("redis", str(error), "see redisAddress in docs/operations.md")
        return
    except (RedisError, OSError) as error:
        advice = "is it running, is the address right, and the password (TASKQUEUE_REDIS_PASSWORD)?"
        yield bad("redis", f"{where}: {error}", advice)
        return
    yield ok("redis", f"{where} answers")
    yield from _judged(seen, config)
    yield _clock(seen.time / SECOND, before, after)


def _judged(seen: Examination, config: Config) -> Iterator[Finding]:
    evicts = seen.policy != "noeviction"
    if seen.trouble and not evicts:
        yield bad(
            "version", f"{seen.version}: {seen.trouble}", "name the master of a Redis (or Valkey) of 7.0 or newer"
        )
    else:
        yield ok("version", seen.version)
    if evicts:
        say = warn if config.allow_eviction else bad
        advice = "set maxmemory-policy noeviction, in its configuration file too"
        yield say("eviction", f"maxmemory-policy is {seen.policy}: it would drop tasks", advice)
    else:
        yield ok("eviction", "noeviction")
        yield _persistence(seen, config)
    yield _memory(seen)
    yield _replicas(seen, config)


def _persistence(seen: Examination, config: Config) -> Finding:
    if not seen.weakness:
        return ok("persistence", "append-only file, synced before each answer")
    say = bad if config.require_durability in ("fsync", "replicated") else warn
    said = f"{seen.weakness}: what is acknowledged may be lost"
    return say("persistence", said, "set appendonly yes and appendfsync always")


def _memory(seen: Examination) -> Finding:
    if seen.limit and seen.memory > FULL * seen.limit:
        said = f"{seen.memory / seen.limit:.0%} of maxmemory is used"
        return warn("memory", said, "raise maxmemory, or lower queueSize and retention")
    limit = f"of {seen.limit / 2**20:,.0f} MiB" if seen.limit else "no maxmemory"
    return ok("memory", f"{seen.memory / 2**20:,.0f} MiB used, {limit}")


def _replicas(seen: Examination, config: Config) -> Finding:
    awaited = config.redis_wait_replicas
    if seen.replicas < awaited:
        said = f"{seen.replicas} of the {awaited} that redisWaitReplicas waits for"
        return bad("replicas", said, "attach replicas, or lower redisWaitReplicas")
    if seen.replicas and not awaited:
        said = f"{seen.replicas}, and no acknowledgement waits for them: a failover may lose tasks"
        return warn("replicas", said, f"set redisWaitReplicas to {seen.replicas}")
    return ok("replicas", str(seen.replicas) if seen.replicas else "none: its disk is the only copy")


def _clock(theirs: float, before: float, after: float) -> Finding:
    """Its clock was read between the two times."""
    offset = between(theirs, before, after)
    said = f"{offset:+.3f} s from this machine's"
    advice = "let both follow a time server (chrony, ntpd)"
    if abs(offset) >= WRONG:
        return bad("clock", said, advice)
    return warn("clock", said, advice) if abs(offset) >= NOTED else ok("clock", said)
