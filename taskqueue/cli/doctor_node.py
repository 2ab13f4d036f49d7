"""What `doctor` looks at in a running node, over REST."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from time import time
from typing import Any

import msgspec

from taskqueue.cli.api import Api
from taskqueue.cli.findings import Finding, bad, between, ok, warn
from taskqueue.client.answers import Reply
from taskqueue.core.errors import TaskqueueError, Unavailable
from taskqueue.errors import AccessDenied

OFFSET = 2.0
"""Seconds between two clocks that are worth a word; the answer's own time is whole seconds."""

WEAK = "check its Redis: `taskqueue doctor --redis ADDRESS`"
STORE = "its store is away; for a cluster's: `taskqueue doctor --redis ADDRESS`"
ACCESS = "give a token that may read: --token or TASKQUEUE_TOKEN"
STRANGER = "does --url lead to a node?"
MISSING = "`taskqueue nodes` names them; a dead one is listed for an hour"

LONG_WAIT = 300.0
"""Seconds after which a task that could run has waited long."""

_ADVICE = {AccessDenied: ACCESS, Unavailable: STORE}


def checks(api: Api) -> Iterator[Finding]:
    """From whether it is there to what waits in it."""
    try:
        before, reply, after = time(), api.ask("GET", "/healthz"), time()
        ready = api.ask("GET", "/readyz")
    except TaskqueueError as error:
        advice = "start a node (`taskqueue node`), or name another with --url"
        yield bad("node", str(error), advice)
        return
    yield _healthy("node", reply, f"{api.url} answers", "its log says more; an actor is restarted at once")
    yield _healthy("ready", ready, "it takes tasks", "see docs/operations.md, Health")
    if (clock := _clock(reply, before, after)) is not None:
        yield clock
    try:
        yield from _status(api.get("/api/cluster/status").json)
        yield from _queues(api.get("/api/queues").json["queues"])
    except TaskqueueError as error:
        advice = next((advice for kind, advice in _ADVICE.items() if isinstance(error, kind)), STRANGER)
        yield bad("deployment", str(error), advice)


def _healthy(check: str, reply: Reply, good: str, advice: str) -> Finding:
    try:
        said: Any = msgspec.json.decode(reply.body)
        problems = "; ".join(said["problems"])
        if reply.status == 200 and said["ok"]:
            return ok(check, good)
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, TypeError):
        return bad(check, f"HTTP {reply.status}, and it is no answer of a node", STRANGER)
    return bad(check, problems or f"HTTP {reply.status}", advice)


def _clock(reply: Reply, before: float, after: float) -> Finding | None:
    """Its clock was read between the two times."""
    try:
        theirs = parsedate_to_datetime(reply.date or "").timestamp()
    except ValueError:
        return None
    offset = between(theirs + 0.5, before, after)  # theirs is cut to whole seconds
    if abs(offset) <= OFFSET:
        return ok("clock", f"within {OFFSET + after - before:.0f} s of this machine's")  # a slow answer tells less
    return warn("clock", f"{offset:+.0f} s from this machine's", "let both follow a time server (chrony, ntpd)")


def _status(status: dict[str, Any]) -> Iterator[Finding]:
    ours = version("taskqueue")
    if status["version"] == ours:
        yield ok("version", ours)
    else:
        yield warn("version", f"{status['version']}; this command is {ours}", "install the same version on both sides")
    if status["durability"] == "weak":
        yield warn("durability", "weak: what is acknowledged may be lost", WEAK)
    else:
        yield ok("durability", status["durability"])
    if status["leader"]:
        yield ok("leader", f"{status['leader']}, term {status['term']}")
    else:
        yield bad("leader", "none: nothing is promoted, fired or swept", "one comes within seconds; else see the logs")
    nodes = status["nodes"]
    missing = ", ".join(f"{nodes[state]} {state}" for state in ("late", "dead") if nodes.get(state))
    if missing:
        yield warn("nodes", f"{nodes['alive']} alive, {missing}", MISSING)
    else:
        yield ok("nodes", f"{nodes['alive']} alive" + (f", {nodes['draining']} draining" if nodes["draining"] else ""))


def _queues(queues: list[dict[str, Any]]) -> Iterator[Finding]:
    quiet = True
    for one in queues:
        check = f"queue {one['name']}"
        if one["unserved"]:
            names = ", ".join(one["unserved"])
            yield warn(check, f"nobody serves: {names}", "start a node with these handlers and this queue")
        if one["paused"]:
            yield warn(check, f"paused, {one['pending']:,} wait", f"taskqueue queue resume {one['name']}")
        elif one["oldestAge"] is not None and one["oldestAge"] > LONG_WAIT and not one["unserved"]:
            yield warn(check, f"the oldest has waited {one['oldestAge']:,.0f} s", "more workers, or more nodes")
        else:
            continue
        quiet = False
    if quiet and not any(one["unserved"] for one in queues):
        yield ok("queues", "none is paused, unserved or late")
