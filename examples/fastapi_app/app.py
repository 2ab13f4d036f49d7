"""A FastAPI application that submits without blocking its event loop: `uvicorn fastapi_app.app:app`.

The queue's address is TASKQUEUE_URL. The client belongs to the application's life: opened with it, closed with it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from fastapi_app.handlers import resize

import taskqueue
from taskqueue.errors import NotFinished, NotFound, QueueFull, TaskFailed, Unavailable


@asynccontextmanager
async def life(app: FastAPI) -> AsyncIterator[None]:
    async with taskqueue.connect() as app.state.queue:
        yield


app = FastAPI(lifespan=life)


@app.post("/images", status_code=202)
async def submit(width: int, height: int) -> dict[str, str]:
    ref = await resize.options(delay="100ms").remote_async(width, height)
    return {"task": ref.id}


@app.get("/images/{task_id}")
async def result(request: Request, task_id: str) -> dict[str, Any]:
    ref = request.app.state.queue.ref(task_id, dict[str, int])
    try:
        return {"status": "completed", "result": await ref.get_async(timeout=10)}
    except NotFinished:
        return {"status": await ref.status_async()}
    except TaskFailed as error:
        return {"status": "dead-lettered", "error": error.message}
    except NotFound:
        raise HTTPException(404, "no such image") from None


@app.exception_handler(QueueFull)
@app.exception_handler(Unavailable)
async def busy(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 503, {"Retry-After": "1"})
