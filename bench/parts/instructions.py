"""How many instructions a server takes for something, counted by callgrind: they do not wander as times do."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from parts.servers import Server, server


class Counter:
    """Counts those of a server that runs under callgrind."""

    def __init__(self, pid: int, folder: Path) -> None:
        self._pid = str(pid)
        self._folder = folder
        self._tell("-i", "on")

    def _tell(self, *what: str) -> None:
        subprocess.run(["callgrind_control", *what, self._pid], check=True, capture_output=True)

    def of(self, act: Callable[[], object]) -> int:
        """The instructions while `act` is done."""
        self._tell("-z")
        act()
        self._tell("-d")
        dump = max(self._folder.glob("dump.*"), key=lambda file: file.stat().st_mtime_ns)
        found = re.search(r"^(?:totals|summary): (\d+)", dump.read_text(), re.MULTILINE)
        dump.unlink()
        if found is None:
            raise RuntimeError("callgrind has counted nothing")
        return int(found[1])


@contextmanager
def counted(program: str) -> Iterator[tuple[Server, Counter] | None]:
    """A server under callgrind; None where that is not installed."""
    if shutil.which("callgrind_control") is None:
        yield None
        return
    with TemporaryDirectory() as folder:
        out = f"--callgrind-out-file={folder}/dump"
        wrapper = ("valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", out)
        with server(program, wrapper=wrapper) as running:
            yield running, Counter(running.process.pid, Path(folder))
