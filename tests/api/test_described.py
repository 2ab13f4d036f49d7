"""A live node against its own description: schemathesis, with every check it has and on every operation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from api.routes import ROUTES
from taskqueue.core.access import Role, Token, digest_of
from taskqueue.core.clock import HOUR
from taskqueue.core.config import Backoff
from tests.running import Running

HERE = Path(__file__).parent
TOKEN = "a-token-for-the-fuzzer"
EXAMPLES = 6
WITHIN = 280
"""Seconds; alone on a machine it takes a twelfth of that."""


def test_a_node_does_what_it_says(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    boss = Token(name="boss", role=Role.ADMIN, digest=digest_of(TOKEN))
    with Running(tmp_path / "node", api_tokens=(boss,), backoff=Backoff(base=HOUR, max=HOUR)) as node:
        counts = tmp_path / "counts"
        environ = {
            **os.environ,
            "SCHEMATHESIS_HOOKS": "tests.api.fuzzing",
            "FUZZING_TOKEN": TOKEN,
            "FUZZING_URL": node.client.url,
            "FUZZING_NODE": "node",
            "FUZZING_COUNTS": str(counts),
            "PYTHONPATH": str(HERE.parents[1]),
        }
        command = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"]
        text = node.client.send("GET", "/openapi.json", headers={"Authorization": f"Bearer {TOKEN}"}).raw
        (tmp_path / "openapi.json").write_bytes(text)  # from its URL, the operation that serves it would be left out
        options = ["--config-file", str(HERE / "schemathesis.toml"), "run", "openapi.json", "--url", node.client.url]
        checks = ["--checks", "all", "--continue-on-failure", "--max-examples", str(EXAMPLES), "--seed", "1"]
        token = ["--header", f"Authorization: Bearer {TOKEN}"]
        ran = subprocess.run(
            [*command, *options, *checks, *token, "--no-color"],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            timeout=WITHIN,
            check=False,
        )
        print(ran.stdout, ran.stderr)
    seen: dict[str, Counter[int]] = defaultdict(Counter)
    for line in counts.read_text().splitlines():
        label, method, status = json.loads(line)
        if label.startswith(f"{method} "):  # methods that a path does not take are tried, too
            seen[label][status] += 1
    # What a test prints is shown only if it fails; tests/conftest.py says this at the end of the run.
    request.node.user_properties.append(("API", {label: dict(found) for label, found in sorted(seen.items())}))
    assert ran.returncode == 0, ran.stdout[-20_000:]
    assert set(seen) == {f"{route.method} {route.template}" for route in ROUTES}
    for route in ROUTES:
        found = seen[f"{route.method} {route.template}"]
        assert any(status < 400 for status in found), f"{route.template} never took anything"
        assert route.role is None or any(400 <= status < 500 for status in found), f"{route.template} refused nothing"


TRIED = """
def test_tried(request):
    request.node.user_properties.append(("API", {"GET /a": {200: 2, 201: 1, 404: 5}, "GET /b": {200: 1}}))

def test_another():
    pass
"""


def test_the_end_of_a_run_says_how_each_operation_was_tried(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TRIED)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "1", "-p", "tests.conftest", "-p", "no:schemathesis"]
    environ = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}

    def said(*options: str) -> str:
        return subprocess.run(
            [*command, *options], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=True
        ).stdout

    assert "\nAPI: 2 operations, 4 answers 2xx, 5 answers 4xx; of each 2xx/4xx:\nGET /a 3/5, GET /b 1/0\n" in said()
    assert "API" not in said("-k", "another")
