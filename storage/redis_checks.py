"""What is looked at when a connection for writing is made, and once a minute: is this a Redis that can be trusted?

State: none. What rules a server out is a ConfigError of one line; what only weakens the promise decides the durability
class: `fsync` where every write is on its disk before the answer, `replicated` where it is on all replicas too, else
`weak`, with the reason.
"""

from __future__ import annotations

import secrets
from typing import Any

from msgspec import Struct
from redis import exceptions as rx

from storage.connection import Wire, ask
from storage.keys import fixed, prefix
from storage.redis_rows import pack
from storage.scripts import scripts
from taskqueue.core.clock import SECOND
from taskqueue.core.config import Config
from taskqueue.core.errors import ConfigError

SCHEMA = 4
"""Version of what is stored. 2: payloads and results of 65 to 192 bytes stand in pieces. 3: what a task was born with
stands in one field. 4: it has a key of its own."""

OLDEST_READER = 4
"""The oldest version that can read it; a node of an older one refuses to start."""

OLDEST_DATA = 1
"""The oldest version that can be read here; it becomes `SCHEMA`."""

LEAST_VERSION = (7, 0)

DENIED_IN_SCRIPT = ("can't run this command", "ACL failure in script")
"""What Redis and Valkey say where a user may run scripts, and not what stands in them."""


class Facts(Struct, frozen=True):
    """What a server is. `weakness`: why its durability is `weak`."""

    version: str
    durability: str
    weakness: str
    replicas: int
    dataset: str
    aging: int


class Examination(Struct, frozen=True):
    """A server as somebody sees it who changes nothing. `trouble`: why no node would use it; "" where one would.
    `time`: the server's clock, microseconds since the epoch; `memory` and `limit`: bytes, 0 for no limit.
    """

    version: str
    trouble: str
    policy: str
    durability: str
    weakness: str
    replicas: int
    time: int
    memory: int
    limit: int


class NotMaster(rx.ConnectionError):
    """The server answers, but it is a replica (or loads its data): the master is elsewhere, or soon here."""


def inspect(wire: Wire, config: Config) -> Facts:
    """Look at the server, load the scripts, and make the dataset known or learn which it is.

    Raises:
        ConfigError: this server must not be used.
        NotMaster: not this one, or not now.
        RedisError: it does not answer.
    """
    try:
        info = _info(ask(wire, "INFO"))
        _rule_out(info, config)
        durability, weakness = _durability(wire, info, config)
        load(wire)
        dataset, schema, reader, aging = _open(wire, config)
    except rx.NoPermissionError as error:
        raise ConfigError(_denied(error)) from None
    except rx.ResponseError as error:
        if any(said in str(error) for said in DENIED_IN_SCRIPT):
            raise ConfigError(_denied(error)) from None
        if "WRONGTYPE" in str(error):
            raise ConfigError(_edited(config)) from None
        raise
    try:
        schema, reader, aging = int(schema), int(reader), int(aging)
    except ValueError:
        raise ConfigError(_edited(config)) from None
    if reader > SCHEMA or schema < OLDEST_DATA:
        its = f"its data has schema {schema}, and this version reads {SCHEMA}"
        raise ConfigError(f"namespace {config.namespace}: {its}")
    order = {"weak": 0, "fsync": 1, "replicated": 2}
    if order[durability] < order[config.require_durability or "weak"]:
        reason = weakness or "acknowledgements do not wait for all replicas (redisWaitReplicas)"
        raise ConfigError(f"requireDurability: {config.require_durability} is wanted, but {reason}")
    return Facts(
        version=_version(info),
        durability=durability,
        weakness=weakness,
        replicas=int(info.get("connected_slaves", 0)),
        dataset=dataset.decode("utf-8", "replace"),
        aging=aging,
    )


def _denied(error: Exception) -> str:
    return f"redisAddress: the user may not do what a node has to: {error}"


def _edited(config: Config) -> str:
    key = prefix(config.namespace) + "meta"
    return f"namespace {config.namespace}: {key} is not what a node stored there (schema, min_reader, aging: numbers)"


def examine(wire: Wire, config: Config) -> Examination:
    """The judgement of `inspect`, without loading, making or refusing anything. Raises RedisError."""
    info = _info(ask(wire, "INFO"))
    trouble = ""
    try:
        _rule_out(info, config)
    except (ConfigError, NotMaster) as error:
        trouble = str(error)
    durability, weakness = _durability(wire, info, config)
    seconds, micros = ask(wire, "TIME")
    return Examination(
        version=_version(info),
        trouble=trouble,
        policy=info.get("maxmemory_policy", "noeviction"),
        durability=durability,
        weakness=weakness,
        replicas=int(info.get("connected_slaves", 0)),
        time=int(seconds) * SECOND + int(micros),
        memory=int(info.get("used_memory", 0)),
        limit=int(info.get("maxmemory", 0)),
    )


def _version(info: dict[str, str]) -> str:
    return info.get("valkey_version") or info["redis_version"]


def load(wire: Wire) -> None:
    """Give the server every script that it does not know."""
    known = scripts().values()
    there = ask(wire, "SCRIPT", "EXISTS", *(script.sha for script in known))
    for script, has in zip(known, there, strict=True):
        if not has:
            ask(wire, "SCRIPT", "LOAD", script.text)


def _info(raw: bytes) -> dict[str, str]:
    lines = raw.decode("utf-8", "replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))


def _rule_out(info: dict[str, str], config: Config) -> None:
    version = tuple(int(part) for part in info["redis_version"].split(".")[:2])
    if version < LEAST_VERSION:
        raise ConfigError(f"redisAddress: this is Redis {info['redis_version']}; 7.0 is the oldest that will do")
    if info.get("role") != "master":
        raise NotMaster(f"it is a replica of {info.get('master_host')}:{info.get('master_port')}")
    if info.get("loading", "0") != "0":
        raise NotMaster("it is loading its data")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and not config.allow_eviction:
        raise ConfigError(
            f"redisAddress: its maxmemory-policy is {policy}, so it would drop tasks; set it to noeviction"
        )


def _durability(wire: Wire, info: dict[str, str], config: Config) -> tuple[str, str]:
    if info.get("maxmemory_policy", "noeviction") != "noeviction":
        return "weak", "it may evict keys (maxmemory-policy)"
    if info.get("aof_enabled") != "1":
        return "weak", "it keeps no log of its writes (appendonly no)"
    if info.get("aof_last_write_status", "ok") != "ok":
        return "weak", "its last write to the log failed"
    try:
        [_, policy] = ask(wire, "CONFIG", "GET", "appendfsync")
    except (rx.ResponseError, ValueError):
        return "weak", "it does not tell how it writes its log (CONFIG GET is denied)"
    if policy != b"always":
        return "weak", f"it answers before its log is on the disk (appendfsync {policy.decode()})"
    replicas = int(info.get("connected_slaves", 0))
    return ("replicated", "") if 0 < replicas <= config.redis_wait_replicas else ("fsync", "")


def _open(wire: Wire, config: Config) -> Any:
    keys = fixed(config.namespace)
    wanted = pack((secrets.token_hex(8), SCHEMA, OLDEST_READER, str(config.priority_aging), OLDEST_DATA))
    sha = scripts()["open"].sha
    return ask(wire, "EVALSHA", sha, len(keys), *keys, prefix(config.namespace), "", 0, "", wanted)
