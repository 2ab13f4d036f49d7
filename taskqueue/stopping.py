"""A stop that is asked for before there is a node that could be stopped: while modules are imported, say."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopEarly(BaseException):
    """A signal came. No `Exception`: whatever a module does while it is imported, it is not to hold this up."""


def raise_on_signals() -> None:
    """Main thread: from now on, a signal that asks to stop raises `StopEarly` there, with the signal's name."""
    for number in SIGNALS:
        signal.signal(number, _raise)


def ignore_signals() -> None:
    """Main thread: it ends already, and how is decided. This holds also while the interpreter shuts down.

    Of one that comes just now Python would say on stderr that it was "ignored due to race condition", as it should be.
    """
    hook, sys.unraisablehook = sys.unraisablehook, _unless_ignored(sys.unraisablehook)
    try:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
    finally:
        sys.unraisablehook = hook


def _unless_ignored(hook: Callable[[Any], object]) -> Callable[[Any], object]:
    def tell(what: Any) -> None:
        if not (isinstance(what.exc_value, OSError) and "ignored due to race condition" in str(what.exc_value)):
            hook(what)

    return tell


def _raise(number: int, _: FrameType | None) -> NoReturn:
    raise StopEarly(signal.Signals(number).name)
