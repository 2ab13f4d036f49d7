"""`cleanRedisOnStart`: a namespace is emptied, key by key, and never under a live node.

A node that was killed a moment ago has been heard of lately, like one that lives. So whoever has been is watched for a
lease: who beats lives, and nothing is deleted; who stands still for so long would be declared dead by the others too.

State: none. Every bite is one script that looks for a live node first, so that a node that starts meanwhile ends it.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from storage import redis_rows as rows
from storage.connection import Wire, ask
from storage.redis_calls import Call
from storage.redis_link import Commands, Writer, exchange
from taskqueue.core.clock import SECOND

log = logging.getLogger(__name__)

BITE = 500
"""Keys that are deleted at a time."""

SILENT = 3
"""Who was not heard of for so many leases is not watched first."""

LOOKS = 20
"""So often within a lease it is looked whether anybody beats."""

Beats = dict[bytes, bytes]


def clean(writer: Writer, commands: Commands, lease: int) -> bool:
    """Delete all keys of the namespace; False where a node lives. Takes a lease (microseconds) at most, and some time
    to delete.

    Raises what redis-py raises.
    """
    wire = writer.connect()
    still: Beats = {}
    node = _delete(wire, commands, [], SILENT * lease, still)
    if node is not None:
        log.info("cleanRedisOnStart: does node %s live? It is watched for %g s", node, lease / SECOND)
        still = _still(wire, commands, lease)
    cursor = b"0"
    while True:
        cursor, keys = ask(wire, "SCAN", cursor, "MATCH", commands.prefix + "*", "COUNT", BITE)
        node = _delete(wire, commands, keys, SILENT * lease, still)
        if node is not None:
            log.warning("cleanRedisOnStart: nothing is deleted, since node %s lives", node)
            return False
        if cursor == b"0":
            return True


def _delete(wire: Wire, commands: Commands, keys: list[bytes], silence: int, still: Beats) -> str | None:
    """Delete these keys, or none and say who lives."""
    beats = [part.decode() for item in still.items() for part in item]
    bite = rows.pack(([key.decode() for key in keys], silence, beats))
    reply: Any
    [reply] = exchange(wire, [commands.of(Call("clean", bite, (), (), ()))])
    if isinstance(reply, Exception):
        raise reply
    return None if reply is None else str(reply.decode())


def _still(wire: Wire, commands: Commands, lease: int) -> Beats:
    """Who does not beat for a lease, with the count; nobody, as soon as anybody does."""
    first: Beats = rows.pairs(ask(wire, "HGETALL", commands.prefix + "live"))
    deadline = time.monotonic() + lease / SECOND
    while time.monotonic() < deadline:
        threading.Event().wait(lease / SECOND / LOOKS)
        now: Beats = rows.pairs(ask(wire, "HGETALL", commands.prefix + "live"))
        if any(first.get(owner) != beat for owner, beat in now.items()):
            return {}
    return first
