"""WorkerActor: takes runs from its channel and has its runner run them. There is one for each thread of sync
handlers, and one that feeds the event loop.

State: none that matters; what it runs is in the pool. If it dies, what it had taken goes back, uncharged. A worker
whose handler hangs is left behind by the supervisor: when the handler comes back at last, it stops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actors.base import NodeActor, OnDeath
from actors.channel import Channel
from actors.messages import Message, Work
from actors.pool import Pool, Run, Unfinished
from actors.runners import Runner


class WorkerActor(NodeActor):
    """See the module."""

    def __init__(self, on_death: OnDeath, *, name: str, channel: Channel, pool: Pool, runner: Runner) -> None:
        super().__init__(on_death)
        self._name = name
        self._channel = channel
        self._pool = pool
        self._runner = runner
        self._left_behind = False

    def receivers(self) -> dict[type[Message], Callable[[Any], None]]:
        return {Work: self._work}

    def begin(self) -> None:
        self._work(Work())  # what its predecessor was told and did not do

    def _work(self, _: Work) -> None:
        while not self._left_behind:
            while (run := self._channel.take()) is not None:
                if not self._pool.brisk(run.kind) and not self._channel.empty():
                    self._channel.call(1)
                self._run(run)
                if run.abandoned:  # another has this one's name, its messages and its channel
                    self._left_behind = True
                    self.stop()
                    return
            self._channel.heard(self._name)  # only now: who is busy looks again anyway, so others are told first
            if self._channel.empty():
                return

    def _run(self, run: Run) -> None:
        try:
            self._runner.run(run, self._name)
        except BaseException:
            self._pool.end(run, Unfinished())
            raise
