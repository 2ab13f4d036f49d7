"""The disk is full, or fails, under a running node."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, repeat
from pathlib import Path
from typing import Any

import pytest

from actors.node import Node, build
from storage.sqlite import SqliteStore
from taskqueue.core.clock import MILLISECOND
from taskqueue.core.config import MIB, Config
from taskqueue.handlers import task
from tests.clients import REFUSED, Client, Reply, until
from tests.faults import ledger
from tests.processes import Nodes

HERE = str(Path(__file__).parent)
BULKY = "x" * 50_000


def fill(client: Client, numbers: Iterator[int]) -> tuple[list[str], Reply, dict[str, Any]]:
    """Submit until it is refused: what was taken, the refusal, and what was refused."""
    taken: list[str] = []
    for n in numbers:
        body: dict[str, Any] = {"id": f"bulk-{n}", "payload": BULKY, "parameters": {"queue": "shelf"}}
        reply = client.post("/api/tasks", body)
        if reply.status != 201:
            return taken, reply, body
        taken.append(f"bulk-{n}")
        assert n < 10_000
    raise AssertionError


def assert_full(client: Client, reply: Reply, body: dict[str, Any], taken: list[str]) -> None:
    """It is refused as the contract says, and all else goes on."""
    assert reply.status == 503
    assert int(reply.headers["retry-after"]) >= 1
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json["id"] == body["id"]
    assert client.get(f"/api/tasks/{body['id']}").status == 404
    batch = client.post("/api/tasks/batch", {"tasks": [body, {**body, "id": "bulk-other"}]})
    assert batch.status == 207
    assert [(item["status"], item["id"]) for item in batch.json["items"]] == [(503, body["id"]), (503, "bulk-other")]
    nameless = client.post("/api/tasks", {key: value for key, value in body.items() if key != "id"})
    assert nameless.status == 503
    assert client.get(f"/api/tasks/{nameless.json['id']}").status == 404
    assert [one["id"] for one in client.tasks(queue="shelf")] == taken[::-1]
    assert client.get("/healthz").status == 200
    assert client.get("/readyz").status == 503
    assert client.get("/readyz").json["problems"] == ["no room to write: the disk is full"]
    assert client.get("/api/queues").status == 200


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    if mount is None:
        pytest.skip("there is no mount")
    made = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], check=False, capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"needs root to mount a small disk: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def handlers_ended(path: Path) -> set[str]:
    return {mark.task for mark in ledger.read(path) if mark.phase == "end"}


def test_a_full_disk(small_disk: Path, nodes: Nodes, tmp_path: Path) -> None:
    node = nodes(
        env={"LEDGER": str(tmp_path / "ledger")}, appDir=HERE, handlers=["workload"], dataDir=str(small_disk / "data")
    )
    client = node.start()
    gates = [client.submit("load.gate", {"path": str(tmp_path / "open")}) for _ in range(20)]
    for task_id in gates:
        client.reaches(task_id, "processing")
    others = small_disk / "others"
    others.write_bytes(bytes(2 * MIB))
    taken, reply, body = fill(client, count())
    assert len(taken) > 10
    assert_full(client, reply, body, taken)
    with others.open("ab", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        file.writelines(repeat(bytes(4096)))
    (tmp_path / "open").touch()
    until(lambda: handlers_ended(tmp_path / "ledger") == {*gates}, 10, "the handlers end")
    assert client.post("/api/tasks", body).status == 503
    assert client.get(f"/api/tasks/{gates[0]}").status == 200
    assert node.alive
    others.unlink()
    for task_id in gates:
        assert client.finished(task_id)["result"] == "open"
    until(lambda: client.post("/api/tasks", body).status in (200, 201), 15, "there is room again")
    until(lambda: client.get("/readyz").status == 200, 15, "it is ready again")
    assert node.end().code == 0
    client = node.start()
    assert [one["id"] for one in client.tasks(queue="shelf")] == [body["id"], *taken[::-1]]
    assert client.task(body["id"])["payload"] == BULKY
    for task_id in gates:
        assert (client.task(task_id)["status"], client.task(task_id)["attempt"]) == ("completed", 1)
    assert node.end().code == 0


def test_a_start_on_a_full_disk_says_so(small_disk: Path, nodes: Nodes) -> None:
    with (small_disk / "others").open("ab", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        file.writelines(repeat(bytes(4096)))
    node = nodes(dataDir=str(small_disk / "data"))
    node.launch()
    ended = node.ended()
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == f"dataDir {small_disk / 'data'}: cannot be used: the disk is full"


@contextmanager
def running(node: Node) -> Iterator[Node]:
    """The node, run in this process."""
    node.start()
    tending = threading.Thread(target=node.supervisor.tend)
    tending.start()
    try:
        yield node
    finally:
        node.supervisor.ask_stop("the test is over")
        tending.join(10)
        node.stop()


def limit(node: Node, more: int | None) -> None:
    """Let the file grow by so many pages and no more; None: as it likes."""
    store = node._store
    assert isinstance(store, SqliteStore)
    (pages,) = store._writer.execute("PRAGMA page_count").fetchone()
    store._writer.execute(f"PRAGMA max_page_count = {2**30 if more is None else pages + more}").close()


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    opened = threading.Event()

    @task("gate")
    async def gate(note: str) -> str:
        while not opened.is_set():
            await asyncio.sleep(0.02)
        return note

    config = Config(data_dir=str(tmp_path / "data"), api_port=0, poll_interval=100 * MILLISECOND)
    with running(build(config, handlers={"gate": gate.handler})) as node:
        client = Client(node.port)
        ids = [client.submit("gate", {"note": "y" * 2_000}) for _ in range(50)]
        for task_id in ids:
            client.reaches(task_id, "processing")
        limit(node, 10)
        taken, reply, body = fill(client, count())
        assert_full(client, reply, body, taken)
        opened.set()
        until(lambda: client.get("/healthz").status == 200, 5, "it lives")
        limit(node, None)
        for task_id in ids:
            assert client.finished(task_id)["result"] == "y" * 2_000
        assert client.post("/api/tasks", body).status == 201


def test_a_failed_sync_ends_the_node(nodes: Nodes, tmp_path: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("needs strace")
    failing = [strace, "-f", "-qq", "-o", str(tmp_path / "trace"), "-e", "trace=fdatasync"]
    node = nodes(wrapper=[*failing, "-e", "inject=fdatasync:error=EIO:when=60+"])
    client = node.start()
    acknowledged: list[str] = []
    refused: list[str] = []
    for n in range(1_000):
        body = {"id": f"t{n}", "payload": n, "parameters": {"queue": "shelf"}}
        try:
            status = client.post("/api/tasks", body).status
        except REFUSED:
            break
        (acknowledged if status == 201 else refused).append(f"t{n}")
        assert status in (201, 503)
    ended = node.ended()
    assert ended.code == 1
    assert ended.err == ""
    assert len(acknowledged) >= 20
    failures = [line for line in ended.out.splitlines() if '"level": "error"' in line]
    assert len(failures) == 1, failures
    assert '"event": "failed"' in failures[0]
    assert "Traceback" not in ended.out
    assert any("EIO" in line for line in (tmp_path / "trace").read_text().splitlines())

    node.wrapper = ()
    client = node.start()
    there = {one["id"] for one in client.tasks(queue="shelf")}
    assert {*acknowledged} <= there <= {*acknowledged, *refused, f"t{len(acknowledged) + len(refused)}"}
    print(f"{len(acknowledged)} acknowledged, {len(refused)} refused, {len(there)} there")
    for n in (len(acknowledged) - 1, len(acknowledged)):  # a repeat is safe, whatever became of the first
        body = {"id": f"t{n}", "payload": n, "parameters": {"queue": "shelf"}}
        assert client.post("/api/tasks", body).status in (200, 201)
    assert node.end().code == 0
