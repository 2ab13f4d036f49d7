"""What a node's process asks of the Python interpreter. Both settings are the whole process's.

Threads: every one that waits for the interpreter's lock wakes up once an interval to ask for it, so a long interval is
cheaper where many wait a moment each, as the API's do; but behind a handler that computes, each hop of a message takes
a whole interval. So it is short just while a handler runs for long.

Garbage: a busy node has thousands of short-lived records at a time and next to no cycles among them, yet the collector
looks through them for some whenever 700 more have come. So it looks more seldom, and never at what was there at the
start.
"""

from __future__ import annotations

import gc
import sys
import time

from taskqueue.core.clock import MILLISECOND

LONG = 20 * MILLISECOND
"""Microseconds; a run of that age may be computing."""

AMONG_SHORT_RUNS = 0.005
BESIDE_A_LONG_RUN = 0.001
"""Seconds."""

YOUNG = 10_000
"""So many new objects may come before the collector looks for cycles among them."""


def switch_often(often: bool) -> None:
    """Set the interval of threads, unless it is what is wanted already."""
    wanted = BESIDE_A_LONG_RUN if often else AMONG_SHORT_RUNS
    if sys.getswitchinterval() != wanted:
        sys.setswitchinterval(wanted)


def collect_seldom() -> None:
    """Spare what is there now, and look among what is new more seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(max(YOUNG, gc.get_threshold()[0]))


def give_way() -> None:
    """Let go of the interpreter's lock, so that a thread that was just told something can take it: one that goes on
    computing would keep it for a whole interval. The shortest sleep does; nothing is waited for.
    """
    time.sleep(1e-6)
