"""What names may look like, once for REST, Python clients and stores. Every check raises ValueError with the rule."""

from __future__ import annotations

import re

NAME_PATTERN = r"[A-Za-z0-9_.:-]{1,128}"
"""Handlers, queues, tags, schedules, nodes."""
TASK_ID_PATTERN = r"[A-Za-z0-9_-]{1,64}"
RESERVED_IDS = frozenset({"batch", "bulk"})
"""They are paths beside `/api/tasks/{id}`, so no task can have them as its id."""
LONGEST_KEY = 255

_NAME = re.compile(NAME_PATTERN, re.ASCII).fullmatch
_TASK_ID = re.compile(TASK_ID_PATTERN, re.ASCII).fullmatch


def is_name(text: str) -> bool:
    """Could a handler, queue, tag, schedule or node have this name?"""
    return _NAME(text) is not None


def is_task_id(text: str) -> bool:
    """Could a task have this id?"""
    return _TASK_ID(text) is not None and text not in RESERVED_IDS


def read_name(value: object) -> str:
    """`value`, if it is a name."""
    if isinstance(value, str) and _NAME(value):
        return value
    raise ValueError("expected a name: 1 to 128 letters, digits, `_`, `.`, `:` or `-`")


def read_task_id(value: object) -> str:
    """`value`, if a client may give it to a task."""
    if not isinstance(value, str) or not _TASK_ID(value):
        raise ValueError("expected an id: 1 to 64 letters, digits, `_` or `-`")
    if value in RESERVED_IDS:
        raise ValueError("`batch` and `bulk` are reserved")
    return value


def read_key(value: object) -> str:
    """`value`, if it can be an idempotency key."""
    if isinstance(value, str) and 1 <= len(value) <= LONGEST_KEY and value.isprintable():
        return value
    raise ValueError(f"expected 1 to {LONGEST_KEY} printable characters")
