"""How Redis is reached, what a server must be, and the one line that says why it will not do."""

from __future__ import annotations

import logging
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from storage import verbs as v
from storage.redis import RedisStore, open_redis
from storage.store import open_store
from taskqueue.core import events as ev
from taskqueue.core.addresses import Address, masked, parse_address
from taskqueue.core.clock import SECOND, ManualClock, SystemClock
from taskqueue.core.config import Config
from taskqueue.core.errors import ConfigError
from taskqueue.core.events import Code
from taskqueue.core.task import Status
from taskqueue.core.views import Filter
from tests.factories import draft
from tests.older import as_before
from tests.redis_server import RedisServer, free_ports, until
from tests.stores import Driver, everything, group

ME = v.Register(owner="a", node="a", host="h", pid=1, workers=1, queues=("*",), handlers=())

Servers = Callable[..., RedisServer]


@pytest.fixture
def servers(each_server: None, tmp_path: Path) -> Iterator[Servers]:
    """Starts servers that end with the test."""
    started: list[RedisServer] = []

    def start(*options: str, port: int = 0) -> RedisServer:
        server = RedisServer(tmp_path / f"redis{len(started)}", *options, port=port)
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def opened() -> Iterator[Callable[..., RedisStore]]:
    """Opens stores that are closed with the test."""
    stores: list[RedisStore] = []

    def open_it(address: str, **settings: Any) -> RedisStore:
        store = RedisStore(Config(redis_address=address, **settings), SystemClock(), patience=10)
        stores.append(store)
        return store

    yield open_it
    for store in stores:
        store.close()


def refusal(address: str, patience: float = 0.3, **settings: Any) -> str:
    """The one line with which a start ends."""
    with pytest.raises(ConfigError) as caught:
        RedisStore(Config(redis_address=address, **settings), SystemClock(), patience=patience)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def works(store: RedisStore) -> None:
    """A task is stored, found and handed out."""
    submitted, _ = store.execute([v.Submit(draft()), ME])
    assert isinstance(submitted, v.Submitted)
    assert (submitted.code, submitted.status) == (Code.OK, Status.PENDING)
    [claimed] = store.execute([v.Claim("a", 1, (v.Group(("echo",), ("*",), 5),))])
    assert isinstance(claimed, v.Claimed)
    assert [task.id for task in claimed.tasks[0]] == ["t1"]
    assert len(everything(store)) == 1


# -- addresses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("host", Address(kind="tcp", hosts=(("host", 6379),))),
        ("[::1]:7", Address(kind="tcp", hosts=(("::1", 7),))),
        ("redis://h:1/2", Address(kind="tcp", hosts=(("h", 1),), database=2)),
        ("rediss://u:p%40@h", Address(kind="tcp", hosts=(("h", 6379),), tls=True, username="u", password="p@")),
        ("redis://:p@h", Address(kind="tcp", hosts=(("h", 6379),), password="p")),
        ("unix:///a/b", Address(kind="unix", path="/a/b")),
        ("sentinel://a,b:2/main", Address(kind="sentinel", hosts=(("a", 26379), ("b", 2)), master="main")),
        ("cluster://a:1,b", Address(kind="cluster", hosts=(("a", 1), ("b", 6379)))),
    ],
)
def test_an_address_is_read(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert "p@" not in str(address)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("redis://u:secret@h:1/2", "redis://u:***@h:1/2"),
        ("redis://:s@e@h", "redis://:***@h"),
        ("sentinel://u:secret@a,b/main", "sentinel://u:***@a,b/main"),
        ("h:1", "h:1"),
        ("redis://u@h", "redis://u@h"),
    ],
)
def test_an_address_is_shown_without_its_password(address: str, shown: str) -> None:
    assert masked(address) == shown


def test_the_entry_point(servers: Servers) -> None:
    store = open_store(Config(storage="redis", redis_address=servers().url), SystemClock())
    assert isinstance(store, RedisStore)
    works(store)
    store.close()


