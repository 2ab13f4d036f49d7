"""A node as it is started by hand: its ready line, its exit codes, what it says of a bad configuration, and that a
project's own folders do not get in its way.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.clients import Client
from tests.processes import COMMAND, Ended, NodeProcess, Nodes

INSTALLED = (str(Path(sys.executable).with_name("taskqueue")),)


def assert_logs(text: str) -> list[dict[str, Any]]:
    """Every line is a log record; the records."""
    records = [json.loads(line) for line in text.splitlines()]
    for record in records:
        assert {"time", "level", "message", "logger", "node"} <= record.keys()
    return records


def assert_refused(ended: Ended, *words: str) -> None:
    """Exit 2 and one line on stderr that says all of this."""
    assert ended.code == 2, ended
    assert len(ended.err.splitlines()) == 1, ended.err
    for word in words:
        assert word in ended.err
    assert "Traceback" not in ended.err + ended.out
    assert_logs(ended.out)


# -- a life ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ready_and_stopped(nodes: Nodes, number: signal.Signals) -> None:
    node = nodes(nodeId="lonely")
    client = node.start()
    ready = node.wait_log("ready", 1)
    assert ready["port"] == client.port > 0
    assert ready["node"] == "lonely"
    assert client.get("/readyz").json == {"ok": True, "problems": []}
    assert client.get("/healthz").status == 200
    assert client.get("/api/cluster/status").json["durability"] == "full"
    ended = node.end(number)
    assert ended.code == 0
    assert ended.err == ""
    assert [record["event"] for record in assert_logs(ended.out)] == ["ready", "stopping", "stopped"]


@pytest.mark.parametrize("command", [COMMAND, INSTALLED])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_while_a_module_of_handlers_is_imported(
    nodes: Nodes, number: signal.Signals, command: tuple[str, ...]
) -> None:
    node = nodes(handlers=["lengthy"])
    text = "import json, time\nprint('{}', flush=True)\ntry:\n    time.sleep(60)\nexcept Exception:\n    pass\n"
    (node.home / "lengthy.py").write_text(text)
    node.launch(command=command)
    node.wait_line("{}", 30)
    ended = node.end(number)
    assert (ended.code, ended.err) == (0, "")
    (record,) = assert_logs("\n".join(ended.out.splitlines()[1:]))
    assert (record["event"], record["message"]) == ("stopped", f"stopped ({number.name}) before it was ready")


def test_the_specifications_curl(nodes: Nodes) -> None:
    """A body without a handler is echoed."""
    client = nodes().start()
    reply = client.post("/api/tasks", {"payload": {"hello": "world"}})
    assert reply.status == 201
    assert reply.headers["location"] == f"/api/tasks/{reply.json['id']}"
    assert client.finished(reply.json["id"])["result"] == {"hello": "world"}


def test_text_logs(nodes: Nodes) -> None:
    node = nodes(logFormat="text")
    node.launch()
    node.wait_line("ready on 127.0.0.1:", 30)
    assert node.end().code == 0


# -- where settings come from ------------------------------------------------------------------------------------------


def settings(node: NodeProcess, *args: str, **options: Any) -> dict[str, Any]:
    """What `--print-config` prints."""
    node.launch("--print-config", *args, **options)
    ended = node.ended()
    assert (ended.code, ended.err) == (0, "")
    printed: dict[str, Any] = json.loads(ended.out)
    return printed


def test_who_prints_the_configuration_to_a_reader_that_leaves_says_nothing(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [*COMMAND, "--print-config"]
    with os.fdopen(writer, "wb") as out:
        done = subprocess.run(command, cwd=tmp_path, stdout=out, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")


def test_flags_go_before_environment_before_file_before_defaults(nodes: Nodes) -> None:
    node = nodes(workerCount=2, queueSize=2, logLevel="error", apiPort=1002)
    node.env = {"TASKQUEUE_WORKER_COUNT": "3", "TASKQUEUE_QUEUE_SIZE": "3", "TASKQUEUE_NOBODY_KNOWS": "1"}
    printed = settings(node, "--workers", "4")
    assert (printed["workerCount"], printed["queueSize"]) == (4, 3)
    assert (printed["logLevel"], printed["retryCount"]) == ("error", 3)
    node.env = {}
    node.config.clear()
    defaults = settings(node, file=False)
    assert (defaults["workerCount"], defaults["apiPort"], defaults["dataDir"]) == (5, 8080, "./data")
    assert defaults["backoff"] == {"base": "1s", "factor": 2, "max": "10m", "jitter": 0.2}


@pytest.mark.parametrize(
    ("command", "flag"), [(COMMAND, "--config"), (COMMAND, "-c"), (COMMAND, "-config"), (INSTALLED, "-config")]
)
def test_the_file_that_is_named(nodes: Nodes, command: tuple[str, ...], flag: str) -> None:
    node = nodes()
    (node.home / "config.json").write_text('{"queueSize": 6}')
    (node.home / "other.json").write_text('{"queueSize": 7}')
    assert settings(node, flag, "other.json", command=command, file=False)["queueSize"] == 7


def test_the_file_that_lies_there(nodes: Nodes) -> None:
    node = nodes()
    (node.home / "config.json").write_text('{"apiPort": 0, "logFormat": "json", "workerCount": 7}')
    client = node.start(file=False)
    (member,) = client.get("/api/cluster/nodes").json["nodes"]
    assert member["workers"] == 7
    assert (node.home / "data" / "taskqueue.db").exists()
    assert node.end().code == 0


def test_what_is_printed_is_a_file(nodes: Nodes) -> None:
    node = nodes(retention={"completed": {"age": "3h"}}, backoff={"max": "90s"})
    printed = settings(node)
    assert printed["retention"]["completed"] == {"age": "3h", "max": 100000}
    node.config = printed
    assert settings(node) == printed


# -- what is refused ---------------------------------------------------------------------------------------------------

BAD: dict[str, tuple[Any, tuple[str, ...]]] = {
    "unknown key": ({"workerCont": 3}, ("workerCont", "workerCount")),
    "wrong type": ({"workerCount": "five"}, ("workerCount",)),
    "bad duration": ({"leaseTtl": "15 parsecs"}, ("leaseTtl",)),
    "unknown part": ({"retention": {"compleated": {}}}, ("retention", "completed")),
    "a store in Redis": ({"storage": "redis"}, ("storage", "clusterEnabled")),
    "a cluster on a file": ({"clusterEnabled": True, "storage": "sqlite"}, ("storage", "clusterEnabled", "redis")),
    "a cluster in memory": ({"clusterEnabled": True, "storage": "memory"}, ("storage", "clusterEnabled", "redis")),
    "a namespace with braces": ({"clusterEnabled": True, "namespace": "{a}"}, ("namespace",)),
    "a token of no role": ({"apiTokens": [{"name": "ci", "token": "s3cret"}]}, ("apiTokens[0].role", "viewer")),
    "no such token's file": (
        {"apiTokens": [{"name": "ci", "tokenFile": "/no/such", "role": "viewer"}]},
        ("apiTokens", "ci", "/no/such"),
    ),
    "no such store": ({"storage": "punchcards"}, ("storage", "punchcards", "sqlite")),
    "open to all": ({"apiHost": "0.0.0.0"}, ("apiHost", "loopback", "apiTokens", "allowUnauthenticated")),
    "no such module": ({"handlers": ["no.such.module"]}, ("handlers", "no module named no, for no.such.module")),
    "module that raises": ({"handlers": ["raising"]}, ("handlers", "raising", "ZeroDivisionError")),
    "module that exits": ({"handlers": ["leaving"]}, ("handlers", "leaving", "SystemExit")),
    "module that is interrupted": ({"handlers": ["broken_off"]}, ("broken_off.py:1", "KeyboardInterrupt")),
    "module that is no Python": ({"handlers": ["broken"]}, ("handlers", "broken.py:1",)),
    "two of one name": ({"handlers": ["twins"]}, ('"twin"', "twins.py")),
    "a handler in a process": ({"handlers": ["apart"]}, ("handlers", "isolation", "not available")),
    "a handler by the clock": ({"handlers": ["clockwork"]}, ("handlers", "clockwork.py", "cron")),
    "no such appDir": ({"appDir": "/no/such/folder"}, ("appDir", "/no/such/folder")),
    "malformed": ("{'workerCount': 5}", ("node.json", "JSON")),
    "no object": ("[]", ("node.json", "object")),
    "given twice": ('{"apiPort": 1, "apiPort": 2}', ("apiPort", "twice")),
    "brackets": ("[" * 100_000, ("node.json", "JSON")),
    "not text": (b"\xff\xfe\x00", ("node.json",)),
}

MODULES = {
    "raising": "1 / 0",
    "leaving": "raise SystemExit('bye')",
    "broken_off": "raise KeyboardInterrupt",
    "broken": "def (:",
    "twins": "from taskqueue import task\n@task('twin')\ndef a(): ...\n@task('twin')\ndef b(): ...",
    "apart": "from taskqueue import task\n@task('x', isolation='process')\ndef a(): ...",
    "clockwork": "from taskqueue import task\n@task('x', cron='99 * * * *')\ndef a(): ...",
}


def test_what_is_set_for_redis_without_a_cluster_is_said_and_has_no_effect(nodes: Nodes) -> None:
    node = nodes(redisAddress="nowhere:1", cleanRedisOnStart=True)
    client = node.start()
    for key in ("redisAddress", "cleanRedisOnStart"):
        assert f"{key} has no effect: clusterEnabled is false" in node.text()
    assert client.get("/api/cluster/status").json["mode"] == "standalone"
    assert node.end().code == 0


@pytest.mark.parametrize("case", BAD)
def test_a_bad_configuration(nodes: Nodes, case: str) -> None:
    config, words = BAD[case]
    node = nodes()
    for name, text in MODULES.items():
        (node.home / f"{name}.py").write_text(text)
    path = node.home / "node.json"
    if isinstance(config, dict):
        path.write_text(json.dumps({"apiPort": 0, "logFormat": "json", "dataDir": str(node.data), **config}))
    else:
        path.write_bytes(config if isinstance(config, bytes) else config.encode())
    node.launch("--config", str(path), file=False)
    ended = node.ended()
    assert_refused(ended, *words)
    assert "s3cret" not in ended.err


@pytest.mark.parametrize(
    ("args", "env", "words"),
    [
        (["--port", "many"], {}, ("--port", "apiPort")),
        (["--prot", "1"], {}, ("--prot",)),
        (["--log-level", "loud"], {}, ("--log-level", "debug, info, warning or error")),
        (["--config", "absent.json"], {}, ("absent.json", "no such file")),
        ([], {"TASKQUEUE_QUEUE_SIZE": "lots"}, ("TASKQUEUE_QUEUE_SIZE", "queueSize")),
        ([], {"TASKQUEUE_STORAGE": "memory", "TASKQUEUE_CLUSTER_ENABLED": "true"}, ("storage", "clusterEnabled")),
    ],
)
def test_bad_flags_and_variables(nodes: Nodes, args: list[str], env: dict[str, str], words: tuple[str, ...]) -> None:
    node = nodes(env=env)
    node.launch(*args, file=False)
    assert_refused(node.ended(), *words)


def test_a_port_in_use(nodes: Nodes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        node = nodes(apiPort=port)
        node.launch()
        assert_refused(node.ended(), "apiPort", str(port), "in use")
    # Nothing is held any more.
    assert node.start().port == port
    assert node.end().code == 0


# -- a project's own folders -------------------------------------------------------------------------------------------

OWN = "raise RuntimeError('imported the project\\'s own folder')"

HANDLERS = """
import json
import os
from taskqueue import task
from helpers import shout

