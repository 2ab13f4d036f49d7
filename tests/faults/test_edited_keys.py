"""Somebody edits what stands in Redis by hand: what cannot be read any more is refused, and ends nobody.

Every key of a busy namespace in turn holds something of another kind, and every field of every hash in turn holds
garbage. Then all is read and all verbs are done: each is answered, or refused with a `StoreError`, and nothing else is
ever raised, since that would end the actor that asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import redis

from storage import verbs as v
from storage.keys import fixed, prefix
from storage.redis import RedisStore
from taskqueue.core import events as ev
from taskqueue.core.clock import DAY, MINUTE, SECOND, ManualClock
from taskqueue.core.config import Config
from taskqueue.core.errors import StoreError
from taskqueue.core.events import Code
from taskqueue.core.task import Cause, Status
from taskqueue.core.views import Filter
from tests.clients import until
from tests.factories import draft
from tests.older import as_before
from tests.processes import open_gate
from tests.shared import WITHIN, Clusters, clusters
from tests.stores import Driver, Redis, assert_sound, group

__all__ = ["clusters"]

SPACE = "edited"
GARBAGE = (b"odd", b"", b"\xff\xfe[", b"-1", b"1e400", b"9" * 40)


@pytest.fixture
def client() -> redis.Redis:
    return Redis.server().client


@pytest.fixture
def deck() -> Iterator[Driver]:
    clock = ManualClock()
    store = RedisStore(Config(redis_address=Redis.server().url, namespace=SPACE), clock)
    deck = Driver(store, clock)
    for owner in "abc":
        deck.join(owner)
    deck.lead("a")
    yield deck
    store.close()
    for key in Redis.server().client.scan_iter(f"{prefix(SPACE)}*"):
        Redis.server().client.delete(key)


def busy(deck: Driver) -> None:
    """Something of every sort, some of it due, some over, some held by the dead."""
    for name in ("dead", "ours", "late"):
        deck.add(name, tags=("x",), payload=b'"' + b"y" * 200 + b'"')
        deck.run("c" if name == "dead" else "a", name)
        deck.do(ev.Report(id=name, owner=deck.get(name).owner or "", fence=deck.get(name).fence, fraction=0.5))
    deck.run("b", "done")
    deck.happens(ev.Complete, "done", result=b'"' + b"y" * 200 + b'"')
    deck.add("retried")
    deck.run("a", "retried", retries=2)
    deck.fail("retried", delay=SECOND)
    deck.add("soon", delay=SECOND, expires_at=deck.now + DAY)
    deck.add("ends", expires_at=deck.now + SECOND)
    deck.add("keyed", key="k", digest=b"body", schedule="s")
    deck.add("ready", tags=("x",))
    deck.fence("c")
    for lease in ("w", "over"):
        deck.do(v.Lease(lease, "worker", MINUTE))
    deck.run("w", "lent", handler="lent")
    deck.do(v.Deregister("over"))
    deck.do(v.PutSchedule(v.Schedule(id="s", spec=b"{}", cursor=1, skipped={"misfire": 1})))
    deck.do(v.Pause("q"))
    deck.do(v.Drain("b"))
    deck.do(v.Tally(60 * SECOND, {"a": 1, "b@x": 2}))
    deck.do(v.Note("t", "a", "x"))
    deck.clock.advance(MINUTE)


def reads(deck: Driver) -> list[Callable[[], Any]]:
    store = deck.store
    names = ["dead", "ours", "retried", "soon", "keyed", "done", "ready", "nobody"]
    return [
        *(lambda name=name: store.get(name) for name in names),  # type: ignore[misc]
        lambda: store.statuses(names),
        lambda: store.find(Filter(), 50),
        lambda: store.find(Filter(tag="x"), 50),
        lambda: store.find(Filter(status=Status.PENDING, cause=Cause.CRASH), 50),
        store.counts,
        store.dead,
        store.queues,
        store.members,
        store.leases,
        *(lambda owner=owner: store.held(owner) for owner in "abc"),  # type: ignore[misc]
        store.term,
        store.schedules,
        lambda: store.schedule("s"),
        store.revision,
        lambda: store.tallies(0),
        lambda: store.notes(10),
        store.check,
    ]


def verbs(deck: Driver, fences: dict[str, int]) -> list[Any]:
    led: dict[str, Any] = {"leader": "a", "epoch": deck.term.epoch}
    owned: dict[str, dict[str, Any]] = {
        name: {"id": name, "owner": "a", "fence": fence, "op": str(fence)} for name, fence in fences.items()
    }
    return [
        v.Beat("a"),
        v.Beat("b", 1, (1,)),
        v.Submit(draft("new"), 100),
        v.Submit(draft("again", key="k", digest=b"body")),
        v.SubmitAll((draft("n1"), draft("n2"))),
        ev.Complete(**owned["ours"], result=b"1"),
        ev.Fail(**owned["late"], type="E", message="m", delay=SECOND),
        v.Claim("b", 9, (group(n=2), group(n=1, solo=True))),
        v.Claim("b", 9, (group(n=2), group(n=1, solo=True))),
        *(ev.Cancel(id=name) for name in ("soon", "ready", "dead")),
        ev.Retry(id="retried"),
        ev.Update(id="keyed", priority=9, tags=("z",)),
        v.Fence(**led, owner="b", beat=1),
        v.Reap(**led, owner="c", max_crashes=3),
        v.PromoteDue(**led),
        v.ExpireDue(**led),
        v.PruneOld(**led, keep=(v.Keep(Status.COMPLETED, 0, 0), v.Keep(Status.CANCELLED, 0, 0))),
        v.Sweep(**led),
        v.Tick(**led, schedule="s", generation=1, cursor=1, upto=9, drafts=(draft("t-1", schedule="s"),)),
        v.PutSchedule(v.Schedule(id="s2", spec=b"{}", cursor=1)),
        v.DropSchedule("s"),
        v.Tally(60 * SECOND, {"a": 1, "b@x": 2}),
        v.Note("t", "a", "x"),
        v.Resume("q"),
        v.Drain("b", False),
        v.Campaign("a", deck.term.epoch, 1),
        v.Register(owner="d", node="d", host="h", pid=1, workers=1, queues=(), handlers=()),
        v.Register(owner="e", node="b", host="h", pid=1, workers=1, queues=(), handlers=(), instead_of=("b", 0)),
        v.Lease("w", "worker", SECOND),
        v.Lease("new", "worker", SECOND),
        v.Renew("w", "lent", fences["lent"]),
        v.Deregister("w"),
        v.Deregister("b"),
        v.Resign("a", deck.term.epoch),
    ]


def bears(deck: Driver, fences: dict[str, int]) -> None:
    """Everything is answered, or is the store's error."""
    for _ in range(2):
        for read in reads(deck):
            with suppress(StoreError):
                read()
        deck.store.execute(verbs(deck, fences))


