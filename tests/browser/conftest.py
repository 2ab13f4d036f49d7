"""What the browser's tests share: a browser, and a node in a process of its own with tasks in every state."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.chrome import Screen, Screens, chromium, screens
from tests.clients import Client
from tests.processes import NodeProcess, nodes

__all__ = ["chromium", "nodes", "screens"]

SCENES = {
    "appDir": str(Path(__file__).parent),
    "handlers": ["scenes"],
    "queues": ["*"],
    "nodeId": "stage",
    "backoff": {"base": "2h", "max": "2h"},
    "shutdownGrace": "100ms",
}
"""A node that serves the handlers of `scenes.py`; what fails there waits long for its retry."""


@pytest.fixture
def scenes() -> dict[str, object]:
    """That configuration."""
    return dict(SCENES)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Of one such node for all tests of a module."""
    node = NodeProcess(tmp_path_factory.mktemp("scenes"), SCENES)
    try:
        yield node.start()
        assert node.end().code == 0
    finally:
        node.reap()
        print(node.text())


@pytest.fixture
def screen(client: Client, screens: Screens) -> Screen:
    """The dashboard of that node, light, on a desktop."""
    return screens(client.url)
