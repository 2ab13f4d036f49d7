"""How long a Python thread keeps the interpreter's lock while others wait for it.

Every thread that waits wakes up once an interval to ask for the lock, so a long one is cheaper where many wait a moment
each, as the API's do; but behind a handler that computes each hop of a message takes a whole interval. So it is short
just while a handler runs for long. State: the process's interval, see `sys.setswitchinterval`.
"""

from __future__ import annotations

import sys

from taskqueue.core.clock import MILLISECOND

LONG = 20 * MILLISECOND
"""Microseconds; a run of that age may be computing."""

AMONG_SHORT_RUNS = 0.005
BESIDE_A_LONG_RUN = 0.001
"""Seconds."""


def switch_often(often: bool) -> None:
    """Set the interval, unless it is what is wanted already."""
    wanted = BESIDE_A_LONG_RUN if often else AMONG_SHORT_RUNS
    if sys.getswitchinterval() != wanted:
        sys.setswitchinterval(wanted)
