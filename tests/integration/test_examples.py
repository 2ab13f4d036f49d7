"""The examples do what they say, against a node in a process of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.processes import Nodes

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
DRIVE = EXAMPLES / "stdlib_stats" / "drive.py"


def drive(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(DRIVE), *arguments], capture_output=True, text=True, timeout=250, check=False
    )


def test_every_file_of_the_standard_library_gets_its_figures(nodes: Nodes) -> None:
    node = nodes(appDir=str(EXAMPLES), handlers=["stdlib_stats.handlers"])
    client = node.start()
    done = drive("--url", client.url)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    compared = re.search(r"compared (\d+) files .*: 0 differ", done.stdout)
    assert compared is not None, done.stdout[-2000:]
    assert int(compared[1]) > 1000
    assert client.counts()["completed"] == int(compared[1])
    ended = node.end()
    assert (ended.code, ended.err) == (0, "")


def test_the_driver_notices_a_node_that_computes_something_else(nodes: Nodes, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong_stats.py"
    wrong.write_text(
        "from taskqueue import Discard, task\n"
        "@task('stdlib.stats')\n"
        "def stats(path: str) -> dict:\n"
        "    if path < 'a': raise Discard('no capitals')\n"
        "    return {'path': path, 'lines': 0, 'words': 0, 'sha256': ''}\n"
    )
    node = nodes(appDir=str(tmp_path), handlers=["wrong_stats"])
    client = node.start()
    done = drive("--url", client.url, "--limit", "20")
    assert done.returncode == 1
    assert "compared 20 files" in done.stdout
    assert ": 20 differ" in done.stdout
    assert "dead-lettered, {'type': 'Discard', 'message': 'no capitals'" in done.stdout


def test_the_driver_says_so_where_there_is_no_node() -> None:
    done = drive("--url", "http://127.0.0.1:1")
    assert done.returncode == 1
    assert "http://127.0.0.1:1 cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_standard_librarys_handler_minds_its_own_folder(nodes: Nodes) -> None:
    node = nodes(appDir=str(EXAMPLES), handlers=["stdlib_stats.handlers"])
    client = node.start()
    for path in ("/etc/hostname", "../../../etc/hostname", "no_such_file.py", "."):
        ended = client.finished(client.submit("stdlib.stats", {"path": path}))
        assert ended["status"] == "dead-lettered", ended
        assert ended["error"]["cause"] == "discarded"


def test_hello(nodes: Nodes) -> None:
    node = nodes(appDir=str(EXAMPLES), handlers=["hello.handlers"])
    client = node.start()
    sent, refused = (client.submit("email.send", {"to": to}) for to in ("ada@example.com", "nobody"))
    task = client.finished(sent)
    assert task["status"] == "completed"
    assert task["result"] == {"sent": "ada@example.com", "subject": "hi"}
    assert task["priority"] == 7
    task = client.finished(refused)
    assert task["status"] == "dead-lettered"
    assert task["error"]["message"] == "'nobody' is no address"
    records = [json.loads(line) for line in node.end().out.splitlines()]
    lines = [record for record in records if record["message"] == "sending 'hi'"]
    assert [line["task"] for line in lines] == [sent]
