"""What a check has found, and what is to be changed."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Level(StrEnum):
    """How bad it is. `warn`: it works, but a promise is weaker or something waits."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"


class Finding(Struct, frozen=True):
    """One check. `advice`: what to change; "" where there is nothing."""

    check: str
    level: Level
    found: str
    advice: str = ""


def between(theirs: float, before: float, after: float) -> float:
    """Seconds that a clock is off at least, which was read between these two times of ours."""
    return 0.0 if before <= theirs <= after else min(theirs - before, theirs - after, key=abs)


def ok(check: str, found: str) -> Finding:
    """As it should be."""
    return Finding(check, Level.OK, found)


def warn(check: str, found: str, advice: str) -> Finding:
    """It works, but."""
    return Finding(check, Level.WARN, found, advice)


def bad(check: str, found: str, advice: str) -> Finding:
    """It does not work so."""
    return Finding(check, Level.BAD, found, advice)
