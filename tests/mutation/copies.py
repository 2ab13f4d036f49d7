"""Deliberate bugs in copies of the code: what a patch is, how a copy is made, and how tests fare in it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Edit(NamedTuple):
    """In `file`, `old`, which stands there once, becomes `new`."""

    file: str
    old: str
    new: str


class Bug(NamedTuple):
    """In `file`, `old` becomes `new` (and `also` more); `test` has to fail then."""

    name: str
    file: str
    old: str
    new: str
    test: str
    also: tuple[Edit, ...] = ()

    def put_into(self, copy: Path) -> None:
        """Patch a copy."""
        for edit in (Edit(self.file, self.old, self.new), *self.also):
            file = copy / edit.file
            text = file.read_text("utf-8")
            assert text.count(edit.old) == 1, f"{edit.old!r} does not stand in {edit.file} once"
            file.write_text(text.replace(edit.old, edit.new), "utf-8")


def copied(target: Path, *folders: str) -> Path:
    """A copy of some folders, of what tests share, and of the project's settings."""
    for folder in folders:
        shutil.copytree(ROOT / folder, target / folder)
    (target / "tests").mkdir(exist_ok=True)
    for file in (ROOT / "tests").glob("*.py"):
        shutil.copy2(file, target / "tests")
    shutil.copy2(ROOT / "pyproject.toml", target)
    return target


def outcomes(copy: Path, tests: Sequence[str], *plugins: str) -> dict[str, str]:
    """How each of the tests of the conformance suite fared in the copy."""
    named = [word for plugin in ("pytest_timeout", *plugins) for word in ("-p", plugin)]
    command = [sys.executable, "-m", "pytest", *named, "-p", "no:cacheprovider", "-rA", "--tb=no"]
    paths = [f"tests/contract/{test}" for test in tests]
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    run = subprocess.run([*command, *paths], cwd=copy, env=env, capture_output=True, text=True, timeout=60, check=False)
    found = re.findall(r"^(PASSED|FAILED) tests/contract/(\S+)", run.stdout, re.MULTILINE)
    return {test: outcome for outcome, test in found}