@task("greet")
def greet(name: str) -> str:
    return shout(name)
"""


def project(home: Path, *folders: str) -> None:
    """A project with handlers, and packages that must not be imported in place of ours."""
    for folder in folders:
        for file in ("__init__", "node", "app", "store", "solo", "gateway", "sqlite"):
            (home / folder).mkdir(exist_ok=True)
            (home / folder / f"{file}.py").write_text(OWN)
    (home / "handlers.py").write_text(HANDLERS)
    (home / "helpers.py").write_text("def shout(name): return name.upper() + '!'")


def greeted(node: NodeProcess, client: Client) -> None:
    assert client.finished(client.submit("greet", {"name": "ada"}))["result"] == "ADA!"
    assert node.end().code == 0


def test_the_installed_command_beside_own_folders(nodes: Nodes) -> None:
    node = nodes(handlers=["handlers"])
    project(node.home, "actors", "api", "cluster", "storage")
    greeted(node, node.start(command=INSTALLED))


def test_the_module_beside_own_folders(nodes: Nodes) -> None:
    node = nodes(handlers=["handlers"])
    project(node.home, "api", "cluster", "storage")
    greeted(node, node.start())


def test_app_dir_beside_own_folders(nodes: Nodes, tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    project(tmp_path / "app", "actors", "api", "cluster", "storage")
    node = nodes(handlers=["handlers"], appDir=str(tmp_path / "app"))
    greeted(node, node.start())
