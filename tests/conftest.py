"""For every test: its report can always be sent to the process that collects it, Ctrl-C reaches what it starts, no
property fails for a busy machine, and what all of them load is compiled once. At the end: how the API was tried.
"""

from __future__ import annotations

import signal
import sys
import textwrap
from collections import Counter
from collections.abc import Generator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.redis_server import each_server

__all__ = ["each_server"]


def pytest_configure() -> None:
    """A shell that starts us in the background has SIGINT ignored, and so would every process that a test starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # How long an example takes says how busy the machine is, and nothing of what is tested.
    settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("any machine")


@pytest.hookimpl(hookwrapper=True)
def pytest_collection() -> Generator[None, Any, None]:
    """What is loaded now is compiled once for all runs, and for all that the tests start, also where the environment
    says that no bytecode is written: that is most of what there is to collecting. What a test itself loads is not.
    """
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, False
    yield
    sys.dont_write_bytecode = before


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, None]:
    """What a test logged can hold half a surrogate pair; a report that does ends the process that should send it."""
    outcome = yield
    report = outcome.get_result()
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What `test_described.py` leaves on its report, which xdist brings here."""
    for report in (*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")):
        for name, value in report.user_properties if report.when == "call" else ():
            if name == "API":
                terminalreporter.write_line(answered(value))


def answered(seen: Mapping[str, Mapping[int, int]]) -> str:
    """How often each operation gave each kind of status, for people: 2xx/4xx, and all kinds in all."""
    kinds = {label: Counter[int]() for label in seen}
    for label, found in seen.items():
        for status, n in found.items():
            kinds[label][status // 100] += n
    total = sum(kinds.values(), Counter[int]())
    counts = ", ".join(f"{n} answers {kind}xx" for kind, n in sorted(total.items()))
    each = ", ".join(f"{label} {found[2]}/{found[4]}".replace(" ", "\xa0") for label, found in kinds.items())
    lines = textwrap.fill(each, 120, break_on_hyphens=False).replace("\xa0", " ")
    return f"\nAPI: {len(seen)} operations, {counts}; of each 2xx/4xx:\n{lines}"
