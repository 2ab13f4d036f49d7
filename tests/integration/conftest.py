"""What the tests of this folder share."""

from tests.processes import nodes

__all__ = ["nodes"]
