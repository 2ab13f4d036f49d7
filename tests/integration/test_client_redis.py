"""The Python client straight on a cluster's Redis: the same rules as at a node's door, and results as they come in."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import taskqueue
from storage.direct import Direct, open_direct
from storage.keys import prefix
from taskqueue import Client, TaskRef, builtin
from taskqueue.core import events as ev
from taskqueue.core.clock import SystemClock
from taskqueue.core.config import Config
from taskqueue.core.task import Status, Task
from taskqueue.errors import (
    ConfigError,
    Conflict,
    InvalidInput,
    NotFinished,
    NotFound,
    PartlyRefused,
    QueueFull,
    TaskCancelled,
    TaskFailed,
    TaskqueueError,
    TooLarge,
    Unavailable,
)
from tests.clients import Client as Http
from tests.factories import draft
from tests.integration import lives
from tests.redis_server import RedisServer

SETTINGS = {"namespace": "direct", "queueSize": 50, "maxPayloadBytes": 100_000}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    made = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield made
    made.stop()


@pytest.fixture
def queue(server: RedisServer) -> Iterator[Client]:
    server.client.flushall()
    with taskqueue.connect(server.url, settings=SETTINGS, default=False) as made:
        yield made


@pytest.fixture
def node(server: RedisServer, queue: Client) -> Iterator[Direct]:
    """As much of a node as these tests need: it declares handlers, and takes tasks."""
    queue.submit_many([])
    config = Config(storage="redis", redis_address=server.url, namespace="direct")
    made = open_direct(config, SystemClock())
    made.join("node", [lives.typed.handler.declaration(), builtin.echo.handler.declaration()])
    yield made
    made.close()


def complete(node: Direct, result: bytes, request: int = 1) -> Task:
    """Take the next task and complete it."""
    task = node.claim("node", request, ("typed", "echo"))
    assert task is not None
    node.happen(ev.Complete(id=task.id, op=str(task.fence), owner="node", fence=task.fence, result=result))
    return task


# -- the rules ---------------------------------------------------------------------------------------------------------

BODIES: list[Any] = [
    {"handler": "typed", "payload": {"to": "ada"}},
    {"handler": "typed", "payload": {"to": "ada"}, "parameters": {"priority": 1, "retries": 0, "timeout": "1s"}},
    {"handler": "unknown", "payload": [1, {"a": None}], "parameters": {"tags": ["x", "y", "x"], "keepResult": False}},
    {"payload": None, "id": "mine", "parameters": {"idempotencyKey": "k", "queue": "posts"}},
    {"payload": 1, "id": "no id"},
    {"payload": 1, "id": "batch"},
    {"handler": 5, "payload": 1},
    {"handler": "echo"},
    {"payload": 1, "parameters": {"priority": 10, "delay": "x", "unknown": 1}},
    {"payload": 1, "parameters": {"delay": 1, "runAt": "2030-01-01T00:00:00Z"}},
    {"payload": 1, "parameters": {"tags": ["no tag"]}},
    {"payload": 1, "parameters": None},
    {"payload": 1, "extra": 1},
    {"payload": "x" * 120_000},
    {"payload": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]},
    {"payload": 1, "parameters": {"expiresAt": "2030-01-01"}},
]


def outcome(queue: Client, body: Any) -> tuple[str, Any]:
    """What becomes of a body: its error, type and paths; or nothing."""
    try:
        [ref] = queue.submit_many([body])
    except PartlyRefused as error:
        [(_, wrong)] = error.failures
        return type(wrong).__name__, getattr(wrong, "errors", str(wrong))
    assert isinstance(ref, TaskRef)
    return "", None


@pytest.mark.parametrize("body", BODIES, ids=lambda body: json.dumps(body)[:60])
def test_a_body_is_taken_or_refused_as_a_node_does(queue: Client, client: Http, body: Any) -> None:
    if body.get("id") == "mine":
        client.send("DELETE", "/api/tasks/mine")
    with taskqueue.connect(client.url, default=False) as rest:
        assert outcome(queue, body) == outcome(rest, body)


def test_what_a_task_does_not_say_its_handlers_declaration_does(queue: Client, node: Direct, client: Http) -> None:
    refs = [queue.submit("typed", {"to": "ada"}), queue.submit("typed", {"to": "ada"}, priority=1, queue="q")]
    tasks = [node.get(ref.id) for ref in refs]
    assert all(task is not None for task in tasks)
    seen = [(task.queue, task.priority, task.retries, task.timeout) for task in tasks if task is not None]
    assert seen == [("posts", 7, 5, 40_000_000), ("q", 1, 5, 40_000_000)]
    shown = client.task(client.submit("typed", {"to": "ada"}))
    assert (shown["queue"], shown["priority"], shown["parameters"]["timeout"]) == ("posts", 7, "40s")


def test_the_configuration_says_the_rest(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.client.flushall()
    monkeypatch.setenv("TASKQUEUE_NAMESPACE", "environment")
    monkeypatch.setenv("TASKQUEUE_RETRY_COUNT", "9")
    monkeypatch.setenv("TASKQUEUE_REDIS_ADDRESS", "elsewhere:1")
    monkeypatch.setenv("TASKQUEUE_CLEAN_REDIS_ON_START", "true")
    server.client.set(prefix("environment") + "mark", "1")
    with taskqueue.connect(server.url, settings={"taskTimeout": "7s"}, default=False) as queue:
        ref = queue.submit("nobodys", 1)
    store = open_direct(Config(storage="redis", redis_address=server.url, namespace="environment"), SystemClock())
    task = store.get(ref.id)
    store.close()
    assert task is not None
    assert (task.retries, task.timeout) == (9, 7_000_000)
    assert server.client.get(prefix("environment") + "mark") == b"1"  # a client never cleans


def test_the_same_again_is_the_same_task(queue: Client) -> None:
    first = queue.submit("echo", 1, id="mine")
    assert queue.submit("echo", 1.0, id="mine") == first
    with pytest.raises(Conflict, match="mine exists already, with another body"):
        queue.submit("echo", 2, id="mine")
    one = queue.submit("echo", 1, idempotency_key="k")
    assert queue.submit("echo", 1, idempotency_key="k") == one
    with pytest.raises(InvalidInput, match="this key was used before, with another body"):
        queue.submit("echo", 2, idempotency_key="k")
    with pytest.raises(TooLarge):
        queue.submit("echo", "x" * 100_001)


def test_a_full_queue(queue: Client) -> None:
    with pytest.raises(PartlyRefused) as caught:
        queue.submit_many(({"payload": n} for n in range(60)), patience=0.1)
    assert [place for place, _ in caught.value.failures] == list(range(50, 60))
    assert all(isinstance(error, QueueFull) for _, error in caught.value.failures)
    with pytest.raises(QueueFull):
        queue.submit("echo", 1)


# -- results -----------------------------------------------------------------------------------------------------------


def test_a_result_is_read_when_it_is_there(queue: Client, node: Direct) -> None:
    ref = lives.typed.options(client=queue).remote("ada")
    with pytest.raises(NotFinished, match=r"is pending after 0\.1 s"):
        ref.get(timeout=0.1)
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(ref.get(timeout=30)))
    thread.start()
    assert complete(node, b'{"to": "ada"}').id == ref.id
    thread.join(30)
    assert answers == [{"to": "ada"}]
    assert ref.status() is Status.COMPLETED


def test_what_has_no_result(queue: Client, node: Direct) -> None:
    lost, gone = queue.submit("echo", 1), queue.submit("echo", 2)
    task = node.claim("node", 1, ("echo",))
    assert task is not None
    fail = ev.Fail(id=task.id, op="1", owner="node", fence=task.fence, type="E", message="m", final=True)
    node.happen(fail)
    with pytest.raises(TaskFailed, match=r"given up \(error\): E: m"):
        lost.get(timeout=30)
    gone.cancel()
    with pytest.raises(TaskCancelled):
        gone.get(timeout=30)
    with pytest.raises(Conflict, match="dead-lettered does not allow cancel"):
        lost.cancel()
    for unknown in ("nobody", "no/body"):
        with pytest.raises(NotFound):
            queue.ref(unknown).get()
        with pytest.raises(NotFound):
            queue.ref(unknown).cancel()
        with pytest.raises(NotFound):
            taskqueue.wait([queue.ref(unknown)])


def test_wait_and_get_in_an_event_loop(queue: Client, node: Direct) -> None:
    async def main() -> tuple[Any, Any]:
        refs = await queue.submit_many_async([{"handler": "echo", "payload": n} for n in range(3)])
        await asyncio.to_thread(complete, node, b"7")
        done, rest = await taskqueue.wait_async(refs, timeout=30)
        await queue.close_async()
        return await taskqueue.get_async(done), rest == [ref for ref in refs if ref not in done]

    assert asyncio.run(main()) == ([7], True)


# -- many --------------------------------------------------------------------------------------------------------------


def test_many_are_stored_in_their_order(server: RedisServer) -> None:
    server.client.flushall()
    with taskqueue.connect(server.url, settings={"namespace": "direct"}, default=False) as queue:
        bodies = [{"payload": n, "id": f"t{n:04}"} for n in range(2_345)]
        bodies[1_500]["nonsense"] = 1
        with pytest.raises(PartlyRefused, match=r"1 of 2,345 tasks were not taken, first \[1500\]") as caught:
            queue.submit_many(bodies)
        assert [None if ref is None else ref.id for ref in caught.value.refs] == [
            None if n == 1_500 else f"t{n:04}" for n in range(2_345)
        ]
    store = open_direct(Config(storage="redis", redis_address=server.url, namespace="direct"), SystemClock())
    store.join("node", [builtin.echo.handler.declaration()])
    first = [task.id for n in range(3) if (task := store.claim("node", n + 1, ("echo",)))]
    last = store.get("t2344")
    store.close()
    assert first == ["t0000", "t0001", "t0002"]
    assert last is not None
    assert msgspec.json.decode(last.payload) == 2344


def test_a_batch_that_breaks_off_leaves_no_answer_behind(node: Direct) -> None:
    def broken() -> Iterator[Any]:
        for n in range(250):
            yield draft(f"broken{n}")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        node.submit(broken(), 1_000)
    [answer] = node.submit([draft("next")], 1_000)
    assert (answer.id, answer.error) == ("next", None)


def test_redis_that_must_not_be_used_is_told_in_one_line(server: RedisServer) -> None:
    with taskqueue.connect(server.url, settings={"requireDurability": "fsync"}, default=False) as queue:
        with pytest.raises(ConfigError, match="requireDurability") as caught:
            queue.submit("echo", 1)
        assert isinstance(caught.value, TaskqueueError)
        assert "\n" not in str(caught.value)


def test_a_redis_that_is_away_from_the_start_is_away_and_no_mistake(tmp_path: Path) -> None:
    """No longer than the client's own time; and it is found once it is there."""
    server = RedisServer(tmp_path / "redis")
    with taskqueue.connect(server.url, timeout=0.5, default=False) as queue:
        with pytest.raises(Unavailable, match="cannot be reached") as caught:
            queue.submit("echo", 1, id="mine")
        assert caught.value.task_id == "mine"
        with pytest.raises(PartlyRefused) as partly:
            queue.submit_many([{"payload": 2}], patience=0.2)
        assert [type(error) for _, error in partly.value.failures] == [Unavailable]
        with pytest.raises(Unavailable):
            queue.ref("mine").status()
        try:
            server.start()
            assert queue.submit("echo", 1, id="mine").status() == "pending"
            queue.close()
            server.stop()
            with pytest.raises(Unavailable):  # what nodes declare is known yet, and the store has to be opened anew
                queue.submit("echo", 2)
        finally:
            server.stop()


def test_a_redis_that_does_not_let_in_is_told_at_once(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis", "--requirepass", "sesame")
    server.client.connection_pool.connection_kwargs["password"] = "sesame"
    try:
        server.start()
        for given in ("wrong", None):
            settings = {"redisPassword": given} if given else {}
            with taskqueue.connect(server.url, settings=settings, default=False) as queue:
                with pytest.raises(ConfigError, match="refuses user and password") as caught:
                    queue.submit("echo", 1)
                assert "wrong" not in str(caught.value).replace("wrong username", "")
        with taskqueue.connect(server.url, settings={"redisPassword": "sesame"}, default=False) as queue:
            assert queue.submit("echo", 1).status() == "pending"
    finally:
        server.stop()
