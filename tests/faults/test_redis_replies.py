"""The answer of each script is lost once: what it did is done, is not done twice, and the caller hears that it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from storage import verbs as v
from storage.redis import RedisStore, open_redis
from storage.redis_calls import MAKERS
from storage.scripts import scripts
from storage.store import Store, Verb
from taskqueue.core import events as ev
from taskqueue.core.clock import DAY, MINUTE, SECOND, ManualClock
from taskqueue.core.config import Config
from taskqueue.core.events import Code
from taskqueue.core.task import Status
from tests.factories import draft
from tests.faults.proxy import Proxy
from tests.stores import Driver, Redis, assert_sound, everything, group

BODY = b'"' + b"x" * 500 + b'"'


class Case(NamedTuple):
    """What goes before, and the verb whose answer is lost. Both work on tasks named `t0`, `t1`, ..."""

    prepare: Callable[[Driver], Any]
    verb: Callable[[Driver], Verb]


def running(deck: Driver) -> None:
    deck.run("a", "t0", schedule="s", payload=BODY)


def held(deck: Driver, kind: type[ev.Owned], **fields: Any) -> ev.Owned:
    return kind(id="t0", op="op", owner="a", fence=deck.get("t0").fence, **fields)


def fallen(deck: Driver) -> None:
    for n in range(3):
        deck.add(f"t{n}")
    deck.claim("b")
    deck.fence("b")


def later(deck: Driver) -> None:
    for n in range(3):
        deck.add(f"t{n}", delay=SECOND, expires_at=deck.now + SECOND)
    deck.clock.advance(MINUTE)


def over(deck: Driver) -> None:
    for n in range(3):
        deck.add(f"t{n}", tags=("x",))
        deck.happens(ev.Cancel, f"t{n}")
    deck.clock.advance(DAY)


def scheduled(deck: Driver) -> None:
    deck.do(v.PutSchedule(v.Schedule(id="s", spec=b"{}", cursor=1)))


def leased(deck: Driver) -> None:
    deck.do(v.Lease("w", "worker", SECOND))
    deck.run("w", "t0")


def nothing(_: Driver) -> None:
    pass


def led(kind: type[v.Led], **fields: Any) -> Callable[[Driver], v.Led]:
    return lambda deck: kind(leader=deck.term.owner or "", epoch=deck.term.epoch, **fields)


CASES = {
    "submit": Case(nothing, lambda _: v.Submit(draft("t0", key="k", payload=BODY, tags=("x",)), 1)),
    "submit_all": Case(nothing, lambda _: v.SubmitAll((draft("t0"), draft("t1", key="k"), draft("t0")), 2)),
    "claim": Case(lambda deck: [deck.add(f"t{n}") for n in range(5)], lambda _: v.Claim("a", 1, (group(n=3),))),
    "complete": Case(running, lambda deck: held(deck, ev.Complete, result=BODY)),
    "fail": Case(running, lambda deck: held(deck, ev.Fail, type="E", message="m", delay=SECOND)),
    "release": Case(running, lambda deck: held(deck, ev.Release)),
    "snooze": Case(running, lambda deck: held(deck, ev.Snooze, delay=SECOND)),
    "progress": Case(running, lambda deck: held(deck, ev.Report, fraction=0.25, note="n")),
    "cancel": Case(running, lambda _: ev.Cancel(id="t0", op="op")),
    "retry": Case(
        lambda deck: [running(deck), deck.fail("t0", delay=MINUTE)], lambda _: ev.Retry(id="t0", op="op")
    ),
    "replay": Case(over, lambda _: ev.Replay(id="t0", op="op")),
    "update": Case(lambda deck: deck.add("t0"), lambda _: ev.Update(id="t0", op="op", priority=9, tags=("y",))),
    "delete": Case(over, lambda _: ev.Delete(id="t0", op="op")),
    "register": Case(
        nothing, lambda _: v.Register(owner="c", node="c", host="h", pid=1, workers=1, queues=(), handlers=())
    ),
    "beat": Case(nothing, lambda _: v.Beat("a", 1)),
    "deregister": Case(nothing, lambda _: v.Deregister("b")),
    "lease": Case(nothing, lambda _: v.Lease("w", "worker", SECOND)),
    "renew": Case(leased, lambda deck: v.Renew("w", "t0", deck.get("t0").fence)),
    "drain": Case(nothing, lambda _: v.Drain("b")),
    "campaign": Case(nothing, lambda deck: v.Campaign("b", deck.term.epoch, deck.term.beat)),
    "resign": Case(nothing, lambda deck: v.Resign("a", deck.term.epoch)),
    "fence": Case(nothing, led(v.Fence, owner="b", beat=0)),
    "reap": Case(fallen, led(v.Reap, owner="b", max_crashes=3, limit=2)),
    "promote": Case(later, led(v.PromoteDue, limit=2)),
    "expire": Case(later, led(v.ExpireDue, limit=2)),
    "prune": Case(over, led(v.PruneOld, keep=(v.Keep(Status.CANCELLED, MINUTE, 9),), limit=2)),
    "sweep": Case(running, led(v.Sweep)),
    "tick": Case(
        scheduled,
        led(v.Tick, schedule="s", generation=1, cursor=1, upto=9, drafts=(draft("t0"),), skipped={"misfire": 2}),
    ),
    "put_schedule": Case(scheduled, lambda _: v.PutSchedule(v.Schedule(id="s", spec=b"[]", cursor=5), (1, 1))),
    "drop_schedule": Case(scheduled, lambda _: v.DropSchedule("s")),
    "tally": Case(nothing, lambda _: v.Tally(60 * SECOND, {"submitted": 2, "run@x:1": 1}, {"pending": 7})),
    "note": Case(nothing, lambda _: v.Note("token", "cancel", "t0")),
    "pause": Case(nothing, lambda _: v.Pause("default")),
    "resume": Case(lambda deck: deck.do(v.Pause("default")), lambda _: v.Resume("default")),
}


def test_no_verb_is_forgotten() -> None:
    assert CASES.keys() == {script for script, _ in MAKERS.values()}


@pytest.fixture
def proxy(each_server: None, tmp_path: Path) -> Iterator[Proxy]:
    with Proxy(tmp_path / "proxy.sock", Redis.server().socket) as proxy:
        yield proxy


def opened(proxy: Proxy, namespace: str) -> tuple[RedisStore, Driver]:
    store = open_redis(Config(redis_address=proxy.url, namespace=namespace), ManualClock())
    deck = Driver(store, store_clock(store))
    deck.join("a")
    deck.join("b")
    deck.lead("a")
    return store, deck


def store_clock(store: RedisStore) -> ManualClock:
    """The clock that the store was opened with."""
    clock = store.clock
    assert isinstance(clock, ManualClock)
    return clock


def dump(store: Store) -> Any:
    """All that can be seen."""
    seen = [everything(store), store.schedules(), store.term(), store.notes(100), store.tallies(0), store.queues()]
    members = [replace(member, beat=0) for member in store.members()]  # to beat twice is to live
    return *seen, members, store.dead(), store.revision(), [store.held(member.owner) for member in members]


@pytest.mark.parametrize("script", list(CASES))
def test_a_lost_answer(script: str, proxy: Proxy, request: pytest.FixtureRequest) -> None:
    outcomes = []
    for lose in (False, True):
        name = f"lost-{script}-{lose}".replace("_", "-").lower()
        store, deck = opened(proxy, name)
        request.addfinalizer(store.close)
        CASES[script].prepare(deck)
        verb = CASES[script].verb(deck)
        if lose:
            proxy.drop_reply(scripts()["submit" if script == "submit_all" else script].sha)
        answer = deck.do(verb)
        assert proxy.dropped == lose
        orders = [deck.do(v.Beat(owner)) for owner in "ab"]
        told = [[(order.kind, order.task) for order in beaten.orders] for beaten in orders]
        assert_sound(store)
        if script in ("delete", "beat"):  # what is gone cannot be shown again; to beat twice is to live
            answer = answer.code
        outcomes.append((answer, told, dump(store)))
    assert outcomes[0] == outcomes[1]


def test_what_was_there_before_is_a_repeat_all_the_same(proxy: Proxy, request: pytest.FixtureRequest) -> None:
    store, deck = opened(proxy, "lost-dup")
    request.addfinalizer(store.close)
    deck.add("t0", key="k", digest=b"body")
    proxy.drop_reply(scripts()["submit"].sha)
    answer = deck.submit("t9", key="k", digest=b"body")
    assert (answer.code, answer.id) == (Code.DUP, "t0")


def test_a_damaged_task_is_given_up_though_answers_are_lost(proxy: Proxy, request: pytest.FixtureRequest) -> None:
    for script in ("corrupt", "claim"):
        store, deck = opened(proxy, f"lost-damage-{script}")
        request.addfinalizer(store.close)
        for name in ("bad", "good"):
            deck.add(name)
            deck.clock.advance(1)
        Redis.server().client.append(f"{{lost-damage-{script}}}:born:bad", "2")
        proxy.drop_reply(scripts()[script].sha)
        dropped = proxy.dropped
        assert deck.took("a", group(n=1)) in (["good"], [])
        assert proxy.dropped == dropped + 1
        assert deck.get("bad").status is Status.DEAD_LETTERED
        assert_sound(store)
