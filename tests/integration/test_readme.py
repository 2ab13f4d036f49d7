"""What the README tells people to type does what the README says, against nodes in processes of their own.

Not run here: what makes the virtual environment (`python3 -m venv`, `pip install`), since the tests run in one.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.clients import until
from tests.processes import NodeProcess
from tests.redis_server import free_ports

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
BIN = Path(sys.executable).parent

# Prints, after each answer, its status in a line of its own.
CURL = "curl() { command curl -sS -w '\\n%{http_code}\\n' \"$@\"; }\n"


def blocks(language: str, holding: str = "") -> list[str]:
    return [text for name, text in BLOCKS if name == language and holding in text]


def lines(holding: str) -> list[list[str]]:
    """The shell lines that hold a text, as words; the virtual environment's programs are those of this one."""
    found = [line.partition("  #")[0] for text in blocks("bash") for line in text.splitlines() if holding in line]
    return [shlex.split(line.replace(".venv/bin/", f"{BIN}/")) for line in found]


def fits(expected: Any, seen: Any) -> bool:
    """Is what the README shows a part of what was seen? `…` stands for any text."""
    if isinstance(expected, dict):
        return isinstance(seen, dict) and all(key in seen and fits(expected[key], seen[key]) for key in expected)
    if isinstance(expected, list):
        return isinstance(seen, list) and len(seen) == len(expected) and all(map(fits, expected, seen))
    return bool(expected == seen or (expected == "…" and isinstance(seen, str) and seen))


def run(words: Sequence[str], cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    # A make that runs these tests is none of the business of a make that they run.
    ours = ("MAKE", "MFLAGS", "ARGS", "TASKQUEUE_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder: the README's handlers and its configuration."""
    (example,) = blocks("python")
    (config,) = blocks("json", '"workerCount"')
    home = tmp_path / "home"
    home.mkdir()
    (home / "tasks.py").write_text(example)
    (home / "config.json").write_text(config)
    return home


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    made = NodeProcess(tmp_path / "node", {"shutdownGrace": "25s"})
    yield made
    made.reap()


def test_every_start_is_taken(folder: Path) -> None:
    starts = [*lines("python -m actors.node"), *lines("/taskqueue ")]
    assert len(starts) >= 3
    for words in starts:
        done = run([*words, "--print-config"], folder)
        assert (done.returncode, done.stderr) == (0, ""), words
        printed = json.loads(done.stdout)
    assert "--config" in words
    assert fits(json.loads((folder / "config.json").read_text()), printed)


def calls() -> Iterator[tuple[str, dict[str, Any]]]:
    """The scripts that call the API, each with what the README shows of its last answer."""
    for (language, text), (next_language, following) in zip(BLOCKS, [*BLOCKS[1:], ("", "")], strict=True):
        if language == "bash" and "curl " in text:
            yield text, json.loads(following) if next_language == "json" and '"workerCount"' not in following else {}


def test_the_first_tasks(folder: Path, node: NodeProcess) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    (words,) = lines("--handlers tasks")
    client = node.start(*words[words.index("--handlers") :], cwd=folder)
    last, answers = "", 0
    for text, shown in calls():
        script = text.replace("localhost:8080", f"localhost:{client.port}").replace("{task-id}", last)
        done = run(["bash", "-ec", CURL + script])
        said = f"{script}\n{done.stdout}{done.stderr}"
        assert done.returncode == 0, said
        bodies = [json.loads(body) for body in done.stdout.splitlines()[::2]]
        statuses = done.stdout.splitlines()[1::2]
        assert len(statuses) == script.count("curl "), said
        assert fits(shown, bodies[-1]), f"{said}\nbut it shows {shown}"
        refused = shown.get("status") if isinstance(shown.get("status"), int) else None
        assert [status for status in statuses if status[0] != "2"] == ([str(refused)] if refused else []), said
        last = bodies[-1].get("id", last)
        answers += len(bodies)
    assert answers >= 15
    assert client.finished("mail-2")["generation"] == 2, "it was replayed"
    assert node.end().code == 0


def test_the_same_by_command_line(folder: Path, node: NodeProcess) -> None:
    (words,) = lines("--handlers tasks")
    client = node.start(*words[words.index("--handlers") :], cwd=folder)
    (script,) = blocks("bash", "taskqueue submit")
    there = f"export PATH={shlex.quote(str(BIN))}:$PATH TASKQUEUE_URL={client.url}\n"
    done = run(["bash", "-euc", there + script])
    assert done.returncode == 0, done
    assert '"sent": "ada@example.com"' in done.stdout
    assert "default is on" in done.stdout


def test_the_two_commands(node: NodeProcess) -> None:
    """`make run` starts a node that serves the examples; its driver, as the README calls it, is content with it."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    plans = {}
    for words in lines("make "):
        plan = run([words[0], "-n", *words[1:]])
        assert plan.returncode == 0, plan.stderr
        plans[words[1]] = plan.stdout.splitlines()
    assert [*plans] == ["run", "test"]
    start = plans["run"][-1]
    assert start.startswith(".venv/bin/python -m actors.node"), start
    words = shlex.split(start)
    client = node.start(*words[words.index("actors.node") + 1 :], cwd=ROOT)
    (drive,) = lines("drive.py")
    done = run([*drive, "--url", f"http://127.0.0.1:{client.port}"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "compared 50 files" in done.stdout


@pytest.mark.timeout(180)
def test_the_cluster(tmp_path: Path) -> None:
    """What `make cluster` runs, and the lines for a look at it: the leader is killed, and another follows."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    plan = run(["make", "-n", "cluster"])
    assert plan.returncode == 0, plan.stderr
    assert plan.stdout.splitlines()[-1].split() == [".venv/bin/python", "examples/cluster/run.py"]
    ports = free_ports(3)
    script = blocks("sh", "kill -9")[0]
    for n, port in enumerate(ports, 1):
        script = script.replace(f"808{n}", str(port))
    looks = script.replace("sleep 8\n", "").splitlines()
    last = looks.pop()
    starts = [sys.executable, "-u", str(ROOT / "examples" / "cluster" / "run.py")]
    cluster = subprocess.Popen(
        [*starts, "--folder", str(tmp_path / "c"), "--ports", ",".join(map(str, ports))],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert cluster.stdout is not None
    try:
        for line in cluster.stdout:
            if "Ctrl-C stops it all" in line:
                break
        done = run(["bash", "-ec", "\n".join(looks)])
        assert done.returncode == 0, done.stdout + done.stderr
        decoder = json.JSONDecoder()
        status, end = decoder.raw_decode(done.stdout)
        assert (status["mode"], status["nodes"]["alive"], status["term"]) == ("cluster", 3, 1)
        nodes, _ = decoder.raw_decode(done.stdout[end:].lstrip())
        assert len(nodes["nodes"]) == 3
        assert '"id":"after-all"' in done.stdout

        def followed() -> bool:
            seen = run(["bash", "-c", last]).stdout
            now = json.loads(seen) if seen else {}
            return bool(now.get("term", 0) >= 2 and now["leader"] not in (None, status["leader"]))

        until(followed, 60, "another node leads")
    finally:
        cluster.terminate()
        assert cluster.wait(60) == 0
        cluster.stdout.close()
