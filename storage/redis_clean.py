"""`cleanRedisOnStart`: a namespace is emptied, key by key, and never under a live node.

State: none. Every bite is one script that looks for a live node first, so that a node that starts meanwhile ends it.
"""

from __future__ import annotations

import logging

from storage import redis_rows as rows
from storage.connection import ask
from storage.redis_calls import Call
from storage.redis_link import Commands, Writer, exchange

log = logging.getLogger(__name__)

BITE = 500
"""Keys that are deleted at a time."""


def clean(writer: Writer, commands: Commands, silence: int) -> bool:
    """Delete all keys of the namespace; False where a node lives: one that was heard of within `silence` microseconds.

    Raises what redis-py raises.
    """
    wire = writer.connect()
    cursor = b"0"
    while True:
        cursor, keys = ask(wire, "SCAN", cursor, "MATCH", commands.prefix + "*", "COUNT", BITE)
        bite = rows.pack(([key.decode() for key in keys], silence))
        [node] = exchange(wire, [commands.of(Call("clean", bite, (), (), ()))])
        if isinstance(node, Exception):
            raise node
        if node is not None:
            log.warning("cleanRedisOnStart: nothing is deleted, since node %s lives", node.decode())
            return False
        if cursor == b"0":
            return True
