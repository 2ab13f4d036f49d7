"""WorkerActor: takes runs from its channel and has its runner run them. There is one for each thread of sync
handlers, and one that feeds the event loop.

State: none that matters; what it runs is in the pool. If it dies, what it had taken goes back, uncharged. A worker
whose handler hangs is left behind by the supervisor: when the handler comes back at last, it stops.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

from actors.base import NodeActor, OnDeath
from actors.messages import Message, Work
from actors.pool import Channel, Pool, Run, Unfinished
from actors.runners import Runner


class WorkerActor(NodeActor):
    """See the module."""

    def __init__(self, on_death: OnDeath, *, name: str, channel: Channel, pool: Pool, runner: Runner) -> None:
        super().__init__(on_death)
        self._name = name
        self._channel = channel
        self._pool = pool
        self._runner = runner
        self._current: Run | None = None

    def receivers(self) -> dict[type[Message], Callable[[Any], None]]:
        return {Work: self._work}

    def begin(self) -> None:
        self._work(Work())  # what its predecessor was told and did not do

    def _work(self, _: Work) -> None:
        self._channel.heard(self._name)
        while (run := self._channel.take()) is not None:
            self._current = run
            if not self._pool.brisk(run.kind) and not self._channel.empty():
                self._channel.call(1)
            self._runner.run(run, self._name)
            self._current = None
            if run.abandoned:
                self.stop()
                return

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._current is not None:
            self._pool.end(self._current, Unfinished())
        super().on_failure(exception_type, exception_value, traceback)
