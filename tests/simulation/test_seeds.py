"""Many lives of many nodes: whatever befalls them, no law is broken. A seed that fails is run again as its output says.

The seeds run in a process of their own, whose hashes of texts are fixed: so a seed is the same story everywhere.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KEPT = Path(__file__).with_name("seeds")
QUICK, CHUNK = 2_000, 200
MANY, LONG = 100_000, 1_000

ENOUGH = {"claims": 10_000, "nodes declared dead": 20, "terms": 1_000, "outcomes refused": 6, "submits repeated": 40}
"""In two hundred seeds; less proves nothing."""


def simulate(*words: str) -> str:
    """What the simulator says; it has to find nothing."""
    command = [sys.executable, "-m", "tests.simulation", "--story", *words]
    env = {**os.environ, "PYTHONHASHSEED": "0"}
    run = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=1_500, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.mark.timeout(600)  # beside other load
@pytest.mark.parametrize("first", range(0, QUICK, CHUNK))
def test_no_law_is_broken(first: int) -> None:
    said = simulate("--seeds", f"{first}:{first + CHUNK}")
    met = {what: int(count) for count, what in re.findall(r"(\d+) ([a-z' ]+)", said)}
    assert {what: met[what] for what, least in ENOUGH.items() if met[what] < least} == {}


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("first", range(QUICK, MANY, LONG))
def test_no_law_is_broken_in_many_more(first: int) -> None:
    simulate("--seeds", f"{first}:{first + LONG}")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", sorted(KEPT.glob("*.txt")), ids=lambda path: path.stem)
def test_seeds_that_once_broke_a_law(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    assert lines, f"{path.name} keeps no seed"
    for line in lines:
        seeds, _, kind = line.partition(" ")
        simulate("--seeds", seeds, *(["--kind", kind] if kind else []))
