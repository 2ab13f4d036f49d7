"""Bugs put into the protocol on purpose. Each is a patch of a copy, in which the simulator has to find the law that is
named beside it broken. A patch that does not apply fails too.

That the same seeds find nothing in the code as it is, is tested with the simulator (`tests/simulation/`).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.nursery import UNWRITTEN
from tests.mutation.protocol_bugs import CASES, Case


def simulate(copy: Path, case: Case) -> str:
    """What the simulator says of the copy: it stops at the first seed that fails."""
    command = [sys.executable, "-m", "tests.simulation", "--first", "--seeds", case.seeds]
    command += ["--kind", case.kind] if case.kind else []
    env = {**os.environ, **UNWRITTEN, "PYTHONHASHSEED": "0"}
    run = subprocess.run(command, cwd=copy, env=env, capture_output=True, text=True, timeout=280, check=False)
    assert run.returncode in (0, 1), run.stderr
    return run.stdout


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=case.bug.name, marks=[pytest.mark.slow] if case.slow else []) for case in CASES],
)
def test_the_simulator_finds(copy: Path, case: Case) -> None:
    with case.bug.put_into(copy):
        said = simulate(copy, case)
    broken = re.findall(r"^seed \d+: Broken (\w+)", said, re.MULTILINE)
    assert broken, f"nothing was found: {said}"
    assert broken[0].startswith(case.bug.test), said
