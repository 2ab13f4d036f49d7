"""What these tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutation.copies import copied
from tests.mutation.nursery import nursery

__all__ = ["nursery"]


@pytest.fixture(scope="session")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One copy of the code and its tests for all bugs, each of which is taken out of it again."""
    return copied(tmp_path_factory.mktemp("copy"))