def test_by_host_and_port(servers: Servers, opened: Callable[..., RedisStore]) -> None:
    [port] = free_ports(1)
    servers(port=port)
    works(opened(f"127.0.0.1:{port}"))
    works(opened(f"redis://127.0.0.1:{port}/3"))


# -- who is refused, and why -------------------------------------------------------------------------------------------


def test_nobody_there(tmp_path: Path) -> None:
    said = refusal(f"unix://{tmp_path}/none")
    assert said.startswith(f"redisAddress unix://{tmp_path}/none: cannot be reached: ")


def test_a_server_that_starts_late_is_waited_for(servers: Servers, tmp_path: Path) -> None:
    server = servers()
    server.kill()
    late = threading.Timer(0.3, server.start)
    late.start()
    store = RedisStore(Config(redis_address=server.url), SystemClock(), patience=10)
    late.join()
    works(store)
    store.close()


def test_passwords(servers: Servers, opened: Callable[..., RedisStore], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server = servers()
    all_rights: dict[str, Any] = {"keys": ["*"], "channels": ["*"], "commands": ["+@all"]}
    server.client.acl_setuser("me", enabled=True, passwords=["+hunter2"], **all_rights)
    server.client.acl_setuser("default", enabled=True, reset_passwords=True, passwords=["+hunter3"])
    assert "refuses user and password" in refusal(server.url)
    said = refusal(server.url, redis_password="hunter4")
    assert "refuses user and password" in said
    works(opened(server.url, redis_password="hunter3"))
    works(opened(f"unix://me:hunter2@{server.socket}", namespace="other"))
    server.client.auth("hunter3")
    assert "hunter" not in caplog.text + said


def test_a_user_who_may_do_what_is_needed_and_no_more(servers: Servers, opened: Callable[..., RedisStore]) -> None:
    server = servers()
    rights = ["-@all", "+@read", "+@write", "+@scripting", "+@connection", "+@fast", "+info", "+publish"]
    server.client.acl_setuser(
        "me", enabled=True, passwords=["+x"], keys=["{mine}*"], channels=["{mine}*"], commands=rights
    )
    store = opened(f"unix://me:x@{server.socket}", namespace="mine")
    works(store)
    assert "CONFIG GET is denied" in store.facts.weakness or store.durability == "weak"
    assert "may not do" in refusal(f"unix://me:x@{server.socket}", namespace="theirs")
    server.client.execute_command("ACL", "SETUSER", "me", "-time")  # what only scripts want
    assert "may not do" in refusal(f"unix://me:x@{server.socket}", namespace="mine")


def test_a_replica(servers: Servers) -> None:
    [port] = free_ports(1)
    servers(port=port)
    replica = servers("--replicaof", "127.0.0.1", str(port))
    assert f"it is a replica of 127.0.0.1:{port}" in refusal(replica.url)


def test_a_server_that_evicts(servers: Servers, opened: Callable[..., RedisStore]) -> None:
    server = servers("--maxmemory-policy", "allkeys-lru")
    assert "maxmemory-policy is allkeys-lru" in refusal(server.url)
    store = opened(server.url, allow_eviction=True)
    assert store.durability == "weak"
    works(store)


def test_a_server_that_changes_is_looked_at_again(
    servers: Servers, opened: Callable[..., RedisStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = servers("--appendonly", "yes", "--appendfsync", "always")
    store = opened(server.url)
    monkeypatch.setattr("storage.redis_link.LOOK_AGAIN", 0)
    monkeypatch.setattr("storage.redis_link.OPERATION", 0.2)
    assert (store.check(), store.durability) == (None, "fsync")
    server.client.config_set("appendfsync", "everysec")
    works(store)
    assert (store.check(), store.durability) == (None, "weak")
    server.client.config_set("maxmemory-policy", "volatile-lru")
    [answer] = store.execute([v.Submit(draft("t9"))])
    assert "maxmemory-policy is volatile-lru" in str(answer)
    assert "maxmemory-policy is volatile-lru" in (store.check() or "")
    server.client.config_set("maxmemory-policy", "noeviction")
    [answer] = store.execute([v.Submit(draft("t9"))])
    assert isinstance(answer, v.Submitted)
    assert store.check() is None


def test_a_dataset_that_is_gone_is_noticed_with_the_first_beat(
    servers: Servers, opened: Callable[..., RedisStore]
) -> None:
    server = servers()
    store = opened(server.url)
    store.execute([ME])
    server.client.flushall()
    beaten = store.beat(v.Beat("a"))
    assert isinstance(beaten, v.Beaten)
    assert beaten.code is Code.FENCED
    works(store)
    assert store.datasets_lost == 1
    assert server.client.hget("{taskqueue}:meta", "schema") is not None


@pytest.mark.parametrize(
    "edit",
    [
        lambda client: client.hset("{taskqueue}:meta", mapping={"dataset": "x", "schema": "abc"}),
        lambda client: client.hset("{taskqueue}:meta", mapping={"dataset": "x", "aging": "abc"}),
        lambda client: client.hset("{taskqueue}:meta", mapping={"dataset": "x", "min_reader": b"\xff"}),
        lambda client: client.set("{taskqueue}:meta", "x"),
    ],
)
def test_what_a_namespace_says_of_itself_may_have_been_edited(
    servers: Servers, opened: Callable[..., RedisStore], monkeypatch: pytest.MonkeyPatch, edit: Callable[[Any], Any]
) -> None:
    server = servers()
    store = opened(server.url)
    edit(server.client)
    said = "namespace taskqueue: {taskqueue}:meta is not what a node stored there (schema, min_reader, aging: numbers)"
    assert refusal(server.url) == said
    monkeypatch.setattr("storage.redis_link.LOOK_AGAIN", 0)
    monkeypatch.setattr("storage.redis_link.OPERATION", 0.2)
    [answer] = store.execute([v.Submit(draft())])
    assert said in str(answer)


def test_what_a_namespace_does_not_say_of_itself_is_added(
    servers: Servers, opened: Callable[..., RedisStore]
) -> None:
    server = servers()
    server.client.hset("{taskqueue}:meta", "dataset", "x")
    works(opened(server.url))


def test_a_foreign_schema(servers: Servers) -> None:
    server = servers()
    server.client.hset("{taskqueue}:meta", mapping={"dataset": "x", "schema": 9, "min_reader": 9, "aging": 0})
    assert refusal(server.url) == "namespace taskqueue: its data has schema 9, and this version reads 4"


@pytest.mark.parametrize("schema", [1, 2, 3])
def test_data_of_a_schema_before_is_read_and_marked_for_those_who_cannot_read_what_comes(
    servers: Servers, opened: Callable[..., RedisStore], schema: int
) -> None:
    server = servers()
    store = opened(server.url)
    deck = Driver(store, ManualClock())
    deck.join("a")
    payload = b'"' + b"p" * 98 + b'"'
    before = [deck.add(name, payload=payload, priority=3) for name in ("t1", "t2")]
    meta = "{taskqueue}:meta"
    for name in ("t1", "t2"):
        as_before(server.client, "{taskqueue}:", name, schema)
    server.client.hset(meta, mapping={"schema": schema, "min_reader": schema})
    store = opened(server.url)
    assert server.client.hmget(meta, "schema", "min_reader") == [b"4", b"4"]
    deck = Driver(store, ManualClock())
    assert [deck.get(name) for name in ("t1", "t2")] == before
    assert deck.submit("t1", payload=payload, priority=3).code is Code.DUP
    assert deck.happens(ev.Update, "t2", priority=9).code is Code.OK
    [[first, second]] = deck.claim("a", group(n=2)).tasks
    assert (first.id, second.id, first.payload, second.payload) == ("t2", "t1", payload, payload)
    assert [deck.get("t2"), deck.get("t1")] == [first, second]
    assert deck.happens(ev.Complete, "t1", result=b"1").code is Code.OK
    deck.fail("t2", delay=0)
    assert deck.claim("a").tasks[0][0].attempt == 2


@pytest.mark.parametrize(
    ("schema", "reader"), [(0, 0), (5, 5), (5, 4), (1, 5)], ids=["older", "newer", "newer, readable", "odd"]
)
def test_no_other_data_is_marked(
    servers: Servers, opened: Callable[..., RedisStore], schema: int, reader: int
) -> None:
    server = servers()
    kept = {"dataset": "x", "schema": schema, "min_reader": reader, "aging": 0}
    server.client.hset("{taskqueue}:meta", mapping=kept)
    if (schema, reader) == (5, 4):
        opened(server.url)
    else:
        refusal(server.url)
    assert server.client.hmget("{taskqueue}:meta", *kept) == [str(value).encode() for value in kept.values()]


@pytest.mark.parametrize(
    ("options", "durability", "why"),
    [
        ((), "weak", "appendonly no"),
        (("--appendonly", "yes"), "weak", "appendfsync everysec"),
        (("--appendonly", "yes", "--appendfsync", "always"), "fsync", ""),
    ],
)
def test_durability(
    servers: Servers, opened: Callable[..., RedisStore], options: tuple[str, ...], durability: str, why: str
) -> None:
    server = servers(*options)
    store = opened(server.url)
    assert store.durability == durability
    assert why in store.facts.weakness
    for wanted in ("fsync", "replicated"):
        if durability != wanted:
            assert refusal(server.url, require_durability=wanted).startswith(f"requireDurability: {wanted} is wanted")
    if durability == "fsync":
        works(opened(server.url, require_durability="fsync", namespace="other"))


def test_replicated(servers: Servers, opened: Callable[..., RedisStore]) -> None:
    [port] = free_ports(1)
    master = servers("--appendonly", "yes", "--appendfsync", "always", port=port)
    replica = servers("--replicaof", "127.0.0.1", str(port))
    until(lambda: replica.client.info("replication")["master_link_status"] == "up", 10)
    store = opened(master.url, redis_wait_replicas=1, require_durability="replicated")
    assert store.durability == "replicated"
    works(store)
    assert replica.client.exists("{taskqueue}:born:t1") == 1


# -- TLS ---------------------------------------------------------------------------------------------------------------


class Terminator:
    """TLS in front of a server, as a stunnel would do it."""

    def __init__(self, context: ssl.SSLContext, server: Path) -> None:
        self._context = context
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(raw,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, raw: socket.socket) -> None:
        with raw, socket.socket(socket.AF_UNIX) as server, suppress(OSError):
            client = self._context.wrap_socket(raw, server_side=True)
            server.connect(str(self._server))
            back = threading.Thread(target=self._pump, args=(server, client))
            back.start()
            self._pump(client, server)
            back.join()
            client.close()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()


def test_tls(servers: Servers, opened: Callable[..., RedisStore], tmp_path: Path) -> None:
    ours, theirs = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.issue_cert("127.0.0.1").configure_cert(context)
    ours.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    files = {name: str(tmp_path / f"{name}.pem") for name in ("ca", "other", "cert", "key")}
    ours.cert_pem.write_to_path(files["ca"])
    theirs.cert_pem.write_to_path(files["other"])
    me = ours.issue_cert("client")
    me.private_key_pem.write_to_path(files["key"])
    me.cert_chain_pems[0].write_to_path(files["cert"])
    pair = {"redis_cert_file": files["cert"], "redis_key_file": files["key"]}
    front = Terminator(context, servers().socket)
    address = f"rediss://127.0.0.1:{front.port}"
    try:
        store = opened(address, redis_ca_file=files["ca"], **pair)
        works(store)
        store.close()
        assert refusal(address, redis_ca_file=files["other"], **pair).startswith("redisAddress: TLS failed: ")
        assert refusal(f"rediss://localhost:{front.port}", redis_ca_file=files["ca"], **pair).startswith("redisAddress")
        assert "redisCaFile" in refusal(address, redis_ca_file="/none.pem")
    finally:
        front.close()


# -- sentinel and cluster ----------------------------------------------------------------------------------------------


def test_a_cluster(servers: Servers, opened: Callable[..., RedisStore]) -> None:
    [port] = free_ports(1)
    server = servers("--cluster-enabled", "yes", port=port)
    server.client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    store = opened(f"cluster://127.0.0.1:1,127.0.0.1:{port}")
    works(store)
    assert store.find(Filter(), 9).tasks


# -- beside the protocol -----------------------------------------------------------------------------------------------


def test_hints(servers: Servers, opened: Callable[..., RedisStore]) -> None:
    server = servers()
    store = opened(server.url)
    hints: queue.Queue[str] = queue.Queue()
    subscription = store.subscribe(hints.put)
    assert hints.get(timeout=5) == ""  # it listens
    store.execute([v.Submit(draft("t1", queue="mail"))])
    assert hints.get(timeout=5) == "mail/echo"
    store.execute([v.Submit(draft("t2", queue="mail"))])  # the lane was not empty
    store.execute([v.Submit(draft("t3", queue="post"))])
    assert hints.get(timeout=5) == "post/echo"
    server.client.client_kill_filter(_type="pubsub")
    assert hints.get(timeout=5) == ""
    subscription.close()
    assert hints.empty()


def test_beats_have_a_connection_of_their_own(servers: Servers, opened: Callable[..., RedisStore]) -> None:
    server = servers()
    store = opened(server.url)
    store.execute([ME])
    before = store.now()
    beaten = store.beat(v.Beat("a"))
    assert isinstance(beaten, v.Beaten)
    assert (beaten.code, beaten.beats) == (Code.OK, {"a": 1})
    assert before <= beaten.at <= store.now()
    names = {client["name"] for client in server.client.client_list()}
    assert {"taskqueue-writes", "taskqueue-beats"} <= names


def test_cleaning_takes_one_namespace_and_spares_a_live_node(
    servers: Servers, opened: Callable[..., RedisStore], caplog: pytest.LogCaptureFixture
) -> None:
    server = servers()
    for namespace in ("ours", "ours-too"):
        opened(server.url, namespace=namespace).execute([v.SubmitAll(tuple(draft(f"t{n}") for n in range(1_500)))])
    server.client.set("foreign", "1")
    config = Config(redis_address=server.url, namespace="ours", clean_redis_on_start=True, lease_ttl=SECOND)
    live = opened(server.url, namespace="ours")
    live.execute([ME])
    over = threading.Event()

    def beat() -> None:
        while not over.wait(0.05):
            live.beat(v.Beat("a"))

    heart = threading.Thread(target=beat)
    heart.start()
    try:
        store = open_redis(config, SystemClock())
    finally:
        over.set()
        heart.join()
    assert "node a lives" in caplog.text
    assert len(everything(store)) == 1_500
    store.execute([v.Deregister("a")])
    store.close()
    store = open_redis(config, SystemClock())
    assert everything(store) == []
    assert {key.split(b":")[0] for key in server.client.scan_iter()} == {b"{ours}", b"{ours-too}", b"foreign"}
    assert [re.sub(b".*:", b"", key) for key in server.client.scan_iter("{ours}:*")] == [b"meta"]
    works(store)
    store.close()


def test_cleaning_waits_for_the_lease_of_one_that_was_killed(
    servers: Servers, opened: Callable[..., RedisStore], caplog: pytest.LogCaptureFixture
) -> None:
    """It was heard of a moment ago, and beats no more."""
    caplog.set_level(logging.INFO)
    server = servers()
    killed = opened(server.url)
    killed.execute([v.Submit(draft()), ME, v.Beat("a")])
    config = Config(redis_address=server.url, clean_redis_on_start=True, lease_ttl=SECOND)
    began = time.monotonic()
    store = open_redis(config, SystemClock())
    assert time.monotonic() - began >= 1.0
    assert "does node a live?" in caplog.text
    assert everything(store) == []
    assert store.members() == []
    assert killed.beat(v.Beat("a")) == v.Beaten(Code.FENCED), "should it live all the same, it begins anew"
    works(store)
    store.close()
