"""What the tests of this folder share."""

from __future__ import annotations

from tests.processes import nodes

__all__ = ["nodes"]
