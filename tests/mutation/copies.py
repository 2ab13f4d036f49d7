"""Deliberate bugs in copies of the code: what a patch is, how a copy is made, and how tests fare in it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.mutation.nursery import Nursery

ROOT = Path(__file__).parents[2]
FOLDERS = ("storage", "taskqueue", "cluster", "actors", "api", "tests/contract", "tests/simulation")


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

    @contextmanager
    def put_into(self, copy: Path) -> Iterator[None]:
        """Patch a copy, and make it whole again at the end."""
        edits = (Edit(self.file, self.old, self.new), *self.also)
        try:
            for edit in edits:
                file = copy / edit.file
                text = file.read_text("utf-8")
                assert text.count(edit.old) == 1, f"{edit.old!r} does not stand in {edit.file} once"
                file.write_text(text.replace(edit.old, edit.new), "utf-8")
            yield
        finally:
            for edit in edits:
                shutil.copy2(ROOT / edit.file, copy / edit.file)


def copied(target: Path) -> Path:
    """A copy of what the bugs are put into and what finds them, of what tests share, and of the project's settings."""
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, target / folder, ignore=shutil.ignore_patterns("*-pytest-*"))
    (target / "tests").mkdir(exist_ok=True)
    for file in (ROOT / "tests").glob("*.py"):
        shutil.copy2(file, target / "tests")
    shutil.copy2(ROOT / "pyproject.toml", target)
    return target


def outcomes(nursery: Nursery, copy: Path, tests: Sequence[str]) -> dict[str, str]:
    """How each of the tests of the conformance suite fared in the copy."""
    # No assertion is rewritten: that would take longer than the tests, and serves only who reads of a failure.
    options = ("-p", "pytest_timeout", "-p", "no:cacheprovider", "--assert=plain", "-rA", "--tb=no")
    said = nursery.run(copy, *options, *(f"tests/contract/{test}" for test in tests))
    print(said)  # for who reads of a failure
    found = re.findall(r"^(PASSED|FAILED) tests/contract/(\S+)", said, re.MULTILINE)
    return {test: outcome for outcome, test in found}


def found(nursery: Nursery, copy: Path, bug: Bug, witness: str) -> None:
    """In the copy with the bug its test has to fail, and the witness to pass: a wrong answer, not a broken copy."""
    with bug.put_into(copy):
        assert outcomes(nursery, copy, [bug.test, witness]) == {bug.test: "FAILED", witness: "PASSED"}


def all_pass(nursery: Nursery, copy: Path, bugs: Sequence[Bug], witness: str) -> None:
    """Without a bug all of their tests have to pass."""
    tests = {witness, *(bug.test for bug in bugs)}
    assert outcomes(nursery, copy, [*tests]) == dict.fromkeys(tests, "PASSED")
