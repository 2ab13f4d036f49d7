"""A stop that is asked for before there is a node that could be stopped: while modules are imported, say."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopEarly(BaseException):
    """A signal came. No `Exception`: whatever a module does while it is imported, it is not to hold this up."""


def raise_on_signals() -> None:
    """Main thread: from now on, a signal that asks to stop raises `StopEarly` there, with the signal's name."""
    for number in SIGNALS:
        signal.signal(number, _raise)


def ignore_signals() -> None:
    """Main thread: it ends already, and how is decided. This holds also while the interpreter shuts down."""
    sys.unraisablehook = _tell
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _tell(what: sys.UnraisableHookArgs) -> None:
    """Not of a signal that came to any thread just before: that it was "ignored due to race condition" is as it should
    be.
    """
    if not (isinstance(what.exc_value, OSError) and "ignored due to race condition" in str(what.exc_value)):
        sys.__unraisablehook__(what)


def _raise(number: int, _: FrameType | None) -> NoReturn:
    raise StopEarly(signal.Signals(number).name)
