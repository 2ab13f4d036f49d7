"""Clients that submit without end, through kills and shutdowns, and remember what they were answered."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from http.client import HTTPException
from itertools import count
from typing import Any

from tests.clients import Client
from tests.faults.checker import Submit

REFUSED = 0
"""Stands for a status where no connection was made."""

STORED = {200: True, 201: True, 429: False, REFUSED: False, 503: None, None: None}
"""What an answer means, None being a connection that broke before it; any other is a mistake."""

BATCH = 20


def some_task(seed: random.Random) -> dict[str, Any]:
    """A task of one of the four kinds: mostly a coroutine of some length."""
    kind = seed.random()
    if kind < 0.7:
        return {"handler": "load.async", "payload": {"seconds": round(seed.uniform(0.2, 0.6), 3)}}
    if kind < 0.8:
        return {"handler": "load.sync", "payload": {"seconds": 0}}
    if kind < 0.85:
        return {"handler": "load.sync", "payload": {"seconds": 0.1}}
    return {"handler": "load.flaky", "payload": {"failures": seed.choice([1, 2, 9])}}


class Load:
    """`threads` clients, half of which send batches. They send while there is a client, until `stop`.

    Of what had no clear answer, about half is sent again, under the same id.
    """

    def __init__(self, threads: int = 4, seed: int = 0) -> None:
        self.outcomes: dict[str, bool | None] = {}
        self.answers: list[int] = []
        self.mistakes: list[str] = []
        self.cut: list[tuple[str, list[str]]] = []
        self._client: Client | None = None
        self._there = threading.Event()
        self._stopped = threading.Event()
        self._numbers = count()
        self._threads = [
            threading.Thread(target=self._run, args=(random.Random(seed + n), BATCH if n % 2 else 1))
            for n in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def send_to(self, client: Client) -> None:
        """Go on, with this node."""
        self._client = client
        self._there.set()

    def pause(self) -> None:
        """Nobody is there to send to."""
        self._there.clear()

    def stop(self) -> None:
        """Send nothing more; every request has its answer or its error when this returns."""
        self._stopped.set()
        self._there.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def submits(self) -> Iterator[Submit]:
        """What was sent."""
        return (Submit(task, stored) for task, stored in self.outcomes.items())

    def _run(self, seed: random.Random, size: int) -> None:
        again: list[dict[str, Any]] = []
        while not self._stopped.is_set():
            self._there.wait()
            tasks = again or [{"id": f"t{next(self._numbers)}", **some_task(seed)} for _ in range(size)]
            again = [task for task, stored in self._send(tasks) if stored is None and seed.random() < 0.5]

    def _send(self, tasks: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], bool | None]]:
        assert self._client is not None
        statuses: list[int | None] = [None]
        reply = None
        try:
            if len(tasks) == 1:
                reply = self._client.post("/api/tasks", tasks[0])
            else:
                reply = self._client.post("/api/tasks/batch", {"tasks": tasks})
        except ConnectionRefusedError:
            statuses = [REFUSED]
        except (OSError, HTTPException) as error:
            self.cut.append((repr(error), [task["id"] for task in tasks]))
        else:
            self.answers.append(reply.status)
            batch = reply.status == 207
            statuses = [item["status"] for item in reply.json["items"]] if batch else [reply.status]
        if statuses[0] in (REFUSED, 429):
            self._stopped.wait(0.05)  # the node is gone, or full: others have to be run first
        if len(statuses) < len(tasks):
            statuses *= len(tasks)
        for task, status in zip(tasks, statuses, strict=True):
            if status not in STORED:
                self.mistakes.append(f"{task} was answered {reply}")
                continue
            sent, stored = task["id"], STORED[status]
            if status == REFUSED and sent in self.outcomes:
                stored = None  # nobody heard it this time
            self.outcomes[sent] = stored
            yield task, stored
