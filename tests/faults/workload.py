"""Handlers of the fault tests. They tell the ledger (`LEDGER`: its path) what they do."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import threading
from typing import Any
from zlib import crc32

from ledger import Ledger  # type: ignore[import-not-found]  # a node finds it beside this module

from taskqueue import Retry, TaskContext, task

_LEDGER = Ledger(os.environ["LEDGER"])


def _mark(ctx: TaskContext, phase: str) -> None:
    _LEDGER.mark(ctx.task_id, ctx.fence, ctx.attempt, phase)


@task("load.sync")
def sync(seconds: float, *, ctx: TaskContext) -> float:
    """Take so long in a thread."""
    _mark(ctx, "start")
    threading.Event().wait(seconds)
    _mark(ctx, "end")
    return seconds


@task("load.sum")
async def checked(payload: Any, *, ctx: TaskContext) -> dict[str, Any]:
    """Tell the ledger the checksum of what came."""
    total = f"{crc32(json.dumps(payload, sort_keys=True).encode()):08x}"
    _LEDGER.mark(ctx.task_id, ctx.fence, ctx.attempt, "start", total)
    await asyncio.sleep(payload["seconds"])
    _mark(ctx, "end")
    return {"sum": total, "fence": ctx.fence}


@task("load.async")
async def coroutine(seconds: float, *, ctx: TaskContext) -> float:
    """Take so long on the loop."""
    _mark(ctx, "start")
    await asyncio.sleep(seconds)
    _mark(ctx, "end")
    return seconds


@task("load.flaky", retries=3)
def flaky(failures: int, *, ctx: TaskContext) -> int:
    """Fail in the first attempts."""
    _mark(ctx, "start")
    if ctx.attempt <= failures:
        _mark(ctx, "fail")
        raise Retry(f"attempt {ctx.attempt} of {failures} that fail")
    _mark(ctx, "end")
    return ctx.attempt


@task("poison")
async def poison(how: str, seconds: float, *, ctx: TaskContext) -> None:
    """Take the node down, after a while."""
    _mark(ctx, "start")
    await asyncio.sleep(seconds)
    if how == "exit":
        os._exit(1)
    ctypes.string_at(0)


@task("hang.sync")
def hang(*, ctx: TaskContext) -> None:
    """Never end, whatever is thrown at it."""
    _mark(ctx, "start")
    while True:
        try:
            while True:
                threading.Event().wait(60)
        except BaseException:
            continue


@task("hang.async")
async def hang_async(*, ctx: TaskContext) -> None:
    """The same on the loop: it takes no cancel."""
    _mark(ctx, "start")
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            continue


@task("hang.loop")
async def hang_loop(*, ctx: TaskContext) -> None:
    """Hold the loop itself, for everybody."""
    _mark(ctx, "start")
    threading.Event().wait(600)


@task("hang.executor")
async def hang_executor(*, ctx: TaskContext) -> None:
    """Hold a thread that the interpreter waits for at its end."""
    _mark(ctx, "start")
    await asyncio.to_thread(threading.Event().wait, 600)


@task("hang.child")
def hang_child(*, ctx: TaskContext) -> None:
    """Leave a thread behind, and a child process that has inherited what can be inherited."""
    _mark(ctx, "start")
    threading.Thread(target=threading.Event().wait, args=(600,)).start()
    quiet = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (1, 2)]
    os.posix_spawn("/bin/sleep", ["sleep", "600"], os.environ, file_actions=quiet)
    _mark(ctx, "end")


@task("load.gate")
async def gate(path: str, *, ctx: TaskContext) -> str:
    """Wait until there is a file of that name."""
    _mark(ctx, "start")
    while not os.path.exists(path):
        await asyncio.sleep(0.02)
    _mark(ctx, "end")
    return "open"
