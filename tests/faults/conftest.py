"""What the tests of this folder share."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.fleet import FULL
from tests.processes import nodes

__all__ = ["nodes"]


@pytest.fixture(params=[pytest.param({}, id="some work"), pytest.param(FULL, id="much work", marks=pytest.mark.slow)])
def work(request: pytest.FixtureRequest) -> dict[str, Any]:
    """How much the nodes of a fleet have to do."""
    found: dict[str, Any] = request.param
    return found
