"""The files under `deploy/` say what the code knows: settings, routes, times, users and each other's names."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from actors.node import HARD_END
from api.app import ROUTES
from api.settings import LOOPBACK
from taskqueue.core.clock import SECOND
from taskqueue.core.options import OPTIONS
from tests.deploy.files import DEPLOY, KEYS, ROOT, config_of, documents, image, seconds, unit

PASSWORD = "secret"
TOKEN = {"TASKQUEUE_API_TOKENS": '[{"name": "admin", "tokenFile": "/admin", "role": "admin"}]'}
POD_IP = "10.1.2.3"
OPEN = {route.path for route in ROUTES if route.method == "GET"}


def kinds(name: str) -> dict[str, Any]:
    """The documents of a manifest by their kind."""
    return {one["kind"]: one for one in documents(f"kubernetes/{name}.yaml")}


def environ(container: Mapping[str, Any]) -> dict[str, str]:
    """The variables of a container; secrets and addresses are made up."""
    made = {one["name"]: one.get("value", PASSWORD) for one in container["env"]}
    return {name: value.replace("$(POD_IP)", POD_IP) for name, value in made.items()}


def pod(name: str, kind: str) -> dict[str, Any]:
    spec: dict[str, Any] = kinds(name)[kind]["spec"]["template"]["spec"]
    return spec


def compose() -> dict[str, Any]:
    """The compose file, with its password put in."""
    text = re.sub(r"\$\{REDIS_PASSWORD[^}]*\}", PASSWORD, (DEPLOY / "compose.yaml").read_text())
    read: dict[str, Any] = yaml.safe_load(text)
    return read


# -- the image ---------------------------------------------------------------------------------------------------------


def test_the_image_runs_as_nobody_with_settings_that_exist() -> None:
    user, _, group = image().user.partition(":")
    assert int(user) > 0
    assert int(group) > 0
    assert {name for name in image().environ if name.startswith("TASKQUEUE_")} <= KEYS.keys()
    config = config_of(environ={**image().environ, **TOKEN})
    assert Path(config.data_dir).is_relative_to("/var/lib/taskqueue")
    assert f"install -d -o {user} -g {group} -m 0700 /var/lib/taskqueue" in (DEPLOY / "Dockerfile").read_text()


def test_the_build_sees_all_that_it_copies_and_nothing_else() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    assert sorted(line[1:] for line in lines if line.startswith("!")) == sorted(image().copied)
    assert all((ROOT / name).exists() for name in image().copied)


def test_the_page_says_what_is_not_there_yet() -> None:
    """Once a feature that these files need is there, its name has to go from the page, and the note with the last."""
    said = re.findall(r"^> Not available in this version: (.*?)\.", (ROOT / "docs" / "deploying.md").read_text(), re.M)
    needed = [key for key in ("clusterEnabled", "apiTokens") if OPTIONS[key].field is None]
    assert said == ([", ".join(f"`{key}`" for key in needed)] if needed else [])


# -- systemd -----------------------------------------------------------------------------------------------------------


def test_the_unit_waits_for_the_node_and_keeps_its_directory() -> None:
    config = config_of(DEPLOY / "systemd" / "config.json")
    service = unit()
    assert float(service["TimeoutStopSec"]) > config.shutdown_grace / SECOND + HARD_END
    assert Path(config.data_dir).is_relative_to(f"/var/lib/{service['StateDirectory']}")
    assert (service["Restart"], service["RestartPreventExitStatus"]) == ("on-failure", "2")


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not there (Debian: systemd)")
    program = unit()["ExecStart"].split()[0]
    copy = tmp_path / "taskqueue.service"
    copy.write_text((DEPLOY / "systemd" / "taskqueue.service").read_text().replace(program, "/bin/true"))
    ended = subprocess.run([tool, "verify", str(copy)], capture_output=True, text=True, timeout=60, check=False)
    own = [line for line in ended.stderr.splitlines() if "taskqueue" in line]
    assert (ended.returncode, own) == (0, [])


# -- compose -----------------------------------------------------------------------------------------------------------


def test_three_nodes_of_one_cluster() -> None:
    services = compose()["services"]
    nodes = {name: one for name, one in services.items() if name != "redis"}
    assert len(nodes) == 3
    published = [port for one in nodes.values() for port in one["ports"]]
    assert len(set(published)) == 3
    for name, one in nodes.items():
        config = config_of(environ={**image().environ, **one["environment"]})
        assert one["environment"]["TASKQUEUE_CLUSTER_ENABLED"] == "true"
        assert config.redis_address == "redis:6379"
        assert config.redis_password == services["redis"]["environment"]["REDISCLI_AUTH"] == PASSWORD
        assert config.require_durability == "fsync"
        assert name in config.allowed_hosts
        assert seconds(one["stop_grace_period"]) > config.shutdown_grace / SECOND + HARD_END
        assert (one["read_only"], one["cap_drop"]) == (True, ["ALL"])
        assert all(port.startswith("127.0.0.1:") and port.endswith(f":{config.api_port}") for port in one["ports"])


def test_compose_hands_over_the_token_that_the_nodes_read() -> None:
    made = compose()
    for name in ("node1", "node2", "node3"):
        service = made["services"][name]
        tokens = json.loads(service["environment"]["TASKQUEUE_API_TOKENS"])
        assert [one["tokenFile"] for one in tokens] == [f"/run/secrets/{secret}" for secret in service["secrets"]]
        assert set(service["secrets"]) <= made["secrets"].keys()
        assert (ROOT / service["build"]["dockerfile"]).is_file()  # relative to the context, which is the repository
        assert service["build"]["context"] == ".."
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert all(f"deploy/{Path(one['file']).parent}/" in ignored for one in made["secrets"].values())


# -- Kubernetes --------------------------------------------------------------------------------------------------------


def test_probes_ask_for_routes_that_exist_by_a_name_that_is_answered() -> None:
    (node,) = pod("nodes", "Deployment")["containers"]
    ports = {one["name"]: one["containerPort"] for one in node["ports"]}
    asked = {}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        get = node[probe]["httpGet"]
        asked[probe] = get["path"]
        assert ports[get["port"]] == config_of(environ={**image().environ, **TOKEN}).api_port
        assert next(one["value"] for one in get["httpHeaders"] if one["name"] == "Host") in LOOPBACK
    assert asked == {"startupProbe": "/healthz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"}
    assert set(asked.values()) <= OPEN


def test_a_pod_has_time_to_stop() -> None:
    spec = pod("nodes", "Deployment")
    (node,) = spec["containers"]
    config = config_of(DEPLOY / "kubernetes" / "config.json", {**image().environ, **environ(node)})
    word, wait = node["lifecycle"]["preStop"]["exec"]["command"]
    assert word == "sleep"
    assert spec["terminationGracePeriodSeconds"] > float(wait) + config.shutdown_grace / SECOND + HARD_END


def test_a_pod_is_the_images_nobody_and_finds_its_files() -> None:
    spec = pod("nodes", "Deployment")
    (node,) = spec["containers"]
    security = spec["securityContext"]
    assert f"{security['runAsUser']}:{security['runAsGroup']}" == image().user
    assert security["runAsNonRoot"] is node["securityContext"]["readOnlyRootFilesystem"] is True
    mounts = {one["name"]: Path(one["mountPath"]) for one in node["volumeMounts"]}
    volumes = {one["name"]: one for one in spec["volumes"]}
    assert mounts.keys() == volumes.keys()

    (kustomization,) = documents("kubernetes/kustomization.yaml")
    (generator,) = kustomization["configMapGenerator"]
    assert volumes["config"]["configMap"]["name"] == generator["name"]
    assert node["args"] == ["--config", str(mounts["config"] / generator["files"][0])]
    assert all((DEPLOY / "kubernetes" / name).is_file() for name in [*kustomization["resources"], *generator["files"]])
    given = json.loads((DEPLOY / "kubernetes" / generator["files"][0]).read_text())
    assert given["clusterEnabled"] is True
    assert {str(Path(one["tokenFile"]).parent) for one in given["apiTokens"]} == {str(mounts["tokens"])}


def test_everything_goes_by_the_names_of_the_services() -> None:
    nodes, redis = kinds("nodes"), kinds("redis")
    for workload, service in ((nodes["Deployment"], nodes["Service"]), (redis["StatefulSet"], redis["Service"])):
        labels = workload["spec"]["template"]["metadata"]["labels"]
        assert workload["spec"]["selector"]["matchLabels"] == service["spec"]["selector"] == labels
    assert nodes["PodDisruptionBudget"]["spec"]["selector"] == nodes["Deployment"]["spec"]["selector"]
    (node,) = pod("nodes", "Deployment")["containers"]
    config = config_of(DEPLOY / "kubernetes" / "config.json", {**image().environ, **environ(node)})
    (port,) = redis["Service"]["spec"]["ports"]
    assert config.redis_address == f"{redis['Service']['metadata']['name']}:{port['port']}"
    assert {POD_IP, nodes["Service"]["metadata"]["name"]} <= set(config.allowed_hosts)
