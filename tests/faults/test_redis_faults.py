"""Redis dies, stalls, forgets its scripts, is emptied, is full: what is acknowledged lasts, and the store goes on."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage import redis_link
from storage import verbs as v
from storage.redis import RedisStore
from taskqueue.core import events as ev
from taskqueue.core.clock import SystemClock
from taskqueue.core.config import Config
from taskqueue.core.errors import StoreError, StoreFull, StoreUnavailable
from taskqueue.core.events import Code
from taskqueue.core.task import Status
from taskqueue.core.views import Filter
from tests.factories import draft
from tests.faults.proxy import Proxy
from tests.redis_server import RedisServer, free_ports, until
from tests.stores import assert_sound, everything

ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")
ME = v.Register(owner="a", node="a", host="h", pid=1, workers=1, queues=("*",), handlers=())


@pytest.fixture
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """A server of the test's own; what it keeps is written before each answer."""
    server = RedisServer(tmp_path / "redis", *getattr(request, "param", ALWAYS)).start()
    yield server
    server.stop()


def opened(address: str, **settings: Any) -> RedisStore:
    return RedisStore(Config(redis_address=address, **settings), SystemClock(), patience=5)


@pytest.fixture
def store(server: RedisServer) -> Iterator[RedisStore]:
    store = opened(server.url)
    yield store
    store.close()


@pytest.fixture
def proxy(server: RedisServer, tmp_path: Path) -> Iterator[Proxy]:
    with Proxy(tmp_path / "proxy.sock", server.socket) as proxy:
        yield proxy


def one(store: RedisStore, verb: Any) -> Any:
    [result] = store.execute([verb])
    return result


def test_what_is_acknowledged_survives_kills(server: RedisServer, store: RedisStore) -> None:
    """Kills at random moments, each followed by a restart from the log, under a load that notes every answer. On a busy
    machine it takes more of them until enough was promised.
    """
    assert store.durability == "fsync"
    promised: set[str] = set()
    finished: set[str] = set()
    unknown = kills = request = 0
    over = threading.Event()
    rng = random.Random(7)

    def killer() -> None:
        nonlocal kills
        while kills < 6 or not (len(promised) > 500 and len(finished) > 300):
            over.wait(rng.uniform(0.05, 0.4))
            server.kill()
            server.start()
            kills += 1
        over.set()

    one(store, ME)
    thread = threading.Thread(target=killer)
    thread.start()
    n = 0
    while not over.is_set():
        drafts = [draft(f"t{n + k}") for k in range(20)]
        n += 20
        request += 1
        results = store.execute(
            [*map(v.Submit, drafts), v.Claim("a", request, (v.Group(("echo",), ("*",), 15),))]
        )
        for item, answer in zip(drafts, results, strict=False):
            if isinstance(answer, v.Submitted):
                assert answer.code is Code.OK
                promised.add(item.id)
            else:
                unknown += 1
        claimed = results[-1]
        if isinstance(claimed, v.Claimed):
            ends = [ev.Complete(id=t.id, op=f"c{t.fence}", owner="a", fence=t.fence) for t in claimed.tasks[0]]
            for end, answer in zip(ends, store.execute(ends), strict=True):
                if isinstance(answer, v.Answer):
                    assert answer.code in (Code.OK, Code.STALE)
                    finished |= {end.id} if answer.code is Code.OK else set()
    thread.join()
    assert kills >= 6
    assert len(promised) > 500
    assert len(finished) > 300
    tasks = {task.id: task for task in everything(store)}
    assert promised <= tasks.keys()
    assert all(tasks[task_id].status is Status.COMPLETED for task_id in finished)
    assert_sound(store)


