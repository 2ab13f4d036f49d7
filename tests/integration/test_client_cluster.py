"""The Python client straight on the Redis of nodes in processes of their own: they run what it submits, and it hears of
it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import taskqueue
from taskqueue import builtin
from taskqueue.errors import TaskCancelled, TaskFailed
from tests.clients import until
from tests.integration import lives
from tests.processes import open_gate
from tests.shared import WITHIN, Cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("c"), pollInterval="30s")
    try:
        cluster.start("a", "b")
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def queue(cluster: Cluster) -> Iterator[taskqueue.Client]:
    with taskqueue.connect(cluster.server.url, default=False) as made:
        yield made


def test_nodes_run_at_once_what_is_written_to_their_redis(cluster: Cluster, queue: taskqueue.Client) -> None:
    """Without a hint an idle node would look after 30 s."""
    refs = queue.submit_many(builtin.echo.body(n) for n in range(1_500))
    assert taskqueue.get(refs, timeout=25) == list(range(1_500))
    seen = {client.task(refs[0].id)["status"] for client in cluster.clients.values()}
    assert seen == {"completed"}


def test_what_its_handler_declares_holds(cluster: Cluster, queue: taskqueue.Client) -> None:
    ref = queue.submit("flaky", {"failures": 1})
    assert ref.get(timeout=WITHIN) == 2
    shown = cluster.clients["a"].task(ref.id)
    over_rest = cluster.clients["a"].task(cluster.clients["a"].submit("flaky", {"failures": 0}))
    assert shown["parameters"] == over_rest["parameters"]
    with pytest.raises(TaskFailed, match="InvalidPayload"):
        queue.submit("flaky", {"failures": "many"}).get(timeout=WITHIN)


def test_a_running_task_hears_that_it_is_cancelled(
    cluster: Cluster, queue: taskqueue.Client, tmp_path: Path
) -> None:
    said = tmp_path / "said"
    ref = lives.told.options(client=queue).remote(str(said))
    until(said.exists, WITHIN, "it runs")
    assert ref.status() == "processing"
    ref.cancel()
    with pytest.raises(TaskCancelled):
        ref.get(timeout=WITHIN)
    until(lambda: "told" in said.read_text(), WITHIN, "it was told")


def test_who_waits_hears_of_the_end(cluster: Cluster, queue: taskqueue.Client, tmp_path: Path) -> None:
    refs = [lives.gate.options(client=queue).remote(str(tmp_path / name / "open")) for name in "ab"]
    for name in "ab":
        (tmp_path / name).mkdir()
    open_gate(tmp_path / "b", "through")
    assert taskqueue.wait(refs, timeout=WITHIN) == ([refs[1]], [refs[0]])
    open_gate(tmp_path / "a", "through, too")
    assert taskqueue.get(refs, timeout=WITHIN) == ["through, too", "through"]
