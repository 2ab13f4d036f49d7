"""Signals that come while it is decided that they mean nothing any more."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import suppress

ROUNDS = 10_000
SCRIPT = f"""
import signal
from taskqueue.stopping import SIGNALS, ignore_signals

ignore_signals()
print("ready", flush=True)
for _ in range({ROUNDS}):
    for number in SIGNALS:
        signal.signal(number, lambda *_: None)
    ignore_signals()
"""


def test_a_flood_of_signals_is_ignored_without_a_word() -> None:
    """Python complains of one that came under the old handler and is looked at under none."""
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=pipe, stderr=pipe, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    while process.poll() is None:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (0, "")