@pytest.mark.slow
def test_a_server_that_is_away_is_unknown_and_comes_back(server: RedisServer, store: RedisStore) -> None:
    one(store, v.Submit(draft("before")))
    server.kill()
    assert isinstance(one(store, v.Submit(draft("during"))), StoreUnavailable)
    assert store.check() is not None
    with pytest.raises(StoreUnavailable):
        store.get("before")
    start = time.monotonic()
    assert isinstance(one(store, v.Submit(draft("during"))), StoreUnavailable)
    assert time.monotonic() - start < redis_link.OPERATION  # once it is known to be away, it is not waited for so long
    server.start()
    assert one(store, v.Submit(draft("after"))).code is Code.OK
    assert store.check() is None
    assert {task.id for task in everything(store)} == {"before", "after"}
    assert store.datasets_lost == 0


def test_a_stalled_server_changes_nothing_twice(server: RedisServer, store: RedisStore) -> None:
    one(store, ME)
    server.signal(signal.SIGSTOP)
    thread = threading.Timer(redis_link.OPERATION / 2, server.signal, (signal.SIGCONT,))
    thread.start()
    answers = store.execute([v.Submit(draft("t0")), v.Note("t", "a", "x"), v.Note("t", "a", "y")])
    thread.join()
    assert [answer.code for answer in answers if isinstance(answer, v.Submitted | v.Answer)] == [Code.OK] * 3
    assert [note.target for note in store.notes(9).notes] == ["y", "x"]


def test_a_black_hole_is_unknown_within_the_deadline(proxy: Proxy) -> None:
    store = opened(proxy.url)
    proxy.hold()
    start = time.monotonic()
    assert isinstance(one(store, v.Submit(draft("t0"))), StoreUnavailable)
    assert time.monotonic() - start < redis_link.OPERATION + 3
    proxy.release()
    assert one(store, v.Submit(draft("t0"))).code in (Code.OK, Code.DUP)
    store.close()


def test_broken_connections_are_made_anew(proxy: Proxy) -> None:
    store = opened(proxy.url)
    for n in range(5):
        proxy.cut()
        assert one(store, v.Submit(draft(f"t{n}"))).code is Code.OK
        proxy.cut()
        assert store.get(f"t{n}") is not None
    store.close()


def test_forgotten_scripts_are_loaded_again(server: RedisServer, store: RedisStore) -> None:
    server.client.script_flush()
    assert one(store, v.Submit(draft("t0"))).code is Code.OK
    server.client.script_flush()
    assert store.get("t0") is not None
    assert store.find(Filter(), 9).tasks


@pytest.mark.parametrize("server", [("--appendonly", "no")], indirect=True)
def test_an_emptied_server_is_noticed(
    server: RedisServer, store: RedisStore, caplog: pytest.LogCaptureFixture
) -> None:
    one(store, ME)
    one(store, v.Submit(draft("t0")))
    server.kill()
    server.start()
    assert one(store, v.Claim("a", 1, ())) == v.Claimed(Code.FENCED)
    assert store.datasets_lost == 1
    assert "another dataset" in caplog.text
    assert one(store, ME).code is Code.OK
    assert one(store, v.Submit(draft("t0"))).code is Code.OK


def test_a_full_server_refuses_new_work_and_finishes_the_old(server: RedisServer, store: RedisStore) -> None:
    one(store, ME)
    one(store, v.Submit(draft("t0")))
    one(store, v.Submit(draft("t1")))
    server.client.config_set("maxmemory", 1)
    full = store.execute([v.Submit(draft("t2")), v.SubmitAll((draft("t3"),)), v.Note("t", "a", "x")])
    assert all(isinstance(answer, StoreFull) for answer in full)
    claimed = one(store, v.Claim("a", 1, (v.Group(("echo",), ("*",), 1),)))
    [[task]] = claimed.tasks
    assert one(store, ev.Complete(id=task.id, owner="a", fence=task.fence)).code is Code.OK
    assert one(store, ev.Cancel(id="t1")).code is Code.OK
    assert one(store, v.Beat("a")).code is Code.OK
    server.client.config_set("maxmemory", 0)
    assert {task.id for task in everything(store)} == {"t0", "t1"}
    assert one(store, v.Submit(draft("t2"))).code is Code.OK
    assert_sound(store)


