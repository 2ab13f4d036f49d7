"""What the FastAPI application leaves to the queue."""

from __future__ import annotations

from taskqueue import Discard, task


@task("fastapi.resize")
async def resize(width: int, height: int) -> dict[str, int]:
    if width <= 0 or height <= 0:
        raise Discard("there is nothing to see in such an image")
    return {"width": width // 2, "height": height // 2}
