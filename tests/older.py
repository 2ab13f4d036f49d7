"""Tasks of Redis as versions before this one stored them."""

from __future__ import annotations

from typing import Any

import redis


def as_before(client: redis.Redis, prefix: str, name: str, schema: int) -> None:
    """A task that waits as it was born becomes one of this schema, 1 to 3; its payload has 65 to 192 bytes."""
    birth: Any = client.getdel(f"{prefix}born:{name}")
    queue, handler, number, at, priority, checksum, timeout, retries, size, rest = birth.split(b"/", 9)
    digest, payload = rest[: int(size)], rest[int(size) :]
    fields = {"ln": queue[1:] + b"/" + handler, "st": "P", "no": number, "at": at}
    if queue[:1] == b":":
        fields["keep"] = "0"
    if schema == 3:
        fields["new"] = b"/".join((priority, checksum, timeout, retries, digest))
    else:
        fields |= {"pri": priority, "sum": checksum, "dig": digest, "to": timeout, "ret": retries}
    if schema == 1:
        client.set(f"{prefix}body:{name}", payload)
    else:
        pieces = {"pay": payload[:64], "pay2": payload[64:128], "pay3": payload[128:]}
        fields |= {piece: text for piece, text in pieces.items() if text}
    client.hset(f"{prefix}task:{name}", mapping=fields)
