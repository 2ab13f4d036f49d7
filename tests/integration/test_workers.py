"""The examples of workers outside Python's own, each against a node in a process of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients import Client, until
from tests.processes import NodeProcess, Nodes

WORKERS = Path(__file__).resolve().parents[2] / "examples" / "workers"
PYTHON = (sys.executable, str(WORKERS / "worker.py"), "--lease", "2")
BASH = ("bash", str(WORKERS / "worker.sh"))
WITHIN = 30.0

Workers = Callable[..., "Worker"]

needs_tools = pytest.mark.skipif(
    shutil.which("curl") is None or shutil.which("jq") is None, reason="curl or jq is not installed"
)


class Worker:
    """A worker's process; what it says stands in a file."""

    def __init__(self, folder: Path, url: str, command: tuple[str, ...]) -> None:
        self._out = folder / "worker.out"
        with self._out.open("w") as out:
            self.process = subprocess.Popen(
                command,
                env={**os.environ, "TASKQUEUE_URL": url, "LEASE": "2"},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        """All that it has said."""
        return self._out.read_text()

    def says(self, words: str) -> None:
        """Wait until it has said this."""
        until(lambda: words in self.said, WITHIN, f"the worker says {words!r}; it said {self.said!r}")

    def end(self) -> int:
        """SIGTERM; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WITHIN)

    def kill(self) -> None:
        """All of it, at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(WITHIN)


@pytest.fixture
def node(nodes: Nodes) -> NodeProcess:
    return nodes(pollInterval="20s", backoff={"base": "100ms", "factor": 1, "max": "100ms", "jitter": 0})


@pytest.fixture
def client(node: NodeProcess) -> Client:
    return node.start()


@pytest.fixture
def workers(client: Client, tmp_path: Path) -> Iterator[Workers]:
    """Makes workers of this node, and sees that none is left."""
    made: list[Worker] = []

    def make(*command: str) -> Worker:
        made.append(Worker(tmp_path, client.url, command))
        made[-1].says("ready")
        return made[-1]

    yield make
    for worker in made:
        if worker.process.poll() is None:
            worker.kill()
        print(worker.said)


def is_released(client: Client, name: str) -> None:
    """It waits, and nothing was charged for the run that was given up."""
    task = client.reaches(name, "pending", WITHIN)
    assert (task["attempt"], task["crashes"], task["history"][-1]["outcome"]) == (0, 0, "released")


# -- Python ------------------------------------------------------------------------------------------------------------


def test_the_python_worker_completes_and_fails(client: Client, workers: Workers) -> None:
    worker = workers(*PYTHON)
    good, bad = client.submit("text.count", {"text": "one two"}), client.submit("text.count", {}, retries=1)
    assert client.finished(good)["result"] == {"characters": 7, "words": 2}
    task = client.finished(bad)
    assert (task["status"], task["attempt"]) == ("dead-lettered", 2)
    assert task["error"] == {"type": "KeyError", "message": "'text'", "cause": "error"}
    assert worker.end() == 0
    assert worker.said.endswith("stopped\n")


def test_the_python_worker_renews_for_longer_than_its_lease(client: Client, workers: Workers) -> None:
    workers(*PYTHON)
    task = client.finished(client.submit("wait", {"seconds": 4}))
    assert (task["result"], task["crashes"]) == ({"waited": True}, 0)


def test_the_python_worker_gives_up_what_is_cancelled_and_back_what_it_has_at_its_end(
    client: Client, workers: Workers
) -> None:
    worker = workers(*PYTHON)
    first, second = client.submit("wait", {"seconds": 60}), client.submit("wait", {"seconds": 60})
    client.reaches(first, "processing", WITHIN)
    assert client.post(f"/api/tasks/{first}/cancel").status == 200
    worker.says(f"{first}: not wanted any more (409)")
    client.reaches(second, "processing", WITHIN)
    assert worker.end() == 0
    is_released(client, second)


def test_a_worker_that_is_killed_loses_its_task_to_another(client: Client, workers: Workers) -> None:
    name = client.submit("wait", {"seconds": 3})
    worker = workers(*PYTHON)
    client.reaches(name, "processing", WITHIN)
    worker.kill()
    workers(*PYTHON)
    task = client.finished(name)
    assert (task["status"], task["crashes"], task["attempt"]) == ("completed", 1, 2)


def test_the_python_worker_outlives_its_node(node: NodeProcess, client: Client, workers: Workers) -> None:
    worker = workers(*PYTHON)
    node.config["apiPort"] = client.port
    assert node.end().code == 0
    worker.says("trying again")
    again = node.start()
    assert again.finished(again.submit("text.count", {"text": "a"}))["result"]["words"] == 1


# -- bash --------------------------------------------------------------------------------------------------------------


@needs_tools
def test_the_bash_worker_completes_and_fails(client: Client, workers: Workers) -> None:
    worker = workers(*BASH, "sums", "jq", "-e", ".a + .b")
    good, bad = client.submit("sums", {"a": 2, "b": 3}), client.submit("sums", {"a": 1, "b": {}}, retries=1)
    assert client.finished(good)["result"] == 5
    task = client.finished(bad)
    assert (task["status"], task["attempt"], task["error"]["type"]) == ("dead-lettered", 2, "exit 5")
    assert "cannot be added" in task["error"]["message"]
    assert worker.end() == 0
    assert worker.said.endswith("stopped\n")


@needs_tools
def test_what_is_no_json_is_a_text(client: Client, workers: Workers) -> None:
    workers(*BASH, "shout", "tr", "a-z", "A-Z")
    assert client.finished(client.submit("shout", "x"))["result"] == "X"
    assert client.finished(client.submit("shout", {"k": [1]}))["result"] == {"K": [1]}
    assert client.finished(client.submit("shout", True))["result"] == "TRUE\n"


@needs_tools
def test_the_bash_worker_gives_up_what_is_cancelled_and_back_what_it_has_at_its_end(
    client: Client, workers: Workers
) -> None:
    worker = workers(*BASH, "nap", "sleep", "60")
    first, second = client.submit("nap"), client.submit("nap")
    client.reaches(first, "processing", WITHIN)
    assert client.post(f"/api/tasks/{first}/cancel").status == 200
    worker.says(f"{first}: not wanted any more (409)")
    client.reaches(second, "processing", WITHIN)
    assert worker.end() == 0
    assert "given back (200)" in worker.said
    is_released(client, second)


@needs_tools
def test_the_bash_worker_says_how_it_is_used() -> None:
    ran = subprocess.run(BASH, capture_output=True, text=True, timeout=WITHIN, check=False)
    assert ran.returncode == 2
    assert "HANDLER COMMAND" in ran.stderr
