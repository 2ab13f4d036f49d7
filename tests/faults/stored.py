"""What a node that has ended left in its store, read from a copy: the original stays as it is."""

from __future__ import annotations

import shutil
from pathlib import Path

from storage.sqlite import open_sqlite
from taskqueue.core.clock import SystemClock
from taskqueue.core.config import Config
from taskqueue.core.task import Status, Task
from taskqueue.core.views import Filter


def tasks(data: Path, status: Status | None = None) -> dict[str, Task]:
    """All tasks (of that status) in the data directory `data`, by id."""
    copy = data.with_name(f"{data.name}-copy")
    copy.mkdir()
    for file in data.glob("taskqueue.db*"):
        if not file.name.endswith("-shm"):
            shutil.copy(file, copy)
    store = open_sqlite(Config(data_dir=str(copy)), SystemClock())
    found: dict[str, Task] = {}
    cursor = None
    try:
        while True:
            page = store.find(Filter(status=status), 1_000, cursor)
            found.update((task.id, task) for task in page.tasks)
            cursor = page.cursor
            if cursor is None:
                return found
    finally:
        store.close()
        shutil.rmtree(copy)
