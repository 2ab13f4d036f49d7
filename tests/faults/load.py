"""Clients that submit without end, to one node or to several, through kills and shutdowns, and remember what they were
answered.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from http.client import HTTPException
from itertools import count
from typing import Any
from zlib import crc32

from tests.clients import Client
from tests.faults.checker import Submit
from tests.faults.cluster_checker import Keyed

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


def checksum(payload: Any) -> str:
    """Of a payload, as the handler `load.sum` tells the ledger."""
    return f"{crc32(json.dumps(payload, sort_keys=True).encode()):08x}"


def checked_task(seed: random.Random) -> dict[str, Any]:
    """A task whose payload is one of a kind."""
    text = "".join(chr(seed.choice((seed.randrange(32, 127), seed.randrange(160, 0x2FFF)))) for _ in range(40))
    return {"handler": "load.sum", "payload": {"seconds": round(seed.uniform(0, 0.3), 3), "text": text}}


class Load:
    """`threads` clients, half of which send batches. They send while there is a node, until `stop`.

    Of what had no clear answer, about half is sent again, under the same id, perhaps to another node. `checked`: how
    many of the tasks carry a payload that is looked after; `pause`: seconds between two requests of a client.
    """

    def __init__(self, threads: int = 4, seed: int = 0, *, checked: float = 0.0, pause: float = 0.0) -> None:
        self.sums: dict[str, str] = {}
        self._checked = checked
        self._pause = pause
        self.outcomes: dict[str, bool | None] = {}
        self.answers: list[int] = []
        self.mistakes: list[str] = []
        self.cut: list[tuple[str, list[str]]] = []
        self._clients: tuple[Client, ...] = ()
        self._there = threading.Event()
        self._stopped = threading.Event()
        self._numbers = count()
        self._threads = [
            threading.Thread(target=self._run, args=(random.Random(seed + n), BATCH if n % 2 else 1))
            for n in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def send_to(self, *clients: Client) -> None:
        """Go on, with these nodes."""
        self._clients = clients
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
            tasks = again or [self._make(seed) for _ in range(size)]
            sent = self._send(seed.choice(self._clients), tasks)
            again = [task for task, stored in sent if stored is None and seed.random() < 0.5]
            if self._pause:
                self._stopped.wait(self._pause)

    def _make(self, seed: random.Random) -> dict[str, Any]:
        name = f"t{next(self._numbers)}"
        if seed.random() >= self._checked:
            return {"id": name, **some_task(seed)}
        task = checked_task(seed)
        self.sums[name] = checksum(task["payload"])
        return {"id": name, **task}

    def _send(self, client: Client, tasks: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], bool | None]]:
        statuses: list[int | None] = [None]
        reply = None
        try:
            if len(tasks) == 1:
                reply = client.post("/api/tasks", tasks[0])
            else:
                reply = client.post("/api/tasks/batch", {"tasks": tasks})
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


class KeyedLoad:
    """A client that sends each task under an idempotency key alone, again and again until it is taken, and then once
    more to another node.
    """

    def __init__(self, seed: int = 0, *, pause: float = 0.02) -> None:
        self._pause = pause
        self.answers: list[Keyed] = []
        self.mistakes: list[str] = []
        self._random = random.Random(seed)
        self._clients: tuple[Client, ...] = ()
        self._stopped = threading.Event()
        self._abandoned = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def send_to(self, *clients: Client) -> None:
        """Begin, or go on, with these nodes."""
        self._clients = clients
        if self._thread.ident is None:
            self._thread.start()

    def stop(self) -> None:
        """Begin nothing new; what was begun is taken when this returns."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(60)
            assert not self._thread.is_alive()

    def abandon(self) -> None:
        """The same, without taking care of what was begun."""
        self._abandoned.set()
        self.stop()

    def _run(self) -> None:
        numbers = count()
        while not self._stopped.is_set():
            key = f"k{next(numbers)}"
            for _ in range(2):
                self._insist(key)
            self._stopped.wait(self._pause)

    def _insist(self, key: str) -> None:
        body = {"handler": "load.sync", "payload": {"seconds": 0}, "parameters": {"idempotencyKey": key}}
        while not self._abandoned.is_set():
            try:
                reply = self._random.choice(self._clients).post("/api/tasks", body)
            except (OSError, HTTPException):
                self._abandoned.wait(0.1)
                continue
            if reply.status in (200, 201):
                self.answers.append(Keyed(key, reply.json["id"]))
                return
            if reply.status not in (429, 503):
                self.mistakes.append(f"{key} was answered {reply}")
                return
            self._abandoned.wait(0.1)
