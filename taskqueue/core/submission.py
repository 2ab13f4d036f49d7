"""From what a client sends to a `Draft`: shapes, limits, defaults. The same rules for REST and for direct clients."""

from __future__ import annotations

from msgspec import Struct


class Parameters(Struct, frozen=True, kw_only=True):
    """What a client said of one task; None: not said. Times and spans in microseconds."""

    priority: int | None = None
    timeout: int | None = None
    queue: str | None = None
    retries: int | None = None
    delay: int | None = None
    run_at: int | None = None
    expires_at: int | None = None
    tags: tuple[str, ...] = ()
    idempotency_key: str | None = None
    keep_result: bool | None = None


class Submission(Struct, frozen=True, kw_only=True):
    """One task as a client sent it, checked. `payload` is its JSON text; `digest` tells equal bodies from others."""

    handler: str
    payload: bytes
    parameters: Parameters
    digest: bytes
    id: str | None = None
