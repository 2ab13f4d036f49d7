"""A node that is to live on a Redis that will not do: it ends at once with exit code 2 and one line that says why, on
stderr, and shows no password.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.processes import Nodes
from tests.redis_server import RedisServer, free_ports

PASSWORD = "hunter2"


class Bad(NamedTuple):
    """`options` of the server (`{port}` is another, plain server's), what the node is set to, what its line says
    (after the name of its file, where that is at fault), and words that it holds.
    """

    options: tuple[str, ...]
    config: Callable[[RedisServer], dict[str, Any]]
    says: str
    words: tuple[str, ...] = ()
    prepare: Callable[[RedisServer], Any] = lambda server: None


def foreign(server: RedisServer) -> None:
    server.client.hset("{taskqueue}:meta", mapping={"dataset": "x", "schema": 9, "min_reader": 9, "aging": 0})


def locked(server: RedisServer) -> None:
    server.client.config_set("requirepass", PASSWORD)


BAD = {
    "no password": Bad((), lambda _: {}, "redisAddress: it refuses user and password", ("redisPassword",), locked),
    "a wrong password": Bad(
        (),
        lambda _: {"redisPassword": "hunter3"},
        "redisAddress: it refuses user and password",
        ("redisPassword",),
        locked,
    ),
    "certificates that are not there": Bad(
        (),
        lambda server: {"redisAddress": f"rediss://127.0.0.1:{server.port}", "redisCaFile": "/none.pem"},
        "redisCaFile",
        ("/none.pem",),
    ),
    "a replica": Bad(
        ("--replicaof", "127.0.0.1 {port}"), lambda _: {}, "redisAddress: it is a replica of 127.0.0.1", ("master",)
    ),
    "a server that evicts": Bad(
        ("--maxmemory-policy", "allkeys-lru"), lambda _: {}, "redisAddress: its maxmemory-policy is", ("noeviction",)
    ),
    "a foreign schema": Bad((), lambda _: {}, "namespace taskqueue: its data has schema 9", ("reads 4",), foreign),
    "a namespace in braces": Bad(
        (), lambda _: {"namespace": "{tasks}"}, "namespace: expected 1 to 32 of a-z", ("{tasks}",)
    ),
    "an address of nothing": Bad(
        (), lambda _: {"redisAddress": "http://127.0.0.1"}, "redisAddress: expected host:port"
    ),
    "too weak a promise": Bad((), lambda _: {"requireDurability": "fsync"}, "requireDurability: fsync is wanted"),
}


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    made: list[RedisServer] = []

    def make(*options: str, port: int = 0) -> RedisServer:
        made.append(RedisServer(tmp_path / f"redis{len(made)}", *options, port=port))
        return made[-1].start()

    yield make
    for server in made:
        server.stop()


@pytest.mark.parametrize("case", BAD)
def test_it_is_refused_in_one_line(case: str, nodes: Nodes, servers: Callable[..., RedisServer]) -> None:
    bad = BAD[case]
    plain, port = free_ports(2)
    if any("{port}" in option for option in bad.options):
        servers(port=plain)
    server = servers(*(option.format(port=plain) for option in bad.options), port=port)
    bad.prepare(server)
    settings = {"clusterEnabled": True, "redisAddress": f"127.0.0.1:{port}", **bad.config(server)}
    node = nodes(**settings)
    node.launch()
    ended = node.ended()
    assert ended.code == 2, ended
    [line] = ended.err.splitlines()
    assert line.removeprefix(f"{node.home / 'node.json'}: ").startswith(bad.says), line
    assert all(word in line for word in bad.words), line
    assert "hunter" not in ended.err + ended.out
    assert "Traceback" not in ended.out


@pytest.mark.slow
def test_a_server_without_tls_is_given_up_with_a_hint(nodes: Nodes, servers: Callable[..., RedisServer]) -> None:
    """It waits for the rest of what it takes for a command, so it looks like one that does not answer: for 30 s."""
    [port] = free_ports(1)
    servers(port=port)
    node = nodes(clusterEnabled=True, redisAddress=f"rediss://127.0.0.1:{port}")
    node.launch()
    ended = node.ended(within=90)
    assert ended.code == 2
    [line] = ended.err.splitlines()
    assert line.startswith(f"redisAddress rediss://127.0.0.1:{port}: cannot be reached: ")
    assert line.endswith("(rediss:// is for a server that speaks TLS)")
