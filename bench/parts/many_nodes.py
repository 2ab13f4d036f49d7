"""Many nodes of a cluster in one process, whole but small: one worker and one API thread each.
In `bench/`, `python -m parts.many_nodes ADDRESS COUNT` says when all are ready, and serves until it is told to end.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import threading

from parts.servers import expect_losses

from actors.node import Node, build
from taskqueue.core.config import Config


def start(address: str, number: int, folder: str) -> Node:
    """One of them."""
    config = Config(
        cluster_enabled=True,
        storage="redis",
        redis_address=address,
        node_id=f"node-{number}",
        worker_count=1,
        api_port=0,
        api_threads=1,
        data_dir=f"{folder}/{number}",
    )
    node = build(config)
    node.start()
    return node


def main(address: str, count: int) -> None:
    end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: end.set())
    sys.setswitchinterval(0.001)  # as a node does
    expect_losses()
    with tempfile.TemporaryDirectory(prefix="taskqueue-bench-") as folder:
        nodes = [start(address, number, folder) for number in range(count)]
        print(json.dumps({"event": "ready", "port": nodes[0].port}), flush=True)
        end.wait()
        stops = [threading.Thread(target=node.stop) for node in nodes]
        for stop in stops:
            stop.start()
        for stop in stops:
            stop.join()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
