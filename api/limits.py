"""What one client may take of the server."""

from __future__ import annotations

from msgspec import Struct

from taskqueue.core.clock import MILLISECOND, MINUTE, SECOND


class Limits(Struct, frozen=True, kw_only=True):
    """What one client may take of the server. Spans in microseconds, sizes in bytes.

    Attributes:
        max_body: longest body of any request.
        per_address: connections from one address, so that no client by itself can keep all others out.
        waiting: requests that may wait for a thread, and as many for the store without one.
        patience: how long a request may take to arrive, plus the time that its bytes need at `slowest`.
        slowest: bytes a second that a client has to send, or to take, at least.
        idle: how long a connection may rest, or an answer may lie untaken.
        farewell: how long a connection has to be silent before the end of the server closes it.
    """

    max_body: int
    max_header: int = 16 * 1024
    connections: int = 1_000
    per_address: int = 500
    waiting: int = 512
    patience: int = 10 * SECOND
    slowest: int = 16 * 1024
    idle: int = 1 * MINUTE
    farewell: int = 100 * MILLISECOND
