"""What the tests of SQL and of Lua share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutation.copies import copied
from tests.mutation.nursery import nursery

__all__ = ["nursery"]

FOLDERS = ("storage", "taskqueue", "tests/contract")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The code and the conformance suite, to be changed at will."""
    return copied(tmp_path, *FOLDERS)
