"""One node: its actors, and `node.py`, which builds them. May import every other folder; only the doors import it.

`python -m actors.node` puts the working directory first on the import path, and a user's project may have an `api/`, a
`cluster/` or a `storage/` folder of its own there. So the siblings of this package are bound here, before anything
imports them.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path

_HOME = str(Path(__file__).resolve().parent.parent)


def _bind_siblings() -> None:
    for name in ("taskqueue", "storage", "cluster", "api"):
        if name in sys.modules:
            continue
        spec = PathFinder.find_spec(name, [_HOME])
        if spec is None or spec.loader is None:
            raise ImportError(f"taskqueue is installed without its package {name!r} (looked in {_HOME})")
        module = module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)


_bind_siblings()
