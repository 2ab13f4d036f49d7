"""The Python client when answers get lost, nodes and Redis die: what was submitted is there, once each."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import taskqueue
from storage.keys import prefix
from storage.scripts import scripts
from taskqueue import Client, TaskRef, builtin
from taskqueue.errors import PartlyRefused, Unavailable
from tests.clients import Client as Http
from tests.clients import until
from tests.faults.proxy import Proxy
from tests.processes import Nodes
from tests.redis_server import RedisServer

COUNT = 3_500


def payloads(client: Http) -> Counter[int]:
    return Counter(task["payload"] for task in client.tasks())


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis").start()
    yield server
    server.stop()


# -- REST --------------------------------------------------------------------------------------------------------------


def test_lost_answers_make_no_task_twice(nodes: Nodes) -> None:
    client = nodes().start()
    client.post("/api/queues/default/pause")
    with Proxy(None, client.port) as proxy, taskqueue.connect(f"http://127.0.0.1:{proxy.port}", default=False) as queue:

        def bodies() -> Iterator[Any]:
            for n in range(COUNT):
                if n % 1_000 == 500:
                    proxy.drop_reply("/api/tasks/batch")  # that of the batch that is being read
                yield builtin.echo.body(n)

        refs = queue.submit_many(bodies())
        assert proxy.dropped == 3
        proxy.drop_reply("POST /api/tasks")
        one = queue.submit("echo", COUNT)
        assert proxy.dropped == 4
        proxy.drop_reply("/cancel")
        one.cancel()
        assert proxy.dropped == 5
        assert one.status() == "cancelled"
    assert payloads(client) == Counter(range(COUNT + 1))
    assert len({ref.id for ref in refs}) == COUNT


def test_lost_answers_in_an_event_loop(nodes: Nodes) -> None:
    client = nodes().start()
    with Proxy(None, client.port) as proxy:

        async def main() -> list[Any]:
            async with taskqueue.connect(f"http://127.0.0.1:{proxy.port}", default=False) as queue:
                proxy.drop_reply("/api/tasks/batch")
                refs = await queue.submit_many_async(builtin.echo.body(n) for n in range(50))
                proxy.drop_reply("GET ")
                return await taskqueue.get_async(refs, timeout=60)

        assert asyncio.run(main()) == list(range(50))
        assert proxy.dropped == 2
    assert payloads(client) == Counter(range(50))


def test_a_node_that_is_killed_and_comes_back_has_each_task_once(nodes: Nodes) -> None:
    node = nodes()
    client = node.start()
    client.post("/api/queues/default/pause")
    refs: list[TaskRef[Any]] = []
    with Proxy(None, client.port) as proxy, taskqueue.connect(f"http://127.0.0.1:{proxy.port}", default=False) as queue:
        reached = threading.Event()

        def bodies() -> Iterator[Any]:
            for n in range(COUNT):
                if n == 1_500:
                    reached.set()
                yield builtin.echo.body(n)

        thread = threading.Thread(target=lambda: refs.extend(queue.submit_many(bodies())))
        thread.start()
        assert reached.wait(30)
        node.kill()
        client = node.start()
        proxy.server = client.port
        thread.join(60)
        assert not thread.is_alive()
    assert len(refs) == COUNT
    assert payloads(client) == Counter(range(COUNT))


def test_waiting_outlives_a_restart_of_the_node(nodes: Nodes) -> None:
    node = nodes()
    client = node.start()
    with Proxy(None, client.port) as proxy, taskqueue.connect(f"http://127.0.0.1:{proxy.port}", default=False) as queue:
        ref = builtin.sleep.options(client=queue).remote(1.0)
        answers: list[Any] = []
        thread = threading.Thread(target=lambda: answers.append(ref.get(timeout=60)))
        thread.start()
        client.reaches(ref.id, "processing")
        node.end()
        proxy.server = node.start().port
        thread.join(60)
        assert answers == [None]


def test_a_node_that_never_answers_is_given_up_and_the_ids_are_told(nodes: Nodes) -> None:
    client = nodes().start()
    with (
        Proxy(None, client.port) as proxy,
        taskqueue.connect(f"http://127.0.0.1:{proxy.port}", timeout=0.5, default=False) as queue,
    ):
        proxy.hold()
        with pytest.raises(Unavailable) as caught:
            queue.submit("echo", 1)
        proxy.release()
        assert caught.value.task_id is not None
        again = queue.submit("echo", 1, id=caught.value.task_id)
        assert again.get(timeout=30) == 1
    assert payloads(client) == Counter([1])


def test_a_node_that_hangs_takes_no_more_of_its_callers_time_than_they_gave(nodes: Nodes) -> None:
    client = nodes().start()
    with (
        Proxy(None, client.port) as proxy,
        taskqueue.connect(f"http://127.0.0.1:{proxy.port}", timeout=5, default=False) as queue,
    ):
        refs = queue.submit_many([{"payload": n, "parameters": {"delay": "1h"}} for n in range(8)])
        proxy.hold()
        began = time.monotonic()
        assert taskqueue.wait(refs, len(refs), timeout=0.3) == ([], refs)
        with pytest.raises(Unavailable):
            refs[0].get(timeout=0.3)
        with pytest.raises(PartlyRefused):
            queue.submit_many([{"payload": n} for n in range(8)], patience=0.5)
        assert time.monotonic() - began < 5  # that of one call
        proxy.release()


# -- Redis -------------------------------------------------------------------------------------------------------------


def stored(queue: Client, refs: list[Any]) -> int:
    """How many of them there are."""
    done, _ = taskqueue.wait(refs, len(refs), timeout=0)
    assert done == []
    return len({ref.id for ref in refs})


@pytest.mark.parametrize("harm", ["drop", "drop last", "cut", "forget"])
def test_lost_answers_of_redis_make_no_task_twice(redis: RedisServer, tmp_path: Path, harm: str) -> None:
    with (
        Proxy(tmp_path / "proxy.sock", redis.socket) as proxy,
        taskqueue.connect(proxy.url, default=False) as queue,
    ):
        harms: dict[str, Callable[[], object]] = {
            "drop last": lambda: proxy.drop_reply("t0999"),  # all of its batch has been sent by then
            "drop": lambda: proxy.drop_reply(scripts()["submit"].sha),
            "cut": proxy.cut,
            "forget": redis.client.script_flush,
        }
        queue.submit("echo", -1)

        def bodies() -> Iterator[Any]:
            for n in range(COUNT):
                if n % 1_000 == 500:
                    harms[harm]()
                yield builtin.echo.options(id=f"t{n:04}").body(n)

        refs = queue.submit_many(bodies())
        assert proxy.dropped == {"drop": 3, "drop last": 1}.get(harm, 0)
        assert stored(queue, refs) == COUNT
    counts = {name: int(count) for name, count in redis.client.hgetall(prefix("taskqueue") + "totals").items()}
    assert counts.get(b"P") == COUNT + 1, counts


def test_redis_that_is_away_and_comes_back(redis: RedisServer, tmp_path: Path) -> None:
    with (
        Proxy(tmp_path / "proxy.sock", redis.socket) as proxy,
        taskqueue.connect(proxy.url, timeout=1, default=False) as queue,
    ):
        first = queue.submit("echo", 1)
        proxy.refuse()
        with pytest.raises(Unavailable, match="cannot be reached") as caught:
            queue.submit("echo", 2, id="mine")
        assert caught.value.task_id == "mine"
        with pytest.raises(PartlyRefused) as partly:
            queue.submit_many([builtin.echo.body(3)], patience=0.1)
        assert isinstance(partly.value.failures[0][1], Unavailable)
        proxy.refuse(False)
        until(lambda: _answers(first), 20, "Redis answers again")
        assert queue.submit("echo", 2, id="mine").status() == "pending"


def _answers(ref: TaskRef[Any]) -> bool:
    try:
        return ref.status() == "pending"
    except Unavailable:
        return False
