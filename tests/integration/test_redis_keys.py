"""What stands in Redis: all keys and fields are those of `storage/keys.py`, a task is small, spoilt keys are mended."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
import redis

from storage import verbs as v
from storage.keys import FIXED, NAMED, TASK_FIELDS, fixed, prefix
from storage.redis import RedisStore
from storage.redis_calls import MOST_DRAFTS
from storage.scripts import scripts
from storage.store import Store
from taskqueue.core import events as ev
from taskqueue.core.clock import MINUTE, SECOND, ManualClock
from taskqueue.core.config import Config
from taskqueue.core.errors import StoreError
from taskqueue.core.events import Code
from taskqueue.core.task import Status
from tests.factories import draft
from tests.situations import cases
from tests.stores import Driver, Redis, assert_sound, everything, group

BODY = b'"' + b"x" * 98 + b'"'


NUMBERS = count()


@pytest.fixture
def namespace() -> str:
    return f"keys-{next(NUMBERS)}"


@pytest.fixture
def client(each_server: None) -> redis.Redis:
    return Redis.server().client


@pytest.fixture
def deck(each_server: None, namespace: str) -> Iterator[Driver]:
    clock = ManualClock()
    store = RedisStore(Config(redis_address=Redis.server().url, namespace=namespace), clock)
    deck = Driver(store, clock)
    deck.join("a")
    deck.join("b")
    deck.lead("a")
    yield deck
    store.close()


def found(client: redis.Redis, namespace: str) -> list[str]:
    return [key.decode().removeprefix(prefix(namespace)) for key in client.scan_iter(prefix(namespace) + "*")]


def busy(deck: Driver) -> None:
    """Something of every sort."""
    list(cases(deck))
    deck.add(
        "large",
        payload=BODY * 700,
        tags=("x",),
        key="k",
        schedule="s",
        expires_at=deck.now + MINUTE,
        keep_result=False,
    )
    for name, body in (("kept", BODY + b" " * 50), ("large result", BODY * 2)):
        deck.run("b", name, handler=name, payload=body)
        deck.happens(ev.Complete, name, result=body)
    deck.do(v.PutSchedule(v.Schedule(id="s", spec=b"{}", cursor=1, skipped={"misfire": 1})))
    deck.do(v.Pause("q"))
    deck.do(v.Drain("b"))
    deck.do(v.Tally(60 * SECOND, {"a": 1, "b@x": 2}))
    deck.do(v.Note("t", "a", "x"))
    deck.add("later", delay=MINUTE)
    deck.happens(ev.Update, "later", priority=9)
    for lease in ("live", "over"):
        deck.do(v.Lease(lease, "worker", SECOND))
    deck.do(v.Deregister("over"))


def test_every_key_is_known(deck: Driver, client: redis.Redis, namespace: str) -> None:
    busy(deck)
    named = {name.split("<")[0] for name in NAMED}
    keys = found(client, namespace)
    assert {key for key in keys if ":" not in key} <= FIXED.keys()
    assert {key.split(":")[0] + ":" for key in keys if ":" in key} == named
    assert len(fixed(namespace)) == len(FIXED)


def test_every_field_is_known(deck: Driver, client: redis.Redis, namespace: str) -> None:
    busy(deck)
    fields = set()
    for key in found(client, namespace):
        if key.startswith("task:"):
            fields |= {field.decode() for field in client.hkeys(prefix(namespace) + key)}
    assert fields == TASK_FIELDS.keys()


def test_a_waiting_task_is_small(deck: Driver, client: redis.Redis) -> None:
    deck.do(v.SubmitAll(tuple(draft(f"warm{n:032}", payload=BODY) for n in range(1_000))))
    before = client.info("memory")["used_memory"]
    for k in range(5):
        deck.do(v.SubmitAll(tuple(draft(f"{k:04}{n:032}", payload=BODY) for n in range(1_000))))
    assert (client.info("memory")["used_memory"] - before) / 5_000 <= 1_000


@pytest.mark.parametrize("keep_result", [True, False])
@pytest.mark.parametrize("payload", [BODY, BODY * 2])
def test_a_task_waits_without_a_hash(
    deck: Driver, client: redis.Redis, namespace: str, payload: bytes, keep_result: bool
) -> None:
    deck.add("t1", keep_result=keep_result, payload=payload)
    assert "task:t1" not in found(client, namespace)
    [task] = deck.claim("a").tasks[0]
    assert (task.keep_result, task.payload) == (keep_result, payload)
    assert deck.happens(ev.Complete, result=b"1").code is Code.OK
    assert deck.get("t1").result == (b"1" if keep_result else None)


def test_idempotency_keys_go_by_themselves(deck: Driver, client: redis.Redis, namespace: str) -> None:
    deck.add(key="k")
    lives = client.pttl(prefix(namespace) + "key:k") * 1_000
    assert v.KEY_LIFETIME - MINUTE < lives <= v.KEY_LIFETIME


# -- spoilt by hand ----------------------------------------------------------------------------------------------------


def forget(client: redis.Redis, namespace: str, *ids: str) -> None:
    client.delete(*(f"{prefix(namespace)}{kind}:{name}" for name in ids for kind in ("born", "task")))


def limbo(client: redis.Redis, namespace: str) -> int:
    return int(client.hget(prefix(namespace) + "meta", "limbo") or 0)


def test_an_entry_without_a_task_is_passed_over(deck: Driver, client: redis.Redis, namespace: str) -> None:
    deck.add("t1")
    client.zadd(prefix(namespace) + "ready:default/echo", {"ghost": -(10**15)})
    client.zadd(prefix(namespace) + "delayed", {"ghost": 1})
    client.zadd(prefix(namespace) + "expiry", {"ghost": 1})
    client.zadd(prefix(namespace) + "done:C", {"ghost": 1})
    assert deck.took("a") == ["t1"]
    deck.led(v.ExpireDue)
    assert deck.led(v.PruneOld, keep=(v.Keep(Status.COMPLETED, 0, 0),)).ids == ()
    assert limbo(client, namespace) == 4
    assert deck.led(v.Sweep) == v.Moved(Code.OK, 0)
    assert_sound(deck.store)


def test_a_task_that_stands_nowhere_is_put_back(deck: Driver, client: redis.Redis, namespace: str) -> None:
    deck.add("t1")
    deck.add("t2", delay=SECOND)
    deck.run("a", "t3", handler="x")
    deck.happens(ev.Complete, "t3")
    for key in ("ready:default/echo", "delayed", "done:C", "open:echo"):
        client.delete(prefix(namespace) + key)
    assert deck.led(v.Sweep).count == 3
    assert deck.led(v.Sweep) == v.Moved(Code.OK, 0)
    deck.clock.advance(SECOND)
    assert deck.took("a") == ["t1", "t2"]
    assert deck.led(v.PruneOld, keep=(v.Keep(Status.COMPLETED, 0, 0),)).ids == ("t3",)


def test_a_task_that_is_gone_is_taken_out_of_the_lists(deck: Driver, client: redis.Redis, namespace: str) -> None:
    for n in range(4):
        deck.add(f"t{n}")
    deck.run("a", "held", handler="x")
    forget(client, namespace, "t1", "held")
    assert {task.id for task in everything(deck.store)} == {"t0", "t2", "t3"}
    assert deck.led(v.Sweep).count > 0
    assert deck.led(v.Sweep) == v.Moved(Code.OK, 0)
    assert deck.took("a") == ["t0", "t2", "t3"]
    assert_sound(deck.store)


def test_sweeping_goes_in_bites(deck: Driver, client: redis.Redis, namespace: str) -> None:
    for n in range(25):
        deck.add(f"t{n:02}", handler=f"h{n % 3}")
    forget(client, namespace, "t24", "t00")
    repairs = [deck.led(v.Sweep, limit=5).count for _ in range(8)]
    assert sum(repairs) >= 2
    assert deck.led(v.Sweep, limit=500) == v.Moved(Code.OK, 0)
    assert_sound(deck.store)


def test_something_else_under_a_name_is_an_error_and_no_more(deck: Driver, client: redis.Redis, namespace: str) -> None:
    client.set(prefix(namespace) + "task:odd", "no hash")
    client.hset(prefix(namespace) + "task:half", "st", "P")
    results = deck.store.execute([ev.Cancel(id="odd"), ev.Cancel(id="half"), v.Submit(draft("t1"))])
    assert isinstance(results[0], StoreError)
    assert deck.do(ev.Cancel(id="half")) == v.Answer(Code.NOT_FOUND)
    with pytest.raises(StoreError):
        deck.store.get("odd")
    assert deck.get("t1").status is Status.PENDING


# -- what cannot be written down ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{"queue": "\ud800"}, {"delay": 2**70}, {"tags": ("\udfff",)}])
def test_what_redis_cannot_hold_is_refused_alone(deck: Driver, changes: dict[str, Any]) -> None:
    results = deck.store.execute([v.Submit(draft("t0")), v.Submit(draft("odd", **changes)), v.Submit(draft("t2"))])
    assert [type(result) for result in results] == [v.Submitted, StoreError, v.Submitted]
    assert {task.id for task in everything(deck.store)} == {"t0", "t2"}


def test_too_many_at_once_are_refused(deck: Driver) -> None:
    most = tuple(draft(f"t{n}") for n in range(MOST_DRAFTS + 1))
    assert isinstance(deck.do(v.SubmitAll(most)), StoreError)
    assert {answer.code for answer in deck.do(v.SubmitAll(most[1:]))} == {Code.OK}


def test_a_large_payload_is_handed_out_whole(deck: Driver) -> None:
    large = b'"' + b"y" * 300_000 + b'"'
    deck.add("t1", payload=large)
    claimed = deck.claim("a", request=1)
    assert claimed.tasks[0][0].payload == large
    assert deck.claim("a", request=1).tasks == claimed.tasks


def test_a_claim_has_an_end(deck: Driver) -> None:
    deck.do(v.SubmitAll(tuple(draft(f"t{n:04}") for n in range(1_500))))
    assert len(deck.took("a", group(n=10_000))) == 1_000
    assert len(deck.took("a", group(n=10_000))) == 500


def test_scripts_say_what_they_are() -> None:
    for script in scripts().values():
        assert script.text.startswith("#!lua")
        assert "KEYS[1]" in script.text


def test_it_is_a_store(deck: Driver) -> None:
    store: Store = deck.store
    assert store.check() is None
