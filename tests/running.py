"""A node in this process, on threads, tended as by its main thread; spoken to over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from actors.messages import Message
from actors.node import Node, build
from actors.supervisor import StopAsked
from taskqueue import builtin
from taskqueue.core.clock import MILLISECOND, SECOND, Clock
from taskqueue.core.config import Backoff, Config
from taskqueue.handlers import Handler, TaskFunction
from taskqueue.modules import collect
from tests.clients import Client, until

ACTORS = ("storage", "queue", "scheduler", "leader", "health")
WITHIN = 10.0

QUICK: dict[str, Any] = {
    "api_port": 0,
    "api_threads": 8,
    "worker_count": 2,
    "node_id": "node",
    "poll_interval": 100 * MILLISECOND,
    "heartbeat_interval": 100 * MILLISECOND,
    "lease_ttl": 1 * SECOND,
    "shutdown_grace": 2 * SECOND,
    "backoff": Backoff(base=10 * MILLISECOND, max=100 * MILLISECOND),
}


class Poison(Message, frozen=True, kw_only=True):
    """No actor knows it, and so dies of it."""


class Running:
    """`with Running(folder) as node`: a node with the built-in handlers and those given; what `config` does not say is
    quick. It stops at the end, if the test has not stopped it.
    """

    def __init__(
        self,
        folder: Path,
        *functions: TaskFunction[Any, Any],
        restarts: bool = True,
        clock: Clock | None = None,
        **config: Any,
    ) -> None:
        handlers: Mapping[str, Handler] = {
            **collect([builtin]),
            **{function.handler.name: function.handler for function in functions},
        }
        self.config = Config(**{**QUICK, "data_dir": str(folder), **config})
        self.node: Node = build(self.config, handlers=handlers, restarts=restarts, clock=clock)
        self.asked: StopAsked | None = None
        self._tending = threading.Thread(target=self._tend, name="tends")
        self._stopped = False

    def __enter__(self) -> Running:
        self.node.start()
        self._tending.start()
        self.client = Client(self.node.port)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _tend(self) -> None:
        self.asked = self.node.supervisor.tend()

    def stop(self, *, now: bool = False) -> None:
        """Take it down in order, as SIGTERM does."""
        if self._stopped:
            return
        self._stopped = True
        if self._tending.is_alive():
            self.node.supervisor.ask_stop("the test is over")
            self._tending.join(WITHIN)
        assert not self._tending.is_alive()
        self.node.stop(now=now)

    def kill(self, *names: str) -> None:
        """Let these actors die of a bug; returns when they are dead."""
        refs = [self.node.supervisor.handle(name).ref for name in names]
        for name in names:
            assert self.node.supervisor.handle(name).tell(Poison())
        for name, ref in zip(names, refs, strict=True):
            assert ref is not None
            until(lambda ref=ref: not ref.is_alive(), WITHIN, f"{name} is dead")  # type: ignore[misc]

    @property
    def workers(self) -> list[str]:
        """The names of those who run handlers in threads."""
        return [f"worker-{n}" for n in range(1, self.config.worker_count + 1)]