class Snapshot:
    """All keys as they were."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        keys = sorted(client.scan_iter(prefix(SPACE) + "*"))
        self.kept = {key: (client.dump(key), client.type(key)) for key in keys}

    def restore(self) -> None:
        keys = list(self._client.scan_iter(prefix(SPACE) + "*"))
        pipe = self._client.pipeline(transaction=False)
        if keys:
            pipe.delete(*keys)
        for key, (value, _) in self.kept.items():
            pipe.restore(key, 0, value)
        pipe.execute()


@pytest.mark.timeout(400)  # some 20,000 calls, beside other load
def test_whatever_is_edited_everything_is_answered(deck: Driver, client: redis.Redis) -> None:
    busy(deck)
    fences = {name: deck.get(name).fence for name in ("ours", "late", "lent")}
    before = Snapshot(client)
    kinds = {key.removeprefix(prefix(SPACE).encode()).partition(b":")[0] for key in before.kept}
    assert {b"born", b"task", b"body", b"member", b"orders", b"schedule", b"run", b"list", b"ready"} <= kinds
    assert len(kinds & {key.encode().partition(b":")[2] for key in fixed(SPACE)}) >= 15
    cases = count()
    for key, (_, kind) in before.kept.items():
        before.restore()
        client.delete(key)
        if kind == b"string":
            client.hset(key, "odd", "1")
        else:
            client.set(key, "odd")
        bears(deck, fences)
        next(cases)
        if kind == b"string":
            before.restore()
            client.set(key, b"\xff")
            bears(deck, fences)
    for key, (_, kind) in before.kept.items():
        if kind != b"hash":
            continue
        before.restore()
        for n, field in enumerate(sorted(client.hkeys(key))):
            before.restore()
            client.hset(key, field, GARBAGE[n % len(GARBAGE)])
            bears(deck, fences)
            before.restore()
            client.hdel(key, field)
            bears(deck, fences)
            next(cases)
    assert next(cases) > 150
    before.restore()
    assert deck.do(ev.Complete(id="ours", owner="a", fence=fences["ours"])).code is Code.OK


def test_what_was_deleted_while_it_ran_is_not_there_when_it_ends(deck: Driver, client: redis.Redis) -> None:
    deck.add("t1", payload=b'"' + b"y" * 200 + b'"')
    fence = deck.run("a").fence
    client.delete(prefix(SPACE) + "born:t1", prefix(SPACE) + "task:t1")
    ends = ev.Complete(id="t1", op="o", owner="a", fence=fence, result=b'"' + b"x" * 200 + b'"')
    assert deck.do(ends).code is Code.NOT_FOUND
    assert not client.exists(*(f"{prefix(SPACE)}{kind}:t1" for kind in ("task", "body", "result")))
    assert deck.store.held("a") == []
    deck.led(v.Sweep)
    assert_sound(deck.store)


def test_a_run_of_which_nothing_is_known_any_more_ends(deck: Driver, client: redis.Redis) -> None:
    deck.add("t1")
    fence = deck.run("a").fence
    client.delete(prefix(SPACE) + "task:t1")
    assert deck.do(ev.Complete(id="t1", op="o", owner="a", fence=fence, result=b"1")).code is Code.OK
    assert (deck.get("t1").status, deck.get("t1").result) == (Status.COMPLETED, b"1")
    assert_sound(deck.store)


@pytest.mark.parametrize("missing", [1, 64, 152])
def test_a_payload_of_which_a_piece_is_gone_is_given_up_and_troubles_no_neighbour(
    deck: Driver, client: redis.Redis, missing: int
) -> None:
    for name in ("t1", "t2", "t3"):
        deck.add(name, payload=b'"' + b"y" * 150 + b'"')
    birth: Any = client.get(prefix(SPACE) + "born:t2")
    client.set(prefix(SPACE) + "born:t2", birth[:-missing])
    assert_one_is_given_up(deck)


@pytest.mark.parametrize("piece", ["pay", "pay2", "pay3"])
def test_so_is_one_from_before(deck: Driver, client: redis.Redis, piece: str) -> None:
    for name in ("t1", "t2", "t3"):
        deck.add(name, payload=b'"' + b"y" * 150 + b'"')
        as_before(client, prefix(SPACE), name, 3)
    client.hdel(prefix(SPACE) + "task:t2", piece)
    assert_one_is_given_up(deck)


def assert_one_is_given_up(deck: Driver) -> None:
    assert len(deck.store.find(Filter(), 10).tasks) == 3
    assert deck.took("a") == ["t1", "t3"]
    assert (deck.get("t2").status, len(deck.get("t2").payload) < 152) == (Status.DEAD_LETTERED, True)
    answers = deck.store.execute([ev.Cancel(id=name) for name in ("t1", "t2", "t3")])
    assert [isinstance(answer, v.Answer) for answer in answers] == [True] * 3
    assert deck.happens(ev.Delete, "t2").code is Code.OK
    assert_sound(deck.store)


def test_where_a_run_stands_as_another_it_is_put_right(deck: Driver, client: redis.Redis) -> None:
    fence, key = deck.run("a").fence, prefix(SPACE) + "run:a"
    [(entry, number)] = client.zrange(key, 0, -1, withscores=True)
    client.zrem(key, entry)
    client.zadd(key, {entry.replace(str(fence).encode(), b"7"): number})
    assert deck.led(v.Sweep).count == 1
    assert client.zrange(key, 0, -1, withscores=True) == [(entry, number)]
    assert_sound(deck.store)


def test_of_a_run_that_stands_twice_the_wrong_one_goes(deck: Driver, client: redis.Redis) -> None:
    fence, key = deck.run("a").fence, prefix(SPACE) + "run:a"
    [(entry, number)] = client.zrange(key, 0, -1, withscores=True)
    client.zadd(key, {entry.replace(str(fence).encode(), b"7"): number})
    assert deck.led(v.Sweep).count == 1
    assert client.zrange(key, 0, -1, withscores=True) == [(entry, number)]
    assert_sound(deck.store)


def swept(deck: Driver, client: redis.Redis, **said: int) -> list[int]:
    """Sweep until all keys of the server have been looked at, which may be others', too; the repairs of each bite."""
    repairs = []
    for _ in range(100_000):
        repairs.append(deck.led(v.Sweep, **said).count)
        if client.hget(prefix(SPACE) + "meta", "scanned") == b"0":
            break
    return repairs


