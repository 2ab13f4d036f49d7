"""Members of a cluster without a node around them: each says to Redis what an idle node that follows says, at the same
pace and by the same code: beats, looks at the term, claims, looks at what it holds. One thread does it for all.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from heapq import heapify, heapreplace

from parts.servers import Server

from cluster.incarnation import Incarnation
from cluster.shared import ClusterCoordinator
from storage import verbs as v
from storage.redis import open_redis
from taskqueue import builtin
from taskqueue.core.clock import SECOND, SystemClock
from taskqueue.core.config import Config
from taskqueue.core.events import Code
from taskqueue.core.ids import UuidIds
from taskqueue.modules import collect

LOOKS_AT = 0.1
"""Seconds between two questions to the coordinator whether a look at the term is due."""
RECONCILES = 5.0
LATE = 2.0
"""Seconds: whoever drives the members is no measure any more once it is so late."""


class Member:
    """One of them. Raises RuntimeError where the store says anything that an idle member does not expect."""

    def __init__(self, redis: Server, number: int) -> None:
        clock = SystemClock()
        self._clock = clock
        config = Config(redis_address=redis.address)
        self._store = open_redis(config, clock)
        self._me = Incarnation(UuidIds(clock, os.urandom))
        self._coordinator = ClusterCoordinator(
            self._me, lease_ttl=config.lease_ttl, leader_ttl=config.leader_ttl, random=random.random
        )
        self._request = 0
        handlers = collect([builtin])
        self._groups = (v.Group(tuple(handlers), config.queues, config.worker_count),)
        declared = tuple(handler.declaration() for handler in handlers.values())
        self._do(
            v.Register(
                owner=self._me.owner,
                node=f"member-{number}",
                host="here",
                pid=os.getpid(),
                workers=config.worker_count,
                queues=config.queues,
                handlers=declared,
            )
        )
        self.habits: tuple[tuple[float, Callable[[], None]], ...] = (
            (config.heartbeat_interval / SECOND, self._beat),
            (config.poll_interval / SECOND, self._claim),
            (LOOKS_AT, self._look),
            (RECONCILES, lambda: _expect(not self._store.held(self._me.owner), "it holds a task")),
        )

    def _do(self, verb: v.Register | v.Claim) -> None:
        [result] = self._store.execute([verb])
        _expect(isinstance(result, v.Answer | v.Claimed) and result.code is Code.OK, result)

    def _beat(self) -> None:
        beaten = self._store.beat(v.Beat(self._me.owner))
        _expect(isinstance(beaten, v.Beaten) and beaten.code is Code.OK, beaten)
        assert isinstance(beaten, v.Beaten)
        self._coordinator.observe(beaten.beats, self._clock.monotonic())

    def _claim(self) -> None:
        self._request += 1
        self._do(v.Claim(self._me.owner, self._request, self._groups))

    def _look(self) -> None:
        now = self._clock.monotonic()
        if self._coordinator.wants_look(now):
            self._coordinator.looked(self._store.term(), now)
            _expect(self._coordinator.campaign(now) is None, "nobody leads any more")

    def close(self) -> None:
        self._store.close()


def _expect(good: bool, said: object) -> None:
    if not good:
        raise RuntimeError(f"not what an idle member hears: {said}")


def drive(members: list[Member], seconds: float) -> None:
    """Let them live for so long."""
    began = time.monotonic()
    due = [
        (began + random.random() * every, number, every, act)
        for number, (every, act) in enumerate(habit for member in members for habit in member.habits)
    ]
    heapify(due)
    while due[0][0] < began + seconds:
        at, number, every, act = due[0]
        late = time.monotonic() - at
        if late < 0:
            time.sleep(-late)
        elif late > LATE:
            raise RuntimeError(f"the members are {late:.1f} s late: this machine has no time for them")
        act()
        heapreplace(due, (at + every, number, every, act))
