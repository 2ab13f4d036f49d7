"""doctor: what it finds in a node, on a machine and in a Redis, and that it changes nothing."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from time import time
from typing import Any

import pytest

from storage.lock import DirectoryLock, holder_of
from taskqueue.cli import doctor_node, doctor_place, doctor_redis
from taskqueue.cli.api import Api
from taskqueue.cli.findings import Level
from taskqueue.client.answers import Reply
from taskqueue.core.config import Config
from tests.cli.conftest import Call, Canned, called
from tests.clients import Client
from tests.redis_server import RedisServer, free_ports

STATUS: dict[str, Any] = {
    "version": "0.0.9",
    "durability": "weak",
    "leader": None,
    "term": 3,
    "nodes": {"alive": 1, "late": 0, "dead": 2, "draining": 0},
}
QUEUE = {"name": "q", "paused": False, "pending": 3, "oldestAge": None, "unserved": []}


def levels(said: Any) -> dict[str, str]:
    """Of each check its level."""
    return {one["check"]: one["level"] for one in said.json["checks"]}


def test_a_node_that_is_well(cli: Call) -> None:
    said = cli("doctor", "--json")
    found = levels(said)
    assert (said.code, said.json["ok"]) == (0, True)
    assert {found[check] for check in ("node", "ready", "clock", "version", "durability", "leader", "nodes")} == {"ok"}
    lines = cli("doctor").out.splitlines()
    assert lines[0].split()[:2] == ["ok", "node"]


def test_a_node_that_is_not(canned: Canned) -> None:
    canned.says("/healthz", 200, {"ok": True, "problems": []})
    canned.says("/readyz", 503, {"ok": False, "problems": ["it drains"]})
    canned.says("/api/cluster/status", 200, STATUS)
    queues = [
        {**QUEUE, "unserved": ["gone"]},
        {**QUEUE, "name": "p", "paused": True},
        {**QUEUE, "name": "l", "oldestAge": 1e4},
    ]
    canned.says("/api/queues", 200, {"queues": queues})
    said = called("doctor", "--json", url=canned.url)
    found = levels(said)
    assert said.code == 1
    assert (found["ready"], found["leader"]) == ("bad", "bad")
    assert {found[check] for check in ("version", "durability", "nodes", "queue q", "queue p", "queue l")} == {"warn"}
    assert all(one["advice"] for one in said.json["checks"] if one["level"] != "ok")
    shown = called("doctor", url=canned.url).out
    assert "it drains" in shown
    assert "→ taskqueue queue resume p" in shown


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"[]", b""])
def test_what_is_no_node(canned: Canned, body: bytes) -> None:
    canned.says("*", 200, body)
    assert called("doctor", url=canned.url).code == 1


def test_nobody_is_there() -> None:
    (port,) = free_ports(1)
    said = called("doctor", url=f"http://127.0.0.1:{port}")
    assert (said.code, said.err) == (1, "")
    assert said.out.startswith("bad  node")


def test_a_slow_answer_is_no_wrong_clock(canned: Canned, monkeypatch: pytest.MonkeyPatch) -> None:
    canned.says("*", 200, {"ok": True, "problems": []})
    passed = 0.0

    def ask(api: Api, *args: Any, real: Any = Api.ask) -> Any:
        nonlocal passed
        reply = real(api, *args)
        passed += 4.0
        return reply

    monkeypatch.setattr(Api, "ask", ask)
    monkeypatch.setattr(doctor_node, "time", lambda: time() + passed)
    assert levels(called("doctor", "--json", url=canned.url))["clock"] == "ok"


def test_the_clock_of_a_node() -> None:
    for offset, slow, level in (
        *((0, 0, Level.OK), (2, 0, Level.OK), (3, 0, Level.WARN), (-3, 0, Level.WARN)),
        *((5, 4, Level.OK), (7, 4, Level.WARN), (-3, 4, Level.WARN)),
    ):
        reply = Reply(200, b"", date=formatdate(1_000_000 + offset, usegmt=True))
        found = doctor_node._clock(reply, 1_000_000.5, 1_000_000.5 + slow)
        assert found is not None
        assert found.level is level, (offset, slow)


# -- this machine ------------------------------------------------------------------------------------------------------


def test_what_a_node_needs_here(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    data = tmp_path / "data"
    file = tmp_path / "node.json"
    file.write_text(json.dumps({"dataDir": str(data), "apiPort": port}))
    said = called("doctor", "--config", str(file), "--json")
    assert said.code == 0, said.out
    assert set(levels(said)) == {"settings", "dataDir", "disk", "space", "lock", f"port {port}"}
    assert not data.exists(), "it only looks"
    file.write_text('{"apiPrt": 1}')
    wrong = called("doctor", "--config", str(file))
    assert wrong.code == 1
    assert "apiPort" in wrong.out


def test_a_folder_that_somebody_has(tmp_path: Path) -> None:
    assert holder_of(tmp_path / "none") is None
    lock = DirectoryLock(tmp_path, "holder", 1_790_000_000_000_000)
    try:
        said = called("doctor", "--data-dir", str(tmp_path), "--json")
        assert said.code == 0
        assert f"held by node holder (pid {os.getpid()}" in said.out
    finally:
        lock.release()
    assert holder_of(tmp_path) is None


def test_a_folder_that_will_not_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    assert called("doctor", "--data-dir", str(tmp_path / "file" / "x")).code == 1
    monkeypatch.setattr("storage.lock.filesystem", lambda *_: "nfs4")
    monkeypatch.setattr("shutil.disk_usage", lambda _: (1 << 40, 1 << 40, 1 << 20))
    found = {one.check: one.level for one in doctor_place.folder(tmp_path)}
    assert (found["disk"], found["space"]) == (Level.BAD, Level.BAD)
    monkeypatch.setattr(os, "access", lambda *_: False)
    (only,) = doctor_place.folder(tmp_path)
    assert only.level is Level.BAD


def test_a_port_is_free_or_a_nodes_or_somebody_elses(node: Client) -> None:
    assert doctor_place.port("127.0.0.1", node.port).level is Level.OK
    with Canned() as other:
        other.says("*", 200, b"hello")
        port = int(other.url.rpartition(":")[2])
        assert doctor_place.port("127.0.0.1", port).level is Level.BAD
        assert called("doctor", "--port", str(port)).code == 1
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free = probe.getsockname()[1]
    assert doctor_place.port("127.0.0.1", free).level is Level.OK


# -- Redis -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis", "--requirepass", "sesame")
    server.client.connection_pool.connection_kwargs["password"] = "sesame"
    try:
        yield server.start()
    finally:
        server.stop()


def test_a_redis_is_looked_at_and_left_alone(redis: RedisServer) -> None:
    url = f"unix://:sesame@{redis.socket}"
    weak = called("doctor", "--redis", url, "--json")
    assert weak.code == 0
    assert levels(weak) == {
        **dict.fromkeys(("redis", "version", "eviction", "memory", "replicas", "clock"), "ok"),
        "persistence": "warn",
    }
    assert "sesame" not in weak.out + weak.err
    assert "appendonly" in weak.out
    redis.client.config_set("appendonly", "yes")
    redis.client.config_set("appendfsync", "always")
    assert levels(called("doctor", "--redis", url, "--json"))["persistence"] == "ok"
    redis.client.config_set("maxmemory-policy", "allkeys-lru")
    evicts = called("doctor", "--redis", url)
    assert evicts.code == 1
    assert "set maxmemory-policy noeviction" in evicts.out
    assert redis.client.dbsize() == 0, "it only looks"


def test_a_redis_that_does_not_let_in(redis: RedisServer, tmp_path: Path) -> None:
    for address in (f"unix://:wrong@{redis.socket}", f"unix://{tmp_path}/nobody.sock", "127.0.0.1:1", "http://x"):
        said = called("doctor", "--redis", address)
        assert (said.code, said.err) == (1, ""), address
        assert said.out.startswith("bad  redis")
        assert "wrong@" not in said.out


def test_the_clock_of_a_redis() -> None:
    for offset, level in ((0.0, Level.OK), (-0.9, Level.OK), (1.5, Level.WARN), (-1.5, Level.WARN), (60.0, Level.BAD)):
        assert doctor_redis._clock(1_000.0 + offset, 999.99, 1_000.01).level is level


def test_replicas_that_are_awaited() -> None:
    seen = doctor_redis_seen(replicas=1)
    assert doctor_redis._replicas(seen, Config(redis_wait_replicas=2)).level is Level.BAD
    assert doctor_redis._replicas(seen, Config(redis_wait_replicas=1)).level is Level.OK
    assert doctor_redis._replicas(seen, Config()).level is Level.WARN
    assert doctor_redis._memory(doctor_redis_seen(memory=90, limit=100)).level is Level.WARN
    old = doctor_redis_seen(trouble="this is Redis 6.2; 7.0 is the oldest that will do")
    assert next(iter(doctor_redis._judged(old, Config()))).level is Level.BAD
    weak = doctor_redis_seen(weakness="it keeps no log of its writes (appendonly no)")
    assert doctor_redis._persistence(weak, Config(require_durability="fsync")).level is Level.BAD


def doctor_redis_seen(**changes: Any) -> Any:
    """A server as it was seen."""
    from storage.redis_checks import Examination

    plain: dict[str, Any] = {
        "version": "7.2",
        "trouble": "",
        "policy": "noeviction",
        "durability": "fsync",
        "weakness": "",
    }
    return Examination(**{**plain, "replicas": 0, "time": 0, "memory": 0, "limit": 0, **changes})
