"""`taskqueue backup DEST`: a copy of a node's database, whether the node runs or not."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from taskqueue.core.config import Config
from taskqueue.core.errors import ConfigError, StoreDamaged
from taskqueue.core.settings import load

USAGE = "taskqueue backup DEST [--config FILE] [--data-dir DIR]"


def main(argv: Sequence[str]) -> int:
    """Make the copy and say what is in it; the exit code. What is after DEST are settings, as a node takes them."""
    if argv and argv[0] in ("-h", "--help"):
        print(f"usage: {USAGE}\n\nCopy the database of a node, which may run meanwhile, to the new file DEST.")
        return 0
    try:
        if not argv or argv[0].startswith("-"):
            raise ConfigError(f"backup: name the file to write: {USAGE}")
        config = load(argv[1:], os.environ, lambda path: Path(path).read_bytes()).config
        print(make(config, Path(argv[0])))
    except (ConfigError, StoreDamaged) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def make(config: Config, target: Path) -> str:
    """Copy to the new file `target` what a node of this configuration keeps; one line about it. Raises ConfigError,
    StoreDamaged.
    """
    if config.storage != "sqlite":
        raise ConfigError(f'storage: "{config.storage}" has no file to back up')
    from storage.sqlite_backup import backup

    done = backup(Path(config.data_dir), target)
    line = f"{target}: {done.tasks:,} tasks, {done.size:,} bytes, verified"
    if done.corrupt:
        shown = ", ".join(done.corrupt[:3]) + (", …" if len(done.corrupt) > 3 else "")
        line += f"; the payloads of {len(done.corrupt)} are not what was submitted, here and in the node ({shown})"
    return line
