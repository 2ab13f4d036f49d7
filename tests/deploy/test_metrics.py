"""Dashboard and alerts look at metrics and labels that nodes have; each alert has its page, and is seen to fire."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from actors.metrics import Metrics
from api.app import ROUTES
from taskqueue.core.config import Config
from tests.clients import Client, until
from tests.deploy.files import DEPLOY, ROOT, documents
from tests.processes import NodeProcess

GIVEN = {"job", "instance", "le"}
"""Labels that Prometheus adds, and that of histograms."""


def dashboard() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((DEPLOY / "grafana" / "taskqueue.json").read_text())
    return read


def rules() -> list[dict[str, Any]]:
    (read,) = documents("prometheus/alerts.yaml")
    return [rule for group in read["groups"] for rule in group["rules"]]


def panels() -> list[tuple[str, str, str]]:
    """Each query of the dashboard: its panel, its expression in plain PromQL, and its legend."""
    found = []
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            expr = target["expr"].replace("$__rate_interval", "1m").replace("$job", "taskqueue")
            found.append((panel["title"], expr, target["legendFormat"]))
    return found


QUERIES = [(title, expr) for title, expr, _ in panels()] + [(rule["alert"], rule["expr"]) for rule in rules()]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Of a node that has done some of everything."""
    node = NodeProcess(tmp_path_factory.mktemp("figures"), {})
    try:
        client = node.start()
        client.finished(client.submit("echo", 1))
        client.finished(client.submit("fail", {"message": "no"}, retries=1))
        client.get("/healthz")
        yield client
    finally:
        node.reap()
        print(node.text())


@pytest.fixture(scope="module")
def shown(client: Client) -> dict[str, list[dict[str, str]]]:
    """What it shows: the label sets of each sample's name."""
    return until(lambda: scrape(client), 20, "the dead letter is counted") or {}


def scrape(client: Client) -> dict[str, list[dict[str, str]]] | None:
    """None until all is counted."""
    found: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(client.get("/metrics").raw.decode()):
        for one in family.samples:
            found.setdefault(one.name, []).append(one.labels)
    return found if "taskqueue_dead_letters_total" in found else None


def declared() -> dict[str, set[str]]:
    """The labels of each metric, by every name that it has in PromQL; also of those that have no sample yet."""
    made = Metrics((), ()).registry._collector_to_names
    return {name: set(one._labelnames) for one, names in made.items() for name in names}  # type: ignore[attr-defined]


