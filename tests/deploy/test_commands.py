"""The commands that stand in the files under `deploy/`, run from the wheel that an image holds."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from storage.store import open_store
from taskqueue.core.clock import SystemClock
from taskqueue.core.config import Config
from tests.deploy.files import DEPLOY, ROOT, documents, image, unit
from tests.deploy.test_files import PASSWORD, POD_IP, compose, environ, kinds, pod
from tests.processes import NodeProcess, Nodes
from tests.redis_server import RedisServer, free_ports

PLACE = "/opt/taskqueue"
"""Where image and unit have the virtual environment."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel, made of what the image's build copies; what it needs is the tests' own."""
    folder = tmp_path_factory.mktemp("image")
    context, place = folder / "context", folder / "venv"
    for name in image().copied:
        source, target = ROOT / name, context / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.parent.mkdir(exist_ok=True)
            shutil.copy(source, target)

    def run(*words: str) -> None:
        subprocess.run([sys.executable, "-m", *words], cwd=context, check=True, capture_output=True, timeout=120)

    run("hatchling", "build", "-t", "wheel", "-d", str(folder))
    (wheel,) = folder.glob("*.whl")
    run("venv", "--without-pip", str(place))
    run("pip", "--python", str(place / "bin/python"), "install", "--no-deps", "--no-index", "--quiet", str(wheel))
    (packages,) = place.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return place


def moved(words: list[str], place: Path) -> list[str]:
    """A command of the files, in this place."""
    assert words[0].startswith(f"{PLACE}/")
    return [words[0].replace(PLACE, str(place)), *words[1:]]


NAMESPACES = ("unshare", *(() if os.geteuid() == 0 else ("--user", "--map-root-user")), "--mount", "--pid", "--fork")
"""Makes a command process 1, with mounts of its own."""

READ_ONLY = """
mount -t proc proc /proc
mount --bind "$HOME" "$HOME"  # a mount of its own, which stays open when the others are closed
for at in / $(awk '$2 != "/" && $3 != "proc" {print $2}' /proc/mounts); do
  [ "$at" = "$HOME" ] || mount -o remount,bind,ro "$at" 2>/dev/null || true
done
for at in / /tmp "$HOME/.."; do
  if touch "$at/written" 2>/dev/null; then echo "$at is open" >&2; exit 99; fi
done
cd "$HOME"
exec "$@"
"""
"""Runs its arguments where nothing but $HOME can be written to."""


def test_the_wheel_is_what_runs(installed: Path) -> None:
    words = [str(installed / "bin/python"), "-c", "import storage.redis, taskqueue; print(taskqueue.__file__)"]
    said = subprocess.run(words, cwd="/", capture_output=True, text=True, check=True, timeout=60).stdout
    assert Path(said.strip()).is_relative_to(installed)


