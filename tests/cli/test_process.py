"""The installed command in a process of its own: exit codes, pipes, terminals, Ctrl-C."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import pytest

from tests.clients import Client, until

COMMAND = str(Path(sys.executable).parent / "taskqueue")
WITHIN = 30.0


def environment(node: Client, **more: str) -> dict[str, str]:
    """A shell's, without settings of the test's own surroundings."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TASKQUEUE_", "_TASKQUEUE_"))}
    return {**clean, "TASKQUEUE_URL": node.url, "TERM": "xterm", "COLUMNS": "120", **more}


def run(node: Client, *args: str, **options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *args], env=environment(node, **options), capture_output=True, text=True, timeout=WITHIN, check=False
    )


def test_exit_codes(node: Client) -> None:
    for args, code in ((["status"], 0), (["show", "nobody"], 1), (["list", "--limit", "x"], 2), (["nonsense"], 2)):
        done = run(node, *args)
        assert (done.returncode, "Traceback" in done.stderr) == (code, False), done
    for args in (["list"], ["-config", "/no/such/file"], ["node", "--port", "x"]):
        gone = run(node, *args, TASKQUEUE_URL="http://127.0.0.1:1")
        assert gone.returncode == 2, gone
        assert len(gone.stderr.splitlines()) in (1, 2)


def test_help_says_what_there_is_and_loads_nothing_for_it(node: Client) -> None:
    began = time.perf_counter()
    done = run(node, "--help")
    print(f"taskqueue --help took {time.perf_counter() - began:.3f} s beside whatever else ran")
    assert done.returncode == 0
    assert "submit" in done.stdout
    script = "import sys; from taskqueue.cli import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=WITHIN, check=True)
    modules = set(loaded.stderr.split())
    assert "taskqueue.cli.group" in modules
    heavy = {"rich", "httpx2", "storage", "actors", "api", "redis", "falcon", "asyncio", "taskqueue.client"}
    assert not modules & heavy


def test_version_is_said(node: Client) -> None:
    assert run(node, "--version").stdout.startswith("taskqueue 0.")


def test_a_reader_that_has_seen_enough(node: Client) -> None:
    for number in range(20):
        node.submit("echo", "x" * 30_000, id=f"wide-{number}", tags=["wide"])
        node.finished(f"wide-{number}")
    for args in (["list", "--tag", "wide", "--json"], ["list", "--tag", "wide", "--all"], ["completion", "bash"]):
        with subprocess.Popen(
            [COMMAND, *args], env=environment(node), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            assert process.stderr.read() == ""
            assert process.wait(WITHIN) in (0, 1)


def test_ctrl_c_while_it_waits(node: Client) -> None:
    args = [COMMAND, "submit", "echo", "1", "--delay", "1h", "--wait", "--id", "interrupted"]
    with subprocess.Popen(
        args, env=environment(node), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        until(lambda: node.get("/api/tasks/interrupted").status == 200, WITHIN, "it is submitted")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=WITHIN)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert "interrupted" in err
    assert node.task("interrupted")["status"] == "pending"


class Terminal:
    """A command on a terminal of its own, and all that it writes there."""

    def __init__(self, node: Client, *args: str) -> None:
        self.master, slave = pty.openpty()
        self.before = termios.tcgetattr(self.master)
        self.seen = b""
        self.process = subprocess.Popen(
            [COMMAND, *args], env=environment(node), stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                some = os.read(self.master, 65_536)
            except OSError:  # the other end is closed
                return
            self.seen += some

    def shows(self, words: bytes) -> None:
        """Wait until it shows them."""
        until(lambda: words in self.seen, WITHIN, f"it shows {words!r}")

    def ended(self) -> int:
        """Its exit code."""
        try:
            return self.process.wait(WITHIN)
        finally:
            self.process.kill()
            self._reader.join(WITHIN)
            os.close(self.master)


@pytest.mark.parametrize("key", [b"q", b"\x03"], ids=["q", "Ctrl-C"])
def test_top_lives_until_a_key(node: Client, key: bytes) -> None:
    terminal = Terminal(node, "top", "--every", "0.2")
    terminal.shows(b"cli-node")
    assert b"\x1b[?1049h" in terminal.seen, "it has a screen of its own"
    if key == b"\x03":  # the terminal makes it a signal; this one is nobody's, so that the test does
        terminal.process.send_signal(signal.SIGINT)
    else:
        os.write(terminal.master, key)
    terminal.shows(b"\x1b[?1049l")
    after = termios.tcgetattr(terminal.master)
    assert terminal.ended() == 0
    assert after[3] & termios.ICANON, "the terminal is as it was"
    assert b"Traceback" not in terminal.seen


def test_a_terminal_gets_colours_and_a_bar(node: Client, tmp_path: Path) -> None:
    terminal = Terminal(node, "nodes")
    assert terminal.ended() == 0
    assert b"\x1b[32malive" in terminal.seen
    assert b"\x1b" not in run(node, "nodes").stdout.encode()
    file = tmp_path / "many.jsonl"
    file.write_text("1\n" * 3_000)
    terminal = Terminal(node, "submit", "echo", "--from", str(file), "--tag", "bar")
    assert terminal.ended() == 0
    assert b"submitting" in terminal.seen
    assert b"3,000 tasks submitted" in terminal.seen
