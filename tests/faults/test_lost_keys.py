"""Of a task in Redis only a part is left, since somebody deleted the other, or Redis did, where it may evict: it never
runs as if it were new, and neither troubles others nor stays for good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
import redis

from storage import verbs as v
from storage.keys import prefix
from storage.redis import RedisStore
from taskqueue.core import events as ev
from taskqueue.core.clock import MINUTE, SECOND, ManualClock
from taskqueue.core.config import Config
from taskqueue.core.errors import StoreError
from taskqueue.core.events import Code
from taskqueue.core.task import Status
from taskqueue.core.views import Filter
from tests.stores import Driver, Redis, assert_sound, everything, group

NUMBERS = count()


@pytest.fixture
def client() -> redis.Redis:
    return Redis.server().client


@pytest.fixture
def space() -> str:
    return f"lost-{next(NUMBERS)}"


@pytest.fixture
def deck(space: str) -> Iterator[Driver]:
    clock = ManualClock()
    store = RedisStore(Config(redis_address=Redis.server().url, namespace=space), clock)
    deck = Driver(store, clock)
    for owner in "ab":
        deck.join(owner)
    deck.lead("a")
    yield deck
    store.close()


def swept(deck: Driver, client: redis.Redis, space: str) -> int:
    """Until all keys were looked at; the repairs."""
    repairs = 0
    for _ in range(500):
        repairs += deck.led(v.Sweep, limit=1_000).count
        if client.hget(prefix(space) + "meta", "scanned") == b"0":
            return repairs
    raise AssertionError("there is no end of keys")


def parts(client: redis.Redis, space: str, name: str) -> set[str]:
    kinds = ("born", "task", "body", "result")
    return {kind for kind in kinds if client.exists(f"{prefix(space)}{kind}:{name}")}


ENDS: dict[str, Callable[[Driver], Any]] = {
    "completed": lambda deck: (deck.run("a"), deck.happens(ev.Complete, result=b"1" * 300)),
    "cancelled": lambda deck: (deck.add(), deck.happens(ev.Cancel)),
    "failed": lambda deck: (deck.run("a"), deck.fail(delay=MINUTE)),
    "processing": lambda deck: deck.run("a"),
}


@pytest.mark.parametrize("end", ENDS)
def test_what_had_a_life_does_not_begin_a_new_one(deck: Driver, client: redis.Redis, space: str, end: str) -> None:
    ENDS[end](deck)
    deck.add("neighbour", handler="x")
    client.delete(prefix(space) + "task:t1")
    assert swept(deck, client, space) > 0
    deck.clock.advance(MINUTE)
    deck.led(v.PromoteDue)
    assert (deck.took("b"), deck.store.get("t1"), deck.store.held("a")) == ([], None, [])
    assert parts(client, space, "t1") == set()
    assert [task.id for task in everything(deck.store)] == ["neighbour"]
    assert swept(deck, client, space) == 0
    assert_sound(deck.store)


@pytest.mark.parametrize("end", ENDS)
def test_its_id_is_free_for_another(deck: Driver, client: redis.Redis, space: str, end: str) -> None:
    ENDS[end](deck)
    client.delete(prefix(space) + "task:t1")
    assert deck.submit("t1", digest=b"another").code is Code.OK
    assert deck.took("b") == ["t1"]
    assert_sound(deck.store)


def test_a_run_that_is_lost_ends_nowhere(deck: Driver, client: redis.Redis, space: str) -> None:
    fence = deck.run("a").fence
    client.delete(prefix(space) + "task:t1")
    swept(deck, client, space)
    assert deck.do(ev.Complete(id="t1", op="o", owner="a", fence=fence)).code is Code.NOT_FOUND


def test_what_waits_for_its_time_does_not_run_before_it(deck: Driver, client: redis.Redis, space: str) -> None:
    deck.add("t1", delay=MINUTE, payload=b'"' + b"x" * 300 + b'"')
    client.delete(prefix(space) + "task:t1")
    deck.led(v.PromoteDue)
    swept(deck, client, space)
    assert (deck.took("a"), parts(client, space, "t1")) == ([], set())
    assert_sound(deck.store)


def test_what_waits_as_it_was_born_is_not_lost(deck: Driver, client: redis.Redis, space: str) -> None:
    deck.add("t1", tags=("red",))
    assert deck.happens(ev.Update, "t1", tags=()).code is Code.OK
    deck.add("t2")
    assert swept(deck, client, space) == 0
    assert deck.took("a") == ["t1", "t2"]


@pytest.mark.parametrize("end", ENDS)
def test_a_life_without_a_birth_goes(deck: Driver, client: redis.Redis, space: str, end: str) -> None:
    ENDS[end](deck)
    client.delete(prefix(space) + "born:t1")
    assert deck.store.statuses(["t1"]) == {}
    swept(deck, client, space)
    assert parts(client, space, "t1") == set()
    assert deck.submit("t1").code is Code.OK
    assert deck.took("b") == ["t1"]


def test_one_that_cannot_be_read_keeps_nobody_elses_end(deck: Driver, client: redis.Redis, space: str) -> None:
    for name in ("t1", "t3"):
        deck.add(name)
    deck.add("t2", keep_result=False)
    fences = {task.id: task.fence for task in deck.claim("a").tasks[0]}
    client.delete(prefix(space) + "born:t2")
    client.hset(prefix(space) + "born:t2", "x", "1")
    ends = [ev.Complete(id=name, op="o", owner="a", fence=fences[name], result=b"1") for name in ("t2", "t1", "t3")]
    assert [type(answer) for answer in deck.store.execute(ends)] == [StoreError] * 3
    assert {held.id for held in deck.store.held("a")} == {"t1", "t2", "t3"}
    swept(deck, client, space)
    assert [deck.do(end).code for end in ends[1:]] == [Code.OK] * 2


@pytest.mark.parametrize("left", [1, 20, 31])
def test_a_digest_that_is_cut_off_troubles_no_neighbour(
    deck: Driver, client: redis.Redis, space: str, left: int
) -> None:
    for name in ("t1", "t2", "t3"):
        deck.add(name, digest=b"\xff" * 16, payload=b"1")
    text: Any = client.get(prefix(space) + "born:t2")
    client.set(prefix(space) + "born:t2", text[: left - 33])
    assert len(deck.store.find(Filter(), 10).tasks) == 2
    assert deck.took("a") == ["t1", "t3"]


@pytest.mark.parametrize("run", [None, "odd"])
def test_a_run_of_which_the_fence_is_gone_keeps_nobody_from_work(
    deck: Driver, client: redis.Redis, space: str, run: str | None
) -> None:
    for name in ("t1", "t2"):
        deck.run("b", name)
    if run is None:
        client.hdel(prefix(space) + "task:t1", "run")
    else:
        client.hset(prefix(space) + "task:t1", "run", run)
    assert deck.happens(ev.Complete, "t2").code is Code.OK
    swept(deck, client, space)
    assert deck.die("b").count == 1
    deck.clock.advance(SECOND)
    assert deck.took("a") == ["t1"]
    assert_sound(deck.store)


def test_a_long_name_of_a_node_leaves_tasks_small(deck: Driver, client: redis.Redis, space: str) -> None:
    node = "ip-10-0-12-34.eu-west-1.compute.internal-12345-abcdef"
    deck.join("o" * 60, node)
    deck.run("o" * 60)
    assert client.object("encoding", prefix(space) + "task:t1") == b"listpack"
    assert (deck.get().node, deck.get().attempt, deck.get().owner) == (node, 1, "o" * 60)
    assert deck.happens(ev.Complete).code is Code.OK
    assert client.object("encoding", prefix(space) + "task:t1") == b"listpack"


def test_payloads_come_to_their_tasks_wherever_they_stand(deck: Driver, client: redis.Redis, space: str) -> None:
    bodies = {}
    for n, size in enumerate((5, 300, 64, 193, 70_000, 192, 300, 9)):
        bodies[f"t{n}"] = b'"' + b"%d" % n * (size - 2) + b'"'
        deck.add(f"t{n}", payload=bodies[f"t{n}"], tags=("red",) if n == 6 else ())
        deck.clock.advance(1)
    client.delete(prefix(space) + "body:t1")
    [tasks] = deck.claim("a", group(n=100)).tasks
    del bodies["t1"]
    assert {task.id: task.payload for task in tasks} == bodies
    assert deck.get("t1").status is Status.DEAD_LETTERED
