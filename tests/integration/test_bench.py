"""Every benchmark works, in its short form: it ends well, and what it prints is whole and documented. How fast is not
looked at.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"
SCRIPTS = sorted(path.name for path in BENCH.glob("*.py") if path.name != "harness.py")
ON_BOTH = ("drain.py", "batches.py", "latency.py", "single_posts.py", "backlog.py")
"""Those that take a standalone node as it is, and with `--redis` one of a cluster."""
COMMANDS = [*SCRIPTS, *(f"{script} --redis" for script in ON_BOTH), "peers/run.py --only taskqueue"]
"""What is run. Peers are not: they would have to be fetched."""
README = (BENCH / "README.md").read_text()
FACTS = {"bench", "unit", "median", "min", "max", "rounds", "at", "cores", "load", "python", "sqlite", "taskqueue"}
NEEDS = {"single_posts_syncs": "strace", "submit_instructions": "valgrind", "bare_instructions": "valgrind"}
"""Figures that are taken only where a tool is installed."""


def documented(command: str) -> set[str]:
    """The figures of a script or of a way to run it, by the table in the README."""
    script = command.partition(" --only")[0]
    names: set[str] = set()
    current = ""
    table = README.partition("\n## What is measured\n")[2].partition("\n## ")[0]
    for line in re.findall(r"^\| .*", table, re.MULTILINE):
        first, figures, *_ = [cell.strip() for cell in line.split("|")[1:-1]]
        current = first.strip("`") or current
        if current == script:
            names.update(re.findall(r"`(\w+)`", figures))
    return names


def test_there_are_benchmarks() -> None:
    assert {"drain.py", "single_posts.py", "latency.py", "backlog.py", "idle.py", "schedules.py"} <= set(SCRIPTS)
    assert {"store_limit.py", "members.py", "failover.py", "client.py"} <= set(SCRIPTS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_figure_is_documented(script: str) -> None:
    """Where its name stands in the script as it is."""
    named = re.findall(r'report\("(\w+)"', (BENCH / script).read_text())
    assert documented(script) | documented(f"{script} --redis") >= set(named)
    assert documented(script)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_way_to_run_one_is_documented(command: str) -> None:
    assert documented(command)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("command", COMMANDS)
def test_what_it_prints_is_whole(command: str) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("TASKQUEUE_")}
    done = subprocess.run(
        [sys.executable, *command.split(), "--quick"],
        cwd=BENCH,
        env=env,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    figures = [json.loads(line) for line in done.stdout.splitlines()]
    for figure in figures:
        assert set(figure) >= FACTS, figure
        assert figure["rounds"] >= 1
        assert figure["min"] <= figure["median"] <= figure["max"]
        assert figure["max"] > 0 or figure["unit"] == "% of a core", "the clock of CPU time ticks each 10 ms"
        assert figure["unit"]
    missing = documented(command) - {figure["bench"] for figure in figures}
    assert {figure["bench"] for figure in figures} <= documented(command)
    assert missing <= set(NEEDS)