@pytest.mark.parametrize("key", ["ready:default/echo", "list:P/default/echo", "delayed", "counts", "totals", "lanes"])
@pytest.mark.parametrize("keyed", [False, True])
def test_what_an_error_has_cut_short_is_whole_before_it_is_acknowledged(
    deck: Driver, client: redis.Redis, key: str, keyed: bool
) -> None:
    said: dict[str, Any] = {"key": "k" if keyed else None, "digest": b"body"}
    if key == "delayed":
        said["delay"] = SECOND
    client.set(prefix(SPACE) + key, "junk")
    [answer] = deck.store.execute([v.Submit(draft("t1", **said))])
    assert isinstance(answer, StoreError)
    client.delete(prefix(SPACE) + key)
    assert deck.submit("t1", **said).code in (Code.OK, Code.DUP)
    deck.clock.advance(SECOND)
    assert deck.took("a") == ["t1"]
    deck.led(v.Sweep)
    assert_sound(deck.store)


def test_a_task_that_is_in_no_index_is_found(deck: Driver, client: redis.Redis) -> None:
    fence = deck.run("c", "held").fence
    deck.run("b", "done", tags=("x",))
    deck.happens(ev.Complete, "done")
    deck.add("waits", tags=("x",))
    for key in list(client.scan_iter(prefix(SPACE) + "*")):
        kind = key.removeprefix(prefix(SPACE).encode()).partition(b":")[0]
        if kind in (b"run", b"list", b"ready", b"open", b"done", b"tag", b"lanes", b"owners", b"counts", b"totals"):
            client.delete(key)
    client.hset(prefix(SPACE) + "meta", "scanned", "abc")
    repairs = swept(deck, client)
    assert sum(repairs) >= 3
    assert swept(deck, client)[-1] == 0
    assert_sound(deck.store)
    assert deck.took("a") == ["waits"]
    deck.fence("c")
    assert deck.led(v.Reap, owner="c", max_crashes=9).count == 1
    assert (deck.get("held").status, deck.get("held").crashes) == (Status.PENDING, 1)
    assert deck.get("held").fence == fence


