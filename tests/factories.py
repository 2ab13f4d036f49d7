"""Values for tests, complete where nobody cares and named where the test does."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any
from zlib import crc32

from taskqueue.core.clock import SECOND
from taskqueue.core.task import Draft
from taskqueue.core.views import Member


def draft(id: str = "t1", **changes: Any) -> Draft:
    """A draft of an `echo` task in the queue `default`."""
    payload = changes.pop("payload", b'{"a":1}')
    fields: dict[str, Any] = {
        "id": id,
        "handler": "echo",
        "queue": "default",
        "payload": payload,
        "checksum": crc32(payload),
        "digest": blake2b(id.encode(), digest_size=16).digest(),
        "priority": 4,
        "timeout": 30 * SECOND,
        "retries": 3,
    }
    return Draft(**{**fields, **changes})


def member(owner: str, **changes: Any) -> Member:
    """An incarnation that has come just now; its node has its name."""
    fields: dict[str, Any] = {
        "node": owner,
        "host": "h",
        "pid": 1,
        "workers": 1,
        "queues": (),
        "handlers": (),
        "started_at": 0,
        "beat": 0,
        "beat_at": 0,
        "running": 0,
        "fenced": False,
        "draining": False,
        "left": False,
    }
    return Member(owner=owner, **{**fields, **changes})
