"""The Python client against a node in a process of its own, over REST; blocking and in an event loop."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import taskqueue
from taskqueue import Client, TaskRef, builtin, task
from taskqueue.client import ambient
from taskqueue.errors import (
    AccessDenied,
    BadAnswer,
    BadResult,
    Conflict,
    InvalidInput,
    NotFinished,
    NotFound,
    PartlyRefused,
    QueueFull,
    TaskCancelled,
    TaskFailed,
    TooLarge,
    Unavailable,
)
from tests.clients import Client as Http
from tests.clients import until
from tests.integration import lives
from tests.processes import Nodes, open_gate


@task("echo")
def wrong_echo(payload: Any) -> int:
    """Its annotation does not say what the node's handler returns."""
    raise NotImplementedError


@pytest.fixture
def queue(client: Http, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """The client of the module's node, by which `.remote()` submits."""
    monkeypatch.setattr(ambient._ambient, "default", None)
    with taskqueue.connect(client.url) as made:
        yield made


# -- one ---------------------------------------------------------------------------------------------------------------


def test_a_handler_is_submitted_and_its_result_read(queue: Client, client: Http) -> None:
    ref = lives.typed.remote("ada", count=2)
    assert ref.get(timeout=30) == {"to": "ada", "count": 2}
    assert ref.status() == "completed"
    shown = client.task(ref.id)
    assert (shown["queue"], shown["priority"], shown["retriesLeft"]) == ("posts", 7, 5)


def test_options_reach_the_task(queue: Client, client: Http) -> None:
    ref = lives.typed.options(priority=2, delay="1h", tags=["a", "b"], queue="slow", retries=0).remote("ada")
    shown = client.task(ref.id)
    assert (shown["priority"], shown["tags"], shown["queue"], shown["retriesLeft"]) == (2, ["a", "b"], "slow", 0)
    assert ref.status() == "pending"
    ref.cancel()
    assert ref.status() == "cancelled"
    with pytest.raises(TaskCancelled, match=ref.id):
        ref.get()
    with pytest.raises(Conflict, match="cancelled does not allow cancel"):
        ref.cancel()


def test_a_task_of_the_same_key_is_the_same_task(queue: Client) -> None:
    first, second = (builtin.echo.options(idempotency_key="order-17").remote(1) for _ in range(2))
    assert first == second
    assert len({first, second}) == 1


def test_what_fails_says_why(queue: Client) -> None:
    with pytest.raises(TaskFailed) as caught:
        lives.raises.remote("discard").get(timeout=30)
    assert (caught.value.type, caught.value.message, caught.value.cause) == (
        "Discard",
        "nobody wants it",
        "discarded",
    )


def test_a_result_that_is_not_kept_is_none(queue: Client) -> None:
    assert builtin.echo.options(keep_result=False).remote([1]).get(timeout=30) is None


def test_a_result_of_another_type_than_promised(queue: Client) -> None:
    with pytest.raises(BadResult, match="Expected `int`, got `str`"):
        wrong_echo.remote("text").get(timeout=30)


def test_a_task_is_found_again_by_its_id(queue: Client) -> None:
    task_id = builtin.echo.remote({"n": 1}).id
    assert queue.ref(task_id).get(timeout=30) == {"n": 1}
    assert queue.ref(task_id, dict[str, float]).get(timeout=30) == {"n": 1.0}
    for unknown in ("nobody", "no/body", "batch"):
        with pytest.raises(NotFound, match="no task has the id"):
            queue.ref(unknown).status()


def test_a_time_out_leaves_the_task_alone(queue: Client, tmp_path: Path) -> None:
    ref = lives.gate.remote(str(tmp_path / "open"))
    began = time.monotonic()
    with pytest.raises(NotFinished, match=f"task {ref.id} is"):
        ref.get(timeout=0.3)
    assert time.monotonic() - began < 10
    open_gate(tmp_path, "through")
    assert ref.get(timeout=30) == "through"


def test_what_is_wrong_is_told_with_its_path(queue: Client) -> None:
    with pytest.raises(InvalidInput) as caught:
        queue.submit("typed", {"to": 5, "cuont": 1}, priority="hgih")
    assert [path for path, _ in caught.value.errors] == ["$.parameters.priority"]
    with pytest.raises(InvalidInput) as caught:
        queue.submit("typed", {"to": 5})
    assert caught.value.errors == (("$.payload.to", "expected `str`, got `int`"),)
    with pytest.raises(TooLarge, match="at most"):
        queue.submit("echo", "x" * 200_000)
    with pytest.raises(InvalidInput, match=r"\$\.id"):
        queue.submit("echo", 1, id="no id")
    assert queue.submit("echo", 1, id="mine").id == "mine"
    with pytest.raises(Conflict, match="mine exists already, with another body"):
        queue.submit("echo", 2, id="mine")


# -- some --------------------------------------------------------------------------------------------------------------


def test_get_and_wait_for_several(queue: Client, tmp_path: Path) -> None:
    gates = [tmp_path / name for name in "abc"]
    for gate in gates:
        gate.mkdir()
    refs = [lives.gate.remote(str(gate / "open")) for gate in gates]
    open_gate(gates[1], "b")
    done, rest = taskqueue.wait(refs, timeout=30)
    assert (done, rest) == ([refs[1]], [refs[0], refs[2]])
    done, rest = taskqueue.wait(refs, 2, timeout=0.1)
    assert (done, rest) == ([refs[1]], [refs[0], refs[2]])
    open_gate(gates[0], "a")
    open_gate(gates[2], "c")
    assert taskqueue.get(refs, timeout=30) == ["a", "b", "c"]
    assert taskqueue.wait(refs, 2) == (refs[:2], refs[2:])
    assert taskqueue.wait([], 0) == ([], [])
    with pytest.raises(ValueError, match="num_returns: expected 0 to 3, got 4"):
        taskqueue.wait(refs, 4)
    with pytest.raises(ValueError, match="each task may be there once"):
        taskqueue.wait([refs[0], refs[0]])


def test_the_time_of_get_is_for_all_together(queue: Client, tmp_path: Path) -> None:
    refs = [lives.gate.remote(str(tmp_path / "open")) for _ in range(5)]
    began = time.monotonic()
    with pytest.raises(NotFinished):
        taskqueue.get(refs, timeout=0.2)
    assert time.monotonic() - began < 10
    open_gate(tmp_path, "")
    taskqueue.get(refs, timeout=30)


# -- many --------------------------------------------------------------------------------------------------------------


def test_many_are_submitted_in_their_order_as_they_are_read(queue: Client) -> None:
    read = 0

    def bodies() -> Iterator[dict[str, Any]]:
        nonlocal read
        for n in range(2_500):
            read += 1
            yield {"handler": "echo", "payload": n, "parameters": {"queue": "many"}}

    answers = queue.submit_each(bodies())
    first = next(answers)
    assert isinstance(first, TaskRef)
    assert read == 1_000  # no more than a batch is read ahead
    refs = [first, *answers]
    assert taskqueue.get([refs[0], refs[999], refs[1_000], refs[-1]], timeout=60) == [0, 999, 1_000, 2_499]  # type: ignore[list-item]
    assert len({ref.id for ref in refs if isinstance(ref, TaskRef)}) == 2_500


def test_what_is_wrong_among_many_is_told_one_by_one(queue: Client) -> None:
    bodies: list[Any] = [
        {"handler": "echo", "payload": 0},
        {"handler": "no name", "payload": 1},
        {"payload": object()},
        7,
        {"handler": "typed", "payload": {"to": 5}},
        builtin.echo.body(5),
        {"handler": "echo", "payload": "x" * 200_000},
    ]
    with pytest.raises(PartlyRefused, match=r"^5 of 7 tasks were not taken, first \[1\]: \$\.handler") as caught:
        queue.submit_many(bodies)
    failures = dict(caught.value.failures)
    assert sorted(failures) == [1, 2, 3, 4, 6]
    assert [str(failures[n]).partition(":")[0] for n in (1, 2, 3, 4)] == [
        "$.handler",
        "$.payload",
        "$",
        "$.payload.to",
    ]
    assert isinstance(failures[6], TooLarge)
    assert caught.value.complete
    refs = caught.value.refs
    assert [ref.get(timeout=30) for ref in refs if ref is not None] == [0, 5]
    assert [n for n, ref in enumerate(refs) if ref is None] == [1, 2, 3, 4, 6]


def test_nothing_is_submitted_of_nothing(queue: Client) -> None:
    assert queue.submit_many([]) == []


def test_a_full_queue_makes_its_client_wait(nodes: Nodes) -> None:
    client = nodes(queueSize=40).start()
    with taskqueue.connect(client.url, default=False) as queue:
        client.post("/api/queues/default/pause")
        blocked: list[TaskRef[Any]] = []
        thread = threading.Thread(
            target=lambda: blocked.extend(queue.submit_many(builtin.echo.body(n) for n in range(150)))
        )
        thread.start()
        until(lambda: client.counts()["pending"] == 40, 20, "the queue is full")
        with pytest.raises(QueueFull):
            queue.submit("echo", 1)
        with pytest.raises(PartlyRefused, match="2 of 2 tasks were not taken") as caught:
            queue.submit_many([{"payload": 1}, {"payload": 2}], patience=0.95)  # less than what the node asks to wait
        assert not caught.value.complete
        assert all(isinstance(error, QueueFull) for _, error in caught.value.failures)
        assert not blocked
        client.post("/api/queues/default/resume")
        thread.join(60)
        assert taskqueue.get(blocked, timeout=30) == list(range(150))
    assert sum(client.settled().values()) == 150


def test_a_batch_too_large_for_the_node_is_sent_in_halves(nodes: Nodes) -> None:
    client = nodes(maxPayloadBytes=2_000, maxBatchBytes=5_000).start()
    with taskqueue.connect(client.url, default=False) as queue:
        texts = ["x" * (n * 20) for n in range(60)]
        refs = queue.submit_many({"payload": text} for text in texts)
        assert taskqueue.get(refs, timeout=30) == texts


# -- in an event loop --------------------------------------------------------------------------------------------------


async def _everything(queue: Client, folder: Path) -> None:
    ref = await lives.typed.remote_async("ada")
    assert await ref == {"to": "ada", "count": 1}
    assert await ref.status_async() == "completed"
    gates = [await lives.gate.options(queue="loop").remote_async(str(folder / "open")) for _ in range(3)]
    with pytest.raises(NotFinished):
        await gates[0].get_async(timeout=0.1)
    assert await taskqueue.wait_async([*gates, ref], timeout=10) == ([ref], gates)
    await gates[2].cancel_async()
    with pytest.raises(TaskCancelled):
        await gates[2]
    open_gate(folder, "through")
    assert await taskqueue.get_async(gates[:2], timeout=30) == ["through"] * 2
    assert await taskqueue.get_async(ref) == {"to": "ada", "count": 1}

    async def bodies() -> Any:
        for n in range(1_200):
            yield builtin.echo.body(n)

    refs = await queue.submit_many_async(bodies())
    assert await refs[-1] == 1_199
    assert await (await queue.submit_many_async([{"payload": 1}]))[0] == 1
    seen = [type(one) async for one in queue.submit_each_async([{"payload": 1}, {}])]
    assert seen == [TaskRef, InvalidInput]
    waiting = [asyncio.create_task(_plain(await queue.submit_async("sleep", {"seconds": 0.2}))) for _ in range(20)]
    assert await asyncio.gather(*waiting) == [None] * 20


async def _plain(ref: TaskRef[Any]) -> Any:
    return await ref


def test_all_of_it_in_event_loops_one_after_the_other(queue: Client, tmp_path: Path) -> None:
    before = threading.active_count()
    for name in "ab":
        (tmp_path / name).mkdir()
        asyncio.run(_everything(queue, tmp_path / name))  # a socket left open would be a ResourceWarning, and an error
    assert threading.active_count() == before


def test_a_loop_is_free_while_it_waits(queue: Client, tmp_path: Path) -> None:
    async def main() -> list[str]:
        said: list[str] = []

        async def get() -> None:
            said.append(await (await lives.gate.remote_async(str(tmp_path / "open"))))

        async def other() -> None:
            said.append("meanwhile")
            open_gate(tmp_path, "through")

        await asyncio.gather(get(), other())
        await queue.close_async()
        return said

    assert asyncio.run(main()) == ["meanwhile", "through"]


# -- surroundings ------------------------------------------------------------------------------------------------------


def test_threads_share_a_client(queue: Client) -> None:
    results: list[int] = []
    threads = [threading.Thread(target=lambda n=n: results.extend(_some(queue, n))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(results) == list(range(40))


def _some(queue: Client, n: int) -> list[int]:
    return taskqueue.get([builtin.echo.options(client=queue).remote(n * 5 + k) for k in range(5)], timeout=60)


def _child(queue: Client, pipe: Any) -> None:
    pipe.send(taskqueue.get([queue.submit("echo", n) for n in range(20)], timeout=60))
    pipe.close()
    os._exit(0)  # nothing of pytest's may run here


def test_a_forked_process_has_connections_of_its_own(queue: Client) -> None:
    queue.submit("echo", 0)  # so that there is a connection to inherit
    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe()
    child = fork.Process(target=_child, args=(queue, there))
    child.start()
    mine = taskqueue.get([queue.submit("echo", -n) for n in range(20)], timeout=60)
    assert here.poll(60)
    assert here.recv() == list(range(20))
    child.join(30)
    assert mine == [-n for n in range(20)]


def test_a_client_that_was_closed_opens_anew(queue: Client) -> None:
    queue.close()
    queue.close()
    assert queue.submit("echo", 1).get(timeout=30) == 1


def test_a_node_that_is_not_there() -> None:
    began = time.monotonic()
    with taskqueue.connect("http://127.0.0.1:1", timeout=0.5, default=False) as queue:
        with pytest.raises(Unavailable, match=r"http://127\.0\.0\.1:1 does not answer") as caught:
            queue.submit("echo", 1, id="mine")
        assert caught.value.task_id == "mine"
        with pytest.raises(PartlyRefused) as partly:
            queue.submit_many([{"payload": 1, "id": "mine"}], patience=0.2)
        [(place, error)] = partly.value.failures
        assert place == 0
        assert isinstance(error, Unavailable)
        assert error.task_id == "mine"
        answers = queue.submit_each([{"payload": 1}], patience=0.2)
        assert isinstance(next(answers), Unavailable)
        with pytest.raises(Unavailable):
            next(answers)
    assert time.monotonic() - began < 20


class _Stranger(BaseHTTPRequestHandler):
    """Another service: it answers by path, and notes what it was told."""

    told: list[str] = []  # noqa: RUF012 - one for the class is what is wanted

    def do_POST(self) -> None:
        self.told.append(self.headers.get("Authorization", ""))
        self.rfile.read(int(self.headers["Content-Length"]))
        denied = self.headers.get("Authorization") == "Bearer wrong"
        body = b'{"title": "Unauthorized", "status": 401, "detail": "no such token"}' if denied else b"<html>hi</html>"
        self.send_response(401 if denied else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def stranger() -> Iterator[Callable[..., Client]]:
    server = HTTPServer(("127.0.0.1", 0), _Stranger)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    _Stranger.told.clear()
    yield lambda **options: taskqueue.connect(f"http://127.0.0.1:{server.server_port}", default=False, **options)
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_is_no_node_is_told_apart(stranger: Callable[..., Client]) -> None:
    with stranger() as queue, pytest.raises(BadAnswer, match="HTTP 200, and it is no answer of a node: '<html>hi"):
        queue.submit("echo", 1)


def test_a_token_is_sent_and_a_wrong_one_told(
    stranger: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    with stranger(token="wrong") as queue, pytest.raises(AccessDenied, match="no such token"):
        queue.submit("echo", 1)
    monkeypatch.setenv("TASKQUEUE_TOKEN", "wrong")
    with stranger() as queue, pytest.raises(AccessDenied):
        queue.submit("echo", 1)
    assert _Stranger.told == ["Bearer wrong"] * 2


@pytest.mark.parametrize(("token", "kind"), [("wrong", AccessDenied), ("other", BadAnswer)])
def test_many_are_given_up_where_it_is_no_use(
    stranger: Callable[..., Client], token: str, kind: type[Exception]
) -> None:
    read: list[int] = []
    with stranger(token=token) as queue:
        with pytest.raises(PartlyRefused, match=r"1,000 of 1,000 .*; the rest was not read") as caught:
            queue.submit_many({"payload": read.append(n)} for n in range(5_000))
        assert {type(error) for _, error in caught.value.failures} == {kind}
        assert len(read) == 1_000