def test_the_look_at_all_tasks_goes_on_where_it_stopped(deck: Driver, client: redis.Redis) -> None:
    names = [f"t{n}" for n in range(200)]
    for name in names:
        deck.add(name)
    client.delete(prefix(SPACE) + "ready:default/echo")
    client.zrem(prefix(SPACE) + "list:P/default/echo", *names)
    assert len(swept(deck, client, limit=10)) > 10
    assert sum(swept(deck, client)) == 0
    assert sorted(deck.took("a", group(n=300))) == sorted(names)
    assert_sound(deck.store)


@pytest.mark.parametrize("epoch", [None, "abc", "WRONGTYPE"])
def test_a_term_that_is_none_any_more_is_followed_by_the_next(
    deck: Driver, client: redis.Redis, epoch: str | None
) -> None:
    key, before = prefix(SPACE) + "term", deck.term.epoch
    if epoch == "abc":
        client.hset(key, "epoch", epoch)
    else:
        client.delete(key)
        if epoch:
            client.set(key, "odd")
    assert deck.store.term() == v.Term(None, 0, 0)
    assert deck.do(v.Sweep(leader="a", epoch=before)).code is Code.DEPOSED
    elected = deck.do(v.Campaign("b", 0, 0))
    assert elected.code is Code.OK
    assert deck.store.term() == v.Term("b", before + 1, 1)


def test_counts_that_are_none_hinder_no_submit(deck: Driver, client: redis.Redis) -> None:
    deck.add("t1")
    client.hset(prefix(SPACE) + "counts", "P/default/echo", "abc")
    client.hset(prefix(SPACE) + "totals", "P", "abc")
    assert deck.submit("t2").code is Code.OK
    assert deck.led(v.Sweep).count > 0
    assert_sound(deck.store)


def test_a_member_that_cannot_be_read_ends_no_node(clusters: Clusters, tmp_path: Path) -> None:
    cluster = clusters(maxCrashes=1000)
    cluster.start("a", "b")
    a, b = cluster.clients["a"], cluster.clients["b"]
    name = b.submit("gate", {"path": str(tmp_path / "open")})
    until(lambda: a.task(name)["status"] == "processing", WITHIN, "it runs")
    victim = a.task(name)["node"]
    [other] = {"a", "b"} - {victim}
    client, server = cluster.clients[other], cluster.server.client
    [owner] = [one["incarnation"] for one in a.get("/api/cluster/nodes").json["nodes"] if one["id"] == victim]
    server.hset(f"{{taskqueue}}:member:{owner}", "handlers", "[odd")
    server.set("{taskqueue}:member:nobody", "odd")
    server.zadd("{taskqueue}:members", {"nobody": 0})
    listed = client.get("/api/cluster/nodes")
    assert {one["id"] for one in listed.json["nodes"]} == {"a", "b"}, listed
    assert client.get("/api/handlers").status == 200
    cluster.nodes[victim].kill()
    until(lambda: client.task(name)["node"] == other, WITHIN, "it is taken back and runs elsewhere")
    open_gate(tmp_path, "ok")
    assert client.finished(name)["status"] == "completed"
    figures = client.get("/metrics").raw.decode()
    restarts = [line for line in figures.splitlines() if line.startswith("taskqueue_actor_restarts_total{")]
    assert all(line.endswith(" 0.0") for line in restarts), restarts
    assert cluster.nodes[other].end().code == 0
