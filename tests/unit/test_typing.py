"""What a type checker says of code that submits: the handler's parameters are those of `.remote`, its return type is
the ref's. mypy looks at `typed_use.txt`, where each line that is wrong says so.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SETTINGS = "[mypy]\nstrict = True\nplugins = taskqueue.mypy_plugin\n"


def check(tmp_path: Path, settings: str) -> tuple[list[str], list[str]]:
    """(what was expected of each line, what mypy said of it), line by line."""
    text = (HERE / "typed_use.txt").read_text()
    (tmp_path / "use.py").write_text(text)
    (tmp_path / "mypy.ini").write_text(settings)
    command = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--hide-error-context", "use.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert done.stderr == "", done.stderr
    expected = [f"{n}: {said}" for n, said in _expected(text)]
    seen = []
    for line in done.stdout.splitlines():
        found = re.match(r'use\.py:(\d+): (?:error: .*\[([\w-]+)\]|note: Revealed type is "(.*)")$', line)
        if found:
            seen.append(f"{found[1]}: {found[2] or found[3].replace('builtins.', '').replace('taskqueue.', '')}")
    return expected, seen


def _expected(text: str) -> list[tuple[int, str]]:
    return [(n, line.split("  # ")[1]) for n, line in enumerate(text.splitlines(), 1) if "  # " in line]


def test_types_go_from_end_to_end(tmp_path: Path) -> None:
    expected, seen = check(tmp_path, SETTINGS)
    assert len(expected) > 20
    assert seen == expected


def test_without_the_plugin_only_ctx_is_missing(tmp_path: Path) -> None:
    expected, seen = check(tmp_path, SETTINGS.replace("plugins = taskqueue.mypy_plugin\n", ""))
    more = [line for line in seen if line not in expected]
    lines = (HERE / "typed_use.txt").read_text().splitlines()
    assert more
    assert all("mail." in lines[int(line.partition(":")[0]) - 1] for line in more), more