# -- the image ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def container(installed: Path, nodes: Nodes) -> NodeProcess:
    """A node as the image starts it, on loopback, since no token is set; as far as it goes without the engine."""
    (port,) = free_ports(1)
    node = nodes("container")
    node.env = {
        **{name: value for name, value in image().environ.items() if name != "PATH"},
        "HOME": str(node.home),
        "TASKQUEUE_API_HOST": "127.0.0.1",
        "TASKQUEUE_API_PORT": str(port),
        "TASKQUEUE_DATA_DIR": str(node.home / "data"),
    }
    if subprocess.run([*NAMESPACES, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not make namespaces (unshare)")
    node.wrapper = (*NAMESPACES, "sh", "-euc", READ_ONLY, "sh")
    node.launch(command=moved(image().entrypoint, installed), file=False)
    return node


def looked_after(node: NodeProcess, installed: Path) -> int:
    """What the image's health check says."""
    words = moved(image().healthcheck, installed)
    return subprocess.run(words, env=node.env, capture_output=True, timeout=30, check=False).returncode


def test_a_container_works_read_only_and_stops_as_process_1(container: NodeProcess, installed: Path) -> None:
    client = container.ready()
    assert client.finished(client.submit("echo", 5))["result"] == 5
    assert looked_after(container, installed) == 0
    (child,) = Path(f"/proc/{container.pid}/task/{container.pid}/children").read_text().split()
    (numbers,) = re.findall(r"^NSpid:(.*)$", Path(f"/proc/{child}/status").read_text(), re.MULTILINE)
    assert numbers.split()[-1] == "1"
    os.kill(int(child), signal.SIGTERM)
    ended = container.ended()
    assert ended.code == 0
    assert [json.loads(line)["event"] for line in ended.out.splitlines()] == ["ready", "stopping", "stopped"]
    assert [path.name for path in container.home.iterdir()] == ["data"]
    assert looked_after(container, installed) == 1


def test_a_container_without_a_token_does_not_start(installed: Path, tmp_path: Path) -> None:
    env = {**image().environ, "TASKQUEUE_DATA_DIR": str(tmp_path)}
    words = moved(image().entrypoint, installed)
    ended = subprocess.run(words, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "apiTokens" in ended.stderr
    assert list(tmp_path.iterdir()) == []


# -- systemd -----------------------------------------------------------------------------------------------------------


def test_the_units_command(installed: Path, nodes: Nodes) -> None:
    node = nodes()
    words = unit()["ExecStart"].split()
    config = json.loads((DEPLOY / "systemd" / "config.json").read_text())
    state = node.home / "state"
    given = {**config, "apiPort": 0, "dataDir": config["dataDir"].replace("/var/lib/taskqueue", str(state))}
    (node.home / "config.json").write_text(json.dumps(given))
    assert words[-1] == "/etc/taskqueue/config.json"
    words[-1] = str(node.home / "config.json")
    client = node.start(command=moved(words, installed), file=False)
    assert client.get("/readyz").status == 200
    assert (state / "data" / "taskqueue.db").exists()
    assert node.end().code == 0


# -- Kubernetes and compose --------------------------------------------------------------------------------------------


def test_a_pod_answers_to_the_kubelet_to_prometheus_and_to_its_service(nodes: Nodes) -> None:
    (container,) = pod("nodes", "Deployment")["containers"]
    node = nodes(env={"TASKQUEUE_ALLOWED_HOSTS": environ(container)["TASKQUEUE_ALLOWED_HOSTS"]})
    client = node.start()
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        get = container[probe]["httpGet"]
        headers = {one["name"]: one["value"] for one in get["httpHeaders"]}
        assert client.send("GET", get["path"], headers=headers).status == 200
    service = kinds("nodes")["Service"]["metadata"]["name"]
    for host in (f"{POD_IP}:8080", f"{service}:8080", f"{service}.taskqueue.svc.cluster.local:8080"):
        assert client.send("GET", "/metrics", headers={"Host": host}).status == 200
    assert client.send("GET", "/healthz", headers={"Host": "10.9.9.9:8080"}).status == 421


def test_prometheus_asks_the_nodes_of_the_compose_file_by_names_that_they_answer_to() -> None:
    (prometheus,) = documents("prometheus/prometheus.yaml")
    (job,) = prometheus["scrape_configs"]
    asked = {target.partition(":")[0] for one in job["static_configs"] for target in one["targets"]}
    for name in asked:
        assert name in compose()["services"][name]["environment"]["TASKQUEUE_ALLOWED_HOSTS"].split(",")


def test_redis_as_both_start_it_keeps_what_it_acknowledges(tmp_path: Path) -> None:
    words = compose()["services"]["redis"]["command"]
    (container,) = pod("redis", "StatefulSet")["containers"]
    assert [word.replace("$(REDISCLI_AUTH)", PASSWORD) for word in container["args"]] == words
    program, *options = words
    assert program == "redis-server"
    assert options[-2:] == ["--requirepass", PASSWORD]
    server = RedisServer(tmp_path / "redis", *options[:-2]).start()
    try:
        server.client.config_set("requirepass", PASSWORD)
        config = Config(
            storage="redis",
            redis_address=server.url,
            redis_password=PASSWORD,
            require_durability="fsync",
        )
        store = open_store(config, SystemClock())
        assert store.durability == "fsync"
        store.close()
    finally:
        server.stop()
