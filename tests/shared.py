"""Nodes of a cluster in processes of their own, over one real Redis: quick to notice a death, slow enough for a busy
machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients import Client, until
from tests.processes import NodeProcess
from tests.redis_server import RedisServer

LEASE = 3.0
"""Seconds."""

SHARED: dict[str, Any] = {
    "clusterEnabled": True,
    "heartbeatInterval": "200ms",
    "leaseTtl": "3s",
    "leaderTtl": "1500ms",
    "appDir": str(Path(__file__).parent / "integration"),
    "handlers": ["lives"],
    "queues": ["*"],
}

WITHIN = 30.0


class Cluster:
    """A Redis and the nodes on it, by name."""

    def __init__(self, folder: Path, *options: str, **config: Any) -> None:
        self.folder = folder
        self.server = RedisServer(folder / "r", *options).start()
        self.nodes: dict[str, NodeProcess] = {}
        self.clients: dict[str, Client] = {}
        self._config = config

    def launch(self, *names: str, **config: Any) -> None:
        """Start nodes of these names, all at once, and do not wait."""
        for name in names:
            if name not in self.nodes:
                settings = {**SHARED, "nodeId": name, "redisAddress": self.server.url, **self._config, **config}
                self.nodes[name] = NodeProcess(self.folder / name, settings)
            self.nodes[name].launch()

    def ready(self, *names: str) -> None:
        """Wait until they are."""
        for name in names:
            self.clients[name] = self.nodes[name].ready()

    def start(self, *names: str, **config: Any) -> None:
        """Start nodes of these names, and wait until every one of them knows of all."""
        self.launch(*names, **config)
        self.ready(*names)
        for name in names:
            self.sees(name, dict.fromkeys(names, "alive"))

    def statuses(self, name: str) -> dict[str, str]:
        """What the node `name` says of each node; of several incarnations the latest counts."""
        return {node["id"]: node["status"] for node in self.clients[name].get("/api/cluster/nodes").json["nodes"]}

    def sees(self, name: str, statuses: dict[str, str]) -> None:
        """Wait until the node `name` says this of these nodes."""
        until(lambda: statuses.items() <= self.statuses(name).items(), WITHIN, f"{name} sees {statuses}")

    def leader(self, name: str, other_than: str | None = None) -> str:
        """Who leads, as the node `name` says; wait until somebody (else) does."""
        client = self.clients[name]

        def leads() -> str | None:
            found: str | None = client.get("/api/cluster/status").json["leader"]
            return found if found != other_than else None

        found = until(leads, WITHIN, "somebody leads")
        assert found is not None
        return found

    def stop(self) -> None:
        """End everything that still runs."""
        for node in self.nodes.values():
            node.reap()
            print(f"== {node.home.name}\n{node.text()}")
        self.server.stop()


Clusters = Callable[..., Cluster]


@pytest.fixture
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clusters]:
    """Makes clusters: `clusters("--appendonly", "yes", pollInterval="2s")`."""
    made: list[Cluster] = []

    def make(*options: str, **config: Any) -> Cluster:
        made.append(Cluster(tmp_path_factory.mktemp("c"), *options, **config))
        return made[-1]

    yield make
    for cluster in made:
        cluster.stop()
