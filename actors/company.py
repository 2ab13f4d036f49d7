"""What a node needs to live among others, or alone: who coordinates, how beats travel, who hears the store's hints.

Built by the composition root; no actor knows it.
"""

from __future__ import annotations

import random
from typing import cast

from actors.beater import Beater, StorageBeater, ThreadBeater
from actors.hints import Hints
from actors.messages import Address
from cluster.coordinator import Coordinator
from cluster.incarnation import Incarnation
from cluster.shared import ClusterCoordinator
from cluster.solo import SoloCoordinator
from storage.store import SharedStore, Store, Subscription
from taskqueue.core.clock import SECOND, Clock, FollowingClock
from taskqueue.core.config import Config
from taskqueue.core.errors import ConfigError
from taskqueue.core.views import RedisView

OWN_STORES = ("sqlite", "memory")
"""Stores that one process has for itself."""

_FOR_REDIS = {
    "redis_address": "redisAddress",
    "redis_password": "redisPassword",
    "redis_ca_file": "redisCaFile",
    "redis_cert_file": "redisCertFile",
    "redis_key_file": "redisKeyFile",
    "redis_wait_replicas": "redisWaitReplicas",
    "clean_redis_on_start": "cleanRedisOnStart",
    "require_durability": "requireDurability",
    "allow_eviction": "allowEviction",
}

HOUSE = SECOND
"""How often a leader looks around at least."""


class Company:
    """See the module. State: the beats' thread and the subscription to hints, in a cluster."""

    def __init__(self, config: Config, store: Store, incarnation: Incarnation, storage: Address) -> None:
        self._shared = cast(SharedStore, store) if config.cluster_enabled else None
        self._beats: ThreadBeater | None = None
        self._subscription: Subscription | None = None
        self.coordinator: Coordinator
        self.beater: Beater
        self.house_every = HOUSE
        if self._shared is None:
            self.coordinator = SoloCoordinator(incarnation.owner)
            self.beater = StorageBeater(storage)
        else:
            self.coordinator = ClusterCoordinator(
                incarnation, lease_ttl=config.lease_ttl, leader_ttl=config.leader_ttl, random=random.random
            )
            self.beater = self._beats = ThreadBeater(self._shared.beat)
            self.house_every = min(HOUSE, config.leader_ttl // 10)

    def start(self, hints: Hints) -> None:
        """Begin to beat and to listen."""
        if self._beats is not None and self._shared is not None:
            self._beats.start()
            self._subscription = self._shared.subscribe(hints)

    def deafen(self) -> None:
        """Listen no more. Idempotent."""
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None

    def stop(self, seconds: float) -> None:
        """Beat no more; a beat that is under way is given so long."""
        self.deafen()
        if self._beats is not None:
            self._beats.stop(seconds)

    def redis(self) -> RedisView | None:
        """What is known of the Redis behind it; None where there is none."""
        return None if self._shared is None else self._shared.view()


def time_of(config: Config, store: Store, clock: Clock) -> Clock:
    """The clock that a node goes by: where it shares its store, the store's, since its own may be off."""
    if not config.cluster_enabled:
        return clock
    following = FollowingClock(clock)
    sent = clock.monotonic()
    following.heard(cast(SharedStore, store).now(), sent, clock.monotonic())
    return following


def check(config: Config) -> list[str]:
    """What a person should know of these settings, a line each.

    Raises:
        ConfigError: the store is not one for so many nodes.
    """
    if config.cluster_enabled:
        if config.storage in OWN_STORES:
            raise ConfigError(
                f'storage: "{config.storage}" is a single node\'s own; with clusterEnabled it has to be "redis"'
            )
        return []
    if config.storage == "redis":
        raise ConfigError('storage: "redis" is for nodes of a cluster: it needs "clusterEnabled": true')
    plain = Config()
    idle = [key for field, key in _FOR_REDIS.items() if getattr(config, field) != getattr(plain, field)]
    return [f"{key} has no effect: clusterEnabled is false, so nothing is kept in Redis" for key in idle]