def parts(expr: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The selectors of an expression: a metric, and its matchers."""
    for name, braces in re.findall(r"\b(taskqueue_\w+|up)\b(?:\{([^}]*)\})?", expr):
        yield name, dict(re.findall(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"', braces))


def grouped(expr: str) -> set[str]:
    return {label.strip() for inside in re.findall(r"\bby \(([^)]*)\)", expr) for label in inside.split(",")}


@pytest.mark.parametrize(("title", "expr"), QUERIES, ids=[title for title, _ in QUERIES])
def test_a_query_asks_for_what_there_is(title: str, expr: str, shown: dict[str, list[dict[str, str]]]) -> None:
    known = {**declared(), "up": set()}
    asked = list(parts(expr))
    assert asked
    for name, matchers in asked:
        assert name in known, title
        assert matchers.keys() <= known[name] | GIVEN, title
        if name not in ("up", "taskqueue_actor_restarts_total"):  # no actor has died
            assert name in shown
            assert all(labels.keys() - GIVEN == known[name] for labels in shown[name])
    assert grouped(expr) <= set().union(*(known[name] for name, _ in asked)) | GIVEN, title


def test_queries_name_outcomes_states_and_routes_that_there_are(shown: dict[str, list[dict[str, str]]]) -> None:
    routes = {route.path for route in ROUTES}
    states = {one["status"] for one in shown["taskqueue_tasks"]}
    outcomes = {"completed", "failed", "timeout", "released", "snoozed"}
    for title, expr in QUERIES:
        for name, matchers in parts(expr):
            if name == "taskqueue_tasks":
                assert set(matchers["status"].split("|")) <= states, title
            assert set(matchers.get("route", "/healthz").split("|")) <= routes, title
            assert set(matchers.get("outcome", "failed").split("|")) <= outcomes, title
    page = (ROOT / "docs" / "operations.md").read_text()
    assert "attempts that ended here: completed, failed, timeout, released, snoozed" in page


def test_every_name_that_a_node_shows_is_on_the_page(client: Client) -> None:
    page = (ROOT / "docs" / "operations.md").read_text().partition("\n## Metrics\n")[2].partition("\n## ")[0]
    documented = set(re.findall(r"^\| `(taskqueue_\w+)` \|", page, re.MULTILINE))
    assert "a gauge `…_created` instead of `…_total`" in page
    roots = {name.removesuffix("_total") for name in documented}
    text = client.get("/metrics").raw.decode()
    names = set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
    assert "taskqueue_tasks_submitted_total" in names
    assert {name for name in names if name.removesuffix("_created") not in roots | documented} == set()


def test_every_metric_is_on_the_dashboard() -> None:
    used = {name for _, expr, _ in panels() for name, _ in parts(expr)}
    made = {one.name for one in Metrics((), ()).registry.collect()}
    assert made == {re.sub("_(total|bucket|sum|count)$", "", name) for name in used} - {"up"}


def test_the_dashboard_is_laid_out_and_labelled() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["description"]
    assert len({panel["id"] for panel in dashboard()["panels"]}) == len(dashboard()["panels"])
    for title, expr, legend in panels():
        labels = set(re.findall(r"\{\{(\w+)\}\}", legend))
        assert labels <= (grouped(expr) or GIVEN), title


def test_an_alert_speaks_of_labels_that_it_has() -> None:
    for rule in rules():
        said = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
        (first, *_) = [name for name, _ in parts(rule["expr"])]
        bare = declared().get(first, set()) | GIVEN
        assert said <= (grouped(rule["expr"]) or bare), rule["alert"]
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_an_alerts_numbers_are_those_of_the_defaults() -> None:
    (rule,) = [rule for rule in rules() if rule["alert"] == "TaskqueueNearlyFull"]
    assert float(rule["expr"].rpartition(">")[2]) == 0.8 * Config().queue_size


def test_every_alert_has_its_page() -> None:
    page = (ROOT / "docs" / "alerts.md").read_text()
    headings = re.findall(r"^## (Taskqueue\w+)$", page, re.MULTILINE)
    assert headings == [rule["alert"] for rule in rules()]
    for rule in rules():
        assert rule["annotations"]["runbook"] == f"docs/alerts.md#{rule['alert'].lower()}"
        text = page.partition(f"## {rule['alert']}\n")[2].partition("\n## ")[0]
        assert [part for part in ("**Means.**", "**Look.**", "**Do.**") if part not in text] == []
        assert rule["labels"]["severity"] == text.split("*", 2)[1], rule["alert"]


def test_the_commands_of_the_alerts_page_are_answered(client: Client) -> None:
    """Each `tq` and `curl` of the page, sent to a node; the name of a queue or handler may be one that is not there."""
    blocks = re.findall(r"^```bash\n(.*?)^```", (ROOT / "docs" / "alerts.md").read_text(), re.MULTILINE | re.DOTALL)
    assert "tq() {" in blocks[0]
    lines = [line for block in blocks[1:] for line in block.replace("\\\n", "").splitlines()]
    commands = [line for line in lines if line.startswith(("tq ", "curl "))]
    assert len(commands) >= 20
    head = (
        f'set -euo pipefail\nTASKQUEUE_URL=http://127.0.0.1:{client.port}\ntq() {{ curl -sS --fail-with-body "$@"; }}\n'
    )
    script = head + "\n".join(commands)
    ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stdout[-500:] + ended.stderr


def test_prometheus_takes_the_rules_and_sees_each_alert_fire(tmp_path: Path) -> None:
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool is not there (Debian: prometheus)")

    def run(*words: str) -> None:
        ended = subprocess.run([tool, *words], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr

    for name in ("prometheus.yaml", "alerts.yaml"):
        shutil.copy(DEPLOY / "prometheus" / name, tmp_path)
    (tmp_path / "viewer-token").write_text("token")
    run("check", "config", "prometheus.yaml")
    queries = [{"record": "panel", "expr": expr, "labels": {"n": str(n)}} for n, (_, expr, _) in enumerate(panels())]
    (tmp_path / "panels.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": queries}]}))
    run("check", "rules", "panels.yaml")
    run("test", "rules", str(Path(__file__).with_name("alerts.test.yaml")))
