"""What the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients import Client
from tests.processes import NodeProcess, nodes

__all__ = ["nodes"]

LIVES = {"appDir": str(Path(__file__).parent), "handlers": ["lives"], "queues": ["*"]}


@pytest.fixture
def lives() -> dict[str, object]:
    """The configuration of a node that serves the handlers of `lives.py`, in every queue."""
    return dict(LIVES)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Of one such node for all tests of a module that need nothing special."""
    limits = {"maxResultBytes": 1_000, "maxPayloadBytes": 100_000}
    config = {**LIVES, **limits, "priorityAging": "100ms", "shutdownGrace": "100ms"}
    node = NodeProcess(tmp_path_factory.mktemp("lives"), config)
    try:
        yield node.start()
        assert node.end().code == 0
    finally:
        node.reap()
        print(node.text())