def test_too_few_replicas_make_an_outcome_unknown(server: RedisServer, tmp_path: Path) -> None:
    store = opened(server.url, redis_wait_replicas=1)
    assert isinstance(one(store, v.Submit(draft("t0"))), StoreUnavailable)
    store.close()


def test_a_repeat_is_not_vouched_for_by_what_its_own_connection_wrote(tmp_path: Path) -> None:
    """A submit that no replica has is sent again, by way of another connection: there it writes nothing, so nothing of
    that connection's is missing on the replica; and yet the task is.
    """
    [port] = free_ports(1)
    master = RedisServer(tmp_path / "master", port=port).start()
    replica = RedisServer(tmp_path / "replica", "--replicaof", "127.0.0.1", str(port)).start()
    stores = []
    try:
        until(lambda: replica.client.info("replication")["master_link_status"] == "up", 30)
        stores = [opened(master.url, redis_wait_replicas=1) for _ in range(2)]
        assert one(stores[1], v.Submit(draft("before"))).code is Code.OK
        replica.signal(signal.SIGSTOP)
        assert isinstance(one(stores[0], v.Submit(draft("t0"))), StoreUnavailable)
        assert isinstance(one(stores[1], v.Submit(draft("t0"))), StoreUnavailable)
        replica.signal(signal.SIGCONT)
        until(lambda: replica.client.exists("{taskqueue}:born:t0") == 1, 30)
        assert one(stores[1], v.Submit(draft("t0"))).code is Code.DUP
    finally:
        for store in stores:
            store.close()
        replica.signal(signal.SIGCONT)
        for server in (replica, master):
            server.stop()


def test_a_script_that_fails_is_an_error_of_its_verbs_alone(server: RedisServer, store: RedisStore) -> None:
    server.client.set("{taskqueue}:task:odd", "no hash")
    results = store.execute([ev.Cancel(id="odd"), v.Submit(draft("t0"))])
    assert type(results[0]) is StoreError
    assert isinstance(results[1], v.Submitted)
    assert results[1].code is Code.OK


@pytest.mark.slow
def test_a_failover_loses_nothing_that_the_replica_had(tmp_path: Path) -> None:
    """Sentinel promotes the replica after the master's death; the store finds it, loads its scripts and goes on."""
    ports = free_ports(3)
    always = ("--appendonly", "yes", "--appendfsync", "always")
    master = RedisServer(tmp_path / "master", *always, port=ports[0]).start()
    follow = ("--replicaof", "127.0.0.1", str(ports[0]))
    replica = RedisServer(tmp_path / "replica", *always, *follow, port=ports[1]).start()
    sentinel = RedisServer(tmp_path / "sentinel", port=ports[2])
    settings = f"sentinel monitor main 127.0.0.1 {ports[0]} 1\nsentinel down-after-milliseconds main 500\n"
    sentinel.sentinel(settings + "sentinel failover-timeout main 5000\n")
    store = None
    try:
        until(lambda: sentinel.client.execute_command("SENTINEL", "REPLICAS", "main") != [], 30)
        until(lambda: replica.client.info("replication")["master_link_status"] == "up", 30)
        store = opened(f"sentinel://127.0.0.1:{ports[2]}/main", redis_wait_replicas=1)
        assert store.durability == "replicated"
        promised = set()
        for n in range(200):
            assert one(store, v.Submit(draft(f"t{n}"))).code is Code.OK
            promised.add(f"t{n}")
        master.kill()
        until(lambda: replica.client.info("replication")["role"] == "master", 30)
        # Nobody is left to acknowledge: the outcome is unknown, and says so.
        assert isinstance(one(store, v.Submit(draft("alone"))), StoreUnavailable)
        assert promised <= {task.id for task in everything(store)}
        assert store.datasets_lost == 0
        assert_sound(store)
    finally:
        if store is not None:
            store.close()
        for server in (sentinel, replica, master):
            server.stop()
