"""The handlers that every node serves: `echo`, `sleep`, `fail`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from msgspec import Meta

from taskqueue.handlers import task


@task("echo")
def echo(payload: Any) -> Any:
    """Return the payload."""
    return payload


@task("sleep")
async def sleep(seconds: Annotated[float, Meta(ge=0, le=86400)] = 1) -> None:
    """Do nothing for that long, without a worker of its own."""
    await asyncio.sleep(seconds)


@task("fail")
def fail(message: str = "failed on purpose") -> None:
    """Fail with this message."""
    raise RuntimeError(message)
