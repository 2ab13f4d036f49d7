"""The Redis backend: each verb one Lua script, all keys under one tag. `durability` is what the server is found to be.

State: the connection for writing (used by `execute` alone, by one thread at a time), one for beats, the pool for
reading. While Redis is away verbs are answered with `StoreUnavailable` (their outcome is unknown) and reads raise it;
after it is back the next call connects again, without a restart.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from storage import redis_claims
from storage import verbs as v
from storage.connection import Dialer, waits
from storage.redis_answers import results as answered
from storage.redis_calls import PER_CALL, Call, plan
from storage.redis_checks import Facts, NotMaster
from storage.redis_clean import clean
from storage.redis_dataset import Datasets
from storage.redis_link import TROUBLE, Commands, Pool, Writer
from storage.redis_plain import Plain
from storage.redis_pour import PouringWriter
from storage.redis_reads import Reads
from storage.redis_rows import UNREADABLE, damaged
from storage.redis_wake import Subscription
from storage.store import Result, Verb
from taskqueue.core.clock import SECOND, Clock, SystemClock
from taskqueue.core.config import Config
from taskqueue.core.errors import ConfigError, StoreError
from taskqueue.core.events import Code, Complete, Fail, Release, Snooze
from taskqueue.core.views import RedisView

log = logging.getLogger(__name__)

PATIENCE = 30.0
"""Seconds that a start waits for a server that does not answer."""

ENDS = (Complete, Fail, Release, Snooze)
"""The events after which a run is over."""


class Unreached(ConfigError):
    """Nobody answered while a start waited. It may help to try again."""


def open_redis(config: Config, clock: Clock) -> RedisStore:
    """The store behind `config.redis_address` (the entry point `redis`); its namespace is empty where it is new.

    Times are those of Redis itself, so that no node's clock matters; a clock other than the machine's own is for tests,
    and is obeyed.

    Raises:
        ConfigError: nobody answers within `PATIENCE`, or who answers must not be used.
    """
    store = RedisStore(config, clock, PATIENCE)
    try:
        if config.clean_redis_on_start:
            store.clean()
    except BaseException:
        store.close()
        raise
    return store


class RedisStore(Reads):
    """See `storage.store.Store`. Beside it there are `beat`, `subscribe` and `clean`."""

    def __init__(self, config: Config, clock: Clock, patience: float = PATIENCE) -> None:
        dialer = Dialer(config)
        stamp: Callable[[], str] = (lambda: "") if isinstance(clock, SystemClock) else (lambda: str(clock.now()))
        commands = Commands(config.namespace, stamp)
        self.clock = clock
        self._config = config
        self._dialer = dialer
        self._commands = commands
        folder = Path(config.data_dir) if config.cluster_enabled else None
        self._datasets = Datasets(str(dialer.address), config.namespace, folder)
        self._writer = PouringWriter(dialer, config, commands, "writes", self._datasets)
        self._beats = Writer(dialer, config, commands, "beats", self._datasets)
        self._beating = threading.Lock()
        self._subscriptions: list[Subscription] = []
        self._plain = Plain()
        super().__init__(Pool(dialer, commands), commands.prefix)
        self._first(patience)

    def _first(self, patience: float) -> None:
        """The first connection. Raises ConfigError with one line; Unreached, where waiting longer might have helped."""
        deadline = time.monotonic() + patience
        wait, told = waits(), False
        where = self._dialer.address
        while True:
            try:
                self._writer.connect()
                break
            except (*TROUBLE, ConfigError) as error:
                delay = wait()
                hopeless = _hopeless(error)
                if hopeless is not None:
                    self.close()
                    raise ConfigError(hopeless) from None
                if time.monotonic() + delay > deadline:
                    self.close()
                    hint = " (rediss:// is for a server that speaks TLS)" if where.tls else ""
                    raise Unreached(f"redisAddress {where}: cannot be reached: {error}{hint}") from None
                if not told:
                    log.warning("Redis at %s cannot be reached yet: %s", where, error)
                    told = True
                threading.Event().wait(delay)
        facts = self.facts
        log.info("Redis %s at %s, dataset %s, durability %s", facts.version, where, facts.dataset, facts.durability)
        if facts.weakness:
            log.warning("what is acknowledged may be lost with Redis at %s: %s", where, facts.weakness)
        if facts.aging != self._config.priority_aging:
            log.warning("priorityAging is %d us in this namespace; that of this node is ignored", facts.aging)

    @property
    def facts(self) -> Facts:
        """What the server was when it was last looked at."""
        assert self._writer.facts is not None  # set by the first connection
        return self._writer.facts

    @property
    def durability(self) -> str:
        """See `Store.durability`."""
        return self.facts.durability

    @property
    def datasets_lost(self) -> int:
        """How often another dataset was found behind the address."""
        return self._datasets.lost

    # -- writing -------------------------------------------------------------------------------------------------------

    def execute(self, verbs: Sequence[Verb]) -> list[Result | StoreError]:
        """See `Store.execute`. Raises TypeError, before anything is done, for what is no verb."""
        return self._execute(self._writer, verbs)

    def beat(self, verb: v.Beat) -> v.Beaten | StoreError:
        """The same for a beat, from any thread, on a connection of its own: it never waits behind other verbs."""
        with self._beating:
            [result] = self._execute(self._beats, [verb])
        assert isinstance(result, v.Beaten | StoreError)
        if isinstance(result, v.Beaten) and result.code is not Code.OK:
            self._writer.look_soon()  # an empty or another dataset knows nobody
        return result

    def pour(self, submits: Iterable[v.Submit]) -> list[Result | StoreError]:
        """`execute` for submits that take their time to be made: Redis stores some while the next are made. They are
        stored in their order.
        """
        results: dict[int, Any] = {}
        count = 0

        def calls() -> Iterator[Call]:
            nonlocal count
            source = iter(submits)
            while some := list(islice(source, PER_CALL)):
                refused: dict[int, StoreError] = {}
                for call in plan(some, refused):
                    call.places = [count + place for place in call.places]
                    yield call
                results.update({count + place: error for place, error in refused.items()})
                count += len(some)

        def done(call: Call, reply: Any) -> None:
            if isinstance(reply, StoreError):
                results.update(dict.fromkeys(call.places, reply))
            else:
                results.update(answered(call, reply))

        self._writer.pour(calls(), done)
        return [results[place] for place in range(count)]

    def _execute(self, writer: Writer, verbs: Sequence[Verb]) -> list[Result | StoreError]:
        results: dict[int, Any] = {}
        calls = plan(verbs, results, self._plain)
        claims: list[tuple[Call, Any]] = []

        def done(call: Call, reply: Any) -> None:
            if isinstance(reply, StoreError):
                results.update(dict.fromkeys(call.places, reply))
            elif call.script == "claim":
                claims.append((call, reply))
            else:
                try:
                    results.update(answered(call, reply))
                except UNREADABLE as error:
                    results.update(dict.fromkeys(call.places, damaged(call.script, error)))
                for verb in call.verbs:
                    if isinstance(verb, ENDS):
                        self._plain.ended(verb)

        if calls:
            writer.run(calls, done)
        for call, reply in claims:
            [place] = call.places
            try:
                run = partial(_run, writer)
                results[place] = redis_claims.claimed(
                    call, reply, run, self.payloads, aging=self._commands.aging, held=self._plain
                )
            except StoreError as error:
                results[place] = error
            except UNREADABLE as error:
                results[place] = damaged("claim", error)
        return [results[place] for place in range(len(verbs))]

    # -- beside the protocol -------------------------------------------------------------------------------------------

    def subscribe(self, on_hint: Callable[[str], None]) -> Subscription:
        """Call `on_hint` with `<queue>/<handler>` when there is work in a lane that had none, until the answer (or the
        store) is closed. Hints may be lost; after each gap there is one with an empty text: look anyway.
        """
        subscription = Subscription(self._dialer, self._commands.prefix, on_hint)
        self._subscriptions.append(subscription)
        return subscription

    def clean(self) -> bool:
        """Delete everything of this namespace; False, and nothing is deleted any more, where a node lives."""
        cleaned = clean(self._writer, self._commands, self._config.lease_ttl)
        self._writer.drop()  # so that the next connection makes the dataset anew
        if cleaned:
            self._datasets.forget()
        self._writer.connect()
        return cleaned

    def now(self) -> int:
        """See `SharedStore.now`."""
        if not isinstance(self.clock, SystemClock):
            return self.clock.now()
        [(seconds, micros)] = self._pool.ask([("TIME",)])
        moment: int = int(seconds) * SECOND + int(micros)
        return moment

    def view(self) -> RedisView:
        """See `SharedStore.view`."""
        facts = self.facts
        return RedisView(
            address=str(self._dialer.address),
            version=facts.version,
            replicas=facts.replicas,
            dataset=facts.dataset,
            datasets_lost=self.datasets_lost,
            weakness=facts.weakness,
        )

    def check(self) -> str | None:
        """See `Store.check`."""
        try:
            self._pool.ask([("PING",)])
        except StoreError as error:
            return str(error)
        return self._writer.refused

    def close(self) -> None:
        """Let go of every connection. Idempotent."""
        for subscription in self._subscriptions:
            subscription.close()
        self._writer.close()
        self._beats.close()
        self._pool.close()


def _run(writer: Writer, call: Call) -> Any:
    """Do one call now."""
    replies: list[Any] = []
    writer.run([call], lambda _, reply: replies.append(reply))
    return replies[0]


def _hopeless(error: Exception) -> str | None:
    """The one line for what waiting does not help against."""
    from redis import exceptions as rx

    if isinstance(error, ConfigError):
        return str(error)
    if isinstance(error, NotMaster):
        return f"redisAddress: {error}; name its master, or its sentinels" if "replica" in str(error) else None
    if isinstance(error, rx.AuthenticationError):
        return f"redisAddress: it refuses user and password (redisPassword): {error}"
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text or "SSL" in text or "certificate" in text:
        return f"redisAddress: TLS failed: {text}"
    return None
