"""Runs of one kind on their way to free workers, and which workers have been told of them.

State: the runs that wait, and who was told and has not looked yet. It outlives its workers: what one of them was told
and did not do, its successor finds.
"""

from __future__ import annotations

from collections.abc import Mapping
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from actors.messages import Address, Work

if TYPE_CHECKING:
    from actors.pool import Run


class Channel:
    """Runs that wait for a free worker. Workers are told once that there is something, and take until it is empty."""

    def __init__(self, workers: Mapping[str, Address]) -> None:
        self._runs: SimpleQueue[Run] = SimpleQueue()
        self._workers = workers
        self._told: dict[str, bool] = dict.fromkeys(workers, False)

    def put(self, run: Run) -> None:
        self._runs.put(run)

    def take(self) -> Run | None:
        """The next run, or None."""
        try:
            return self._runs.get_nowait()
        except Empty:
            return None

    def empty(self) -> bool:
        return self._runs.empty()

    def call(self, most: int) -> None:
        """Tell up to `most` workers that there is work, those first that have not been told already."""
        for name, address in self._workers.items():
            if most <= 0:
                return
            if not self._told[name]:
                self._told[name] = True
                if not address.tell(Work()):
                    self._told[name] = False
                    continue
                most -= 1

    def heard(self, worker: str) -> None:
        """The worker has found nothing more: from now on it wants to be told again."""
        self._told[worker] = False
