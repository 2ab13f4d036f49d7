"""What names may look like."""

from __future__ import annotations

import pytest

from taskqueue.core import names

GOOD = ["a", "A-z_0.9:x", "x" * 128]
BAD = ["", "x" * 129, "a b", "a\n", "a/b", "é", "a\x00", "٣", "a'b", None, 5, b"a", ["a"]]


@pytest.mark.parametrize("name", GOOD)
def test_names(name):
    assert names.is_name(name)
    assert names.read_name(name) == name


@pytest.mark.parametrize("name", BAD)
def test_no_names(name):
    assert not isinstance(name, str) or not names.is_name(name)
    with pytest.raises(ValueError, match="expected a name"):
        names.read_name(name)


@pytest.mark.parametrize("task_id", ["a", "A-z_0", "x" * 64, "batch2", "Bulk"])
def test_task_ids(task_id):
    assert names.is_task_id(task_id)
    assert names.read_task_id(task_id) == task_id


@pytest.mark.parametrize("task_id", ["", "x" * 65, "a.b", "a:b", "a\n", "é", None, 5])
def test_no_task_ids(task_id):
    assert not isinstance(task_id, str) or not names.is_task_id(task_id)
    with pytest.raises(ValueError, match="expected an id"):
        names.read_task_id(task_id)


@pytest.mark.parametrize("task_id", ["batch", "bulk"])
def test_reserved_ids(task_id):
    assert not names.is_task_id(task_id)
    with pytest.raises(ValueError, match="reserved"):
        names.read_task_id(task_id)


@pytest.mark.parametrize("key", ["a", "order 17 / é", "x" * 255])
def test_keys(key):
    assert names.read_key(key) == key


@pytest.mark.parametrize("key", ["", "x" * 256, "a\n", "\x00", "\x7f", "\ud800", None, 5])
def test_no_keys(key):
    with pytest.raises(ValueError, match="printable"):
        names.read_key(key)
