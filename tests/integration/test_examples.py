"""The examples do what they say, against a node in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.processes import ROOT, node_process

EXAMPLES = ROOT / "examples"
DRIVE = EXAMPLES / "stdlib_stats" / "drive.py"


def drive(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(DRIVE), *arguments], capture_output=True, text=True, timeout=110, check=False
    )


def test_every_file_of_the_standard_library_gets_its_figures(tmp_path: Path) -> None:
    with node_process(tmp_path, "--app-dir", str(EXAMPLES), "--handlers", "stdlib_stats.handlers") as node:
        done = drive("--url", node.url)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        compared = re.search(r"compared (\d+) files .*: 0 differ", done.stdout)
        assert compared is not None, done.stdout[-2000:]
        assert int(compared[1]) > 1000
        assert node.call("GET", "/api/cluster/status")["tasks"]["completed"] == int(compared[1])
        assert node.end() == 0
        assert node.errors == ""


def test_the_driver_notices_a_node_that_computes_something_else(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong_stats.py"
    wrong.write_text(
        "from taskqueue import Discard, task\n"
        "@task('stdlib.stats')\n"
        "def stats(path: str) -> dict:\n"
        "    if path < 'a': raise Discard('no capitals')\n"
        "    return {'path': path, 'lines': 0, 'words': 0, 'sha256': ''}\n"
    )
    with node_process(tmp_path, "--app-dir", str(tmp_path), "--handlers", "wrong_stats") as node:
        done = drive("--url", node.url, "--limit", "20")
        assert done.returncode == 1
        assert "compared 20 files" in done.stdout
        assert ": 20 differ" in done.stdout
        assert "dead-lettered, {'type': 'Discard', 'message': 'no capitals'" in done.stdout


def test_the_driver_says_so_where_there_is_no_node() -> None:
    done = drive("--url", "http://127.0.0.1:1")
    assert done.returncode == 1
    assert "http://127.0.0.1:1 cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_standard_librarys_handler_minds_its_own_folder(tmp_path: Path) -> None:
    with node_process(tmp_path, "--app-dir", str(EXAMPLES), "--handlers", "stdlib_stats.handlers") as node:
        for path in ("/etc/hostname", "../../../etc/hostname", "no_such_file.py", "."):
            task = node.call("POST", "/api/tasks", {"handler": "stdlib.stats", "payload": {"path": path}})
            ended = node.call("GET", f"/api/tasks/{task['id']}?wait=30s")
            assert ended["status"] == "dead-lettered", ended
            assert ended["error"]["cause"] == "discarded"


def test_hello(tmp_path: Path) -> None:
    with node_process(tmp_path, "--app-dir", str(EXAMPLES), "--handlers", "hello.handlers") as node:
        sent, refused = (
            node.call("POST", "/api/tasks", {"handler": "email.send", "payload": {"to": to}})["id"]
            for to in ("ada@example.com", "nobody")
        )
        task = node.call("GET", f"/api/tasks/{sent}?wait=30s")
        assert task["status"] == "completed"
        assert task["result"] == {"sent": "ada@example.com", "subject": "hi"}
        assert task["priority"] == 7
        task = node.call("GET", f"/api/tasks/{refused}?wait=30s")
        assert task["status"] == "dead-lettered"
        assert task["error"]["message"] == "'nobody' is no address"
        assert node.end() == 0  # and its log is read to the end
        lines = [line for line in node.log if line["message"] == "sending 'hi'"]
        assert [line["task"] for line in lines] == [sent]
