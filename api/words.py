"""The kinds of values that come in and go out, as types: what a JSON Schema says of each. Reading them is done by
`taskqueue.core`; that both say the same is tested from outside.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from taskqueue.core.clock import SECOND
from taskqueue.core.fields import MOST_RETRIES, MOST_TAGS
from taskqueue.core.leases import LONGEST_LEASE, LONGEST_WAIT, SHORTEST_LEASE
from taskqueue.core.names import LONGEST_KEY, NAME_PATTERN, RESERVED_IDS, TASK_ID_PATTERN
from taskqueue.core.recurrence import SHORTEST
from taskqueue.core.times import LONGEST

_DIGITS = {"ms": 11, "s": 8, "m": 6, "h": 4, "d": 3}
"""So many digits of each unit surely are less than the longest duration."""
_PART = r"(\.[0-9]{1,6})?"


def spans(shortest: str = "") -> str:
    """A pattern of durations with a unit: of those that are short enough, above 0 for `"0"`, of at least 100 ms for
    `"100ms"`. It leaves out some that can be read, such as `0.05s` in the last two, and `3650d`.
    """
    found = []
    for unit, digits in _DIGITS.items():
        least = 3 if (unit, shortest) == ("ms", "100ms") else 1
        first = f"[1-9][0-9]{{{least - 1},{digits - 1}}}" if shortest else f"[0-9]{{1,{digits}}}"
        found.append(first + _PART + unit)
    if shortest:
        found.append(r"0\.[1-9][0-9]{0,5}" + ("(s|m|h|d)" if shortest == "100ms" else "(ms|s|m|h|d)"))
    return "^(" + "|".join(found) + ")$"


_SECONDS = LONGEST // SECOND
_SPAN = 'A duration such as "500ms", "30s", "5m", "2h" or "7d", or a number of seconds; at most 3650 days'
Name = Annotated[str, Meta(pattern=f"^{NAME_PATTERN}$")]
QueueName = Annotated[str, Meta(pattern=rf"^({NAME_PATTERN}|\*)$", description="`*` stands for all.")]
TaskId = Annotated[str, Meta(pattern=f"^{TASK_ID_PATTERN}$", extra_json_schema={"not": {"enum": sorted(RESERVED_IDS)}})]
Tags = Annotated[list[Name], Meta(max_length=MOST_TAGS)]
Retries = Annotated[int, Meta(ge=0, le=MOST_RETRIES)]
Time = Annotated[
    str,
    Meta(
        description="RFC 3339 with an offset, from 1970 to 9999; answers are in UTC with milliseconds.",
        extra_json_schema={"format": "date-time"},
    ),
]
Span = Annotated[
    Annotated[str, Meta(pattern=spans())] | Annotated[float, Meta(ge=0, le=_SECONDS)],
    Meta(description=f"{_SPAN}."),
]
Timeout = Annotated[
    Annotated[str, Meta(pattern=spans("0"))] | Annotated[float, Meta(ge=0.000001, le=_SECONDS)],
    Meta(description=f"{_SPAN}, and above 0."),
]
Every = Annotated[
    Annotated[str, Meta(pattern=spans("100ms"))] | Annotated[float, Meta(ge=SHORTEST / SECOND, le=_SECONDS)],
    Meta(description=f"{_SPAN}, and at least 100ms."),
]
Wait = Annotated[
    Annotated[str, Meta(pattern=r"^([0-9]|[1-5][0-9])s$|^60s$|^[0-9]{1,4}(\.[0-9]{1,3})?ms$|^[01]m$")]
    | Annotated[float, Meta(ge=0, le=LONGEST_WAIT / SECOND)],
    Meta(description='A duration such as "500ms" or "20s", or a number of seconds.'),
]
LeaseSpan = Annotated[
    Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,3}s$|^[1-9][0-9]?m$|^([1-9]|1[0-2])h$|^[1-9][0-9]{3,6}ms$")]
    | Annotated[float, Meta(ge=SHORTEST_LEASE / SECOND, le=LONGEST_LEASE / SECOND)],
    Meta(description='A duration such as "30s" or "5m", or a number of seconds.'),
]
Life = Annotated[str, Meta(extra_json_schema={"enum": ["alive", "late", "dead", "draining"]})]
Mode = Annotated[str, Meta(extra_json_schema={"enum": ["standalone", "cluster"]})]
Durability = Annotated[str, Meta(extra_json_schema={"enum": ["full", "fsync", "replicated", "weak"]})]
Shown = Annotated[str, Meta(description='A duration, such as "30s".')]
Priority = Annotated[int, Meta(ge=0, le=9)]
Key = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=LONGEST_KEY,
        description="Printable characters.",
        extra_json_schema={"format": "printable"},
    ),
]
Cron = Annotated[
    str,
    Meta(
        description="Five fields, six (seconds first), or a name such as @hourly.",
        extra_json_schema={"format": "cron"},
    ),
]
Zone = Annotated[str, Meta(description="A name of the IANA time zones.", extra_json_schema={"format": "time-zone"})]
