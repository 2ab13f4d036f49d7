"""Handlers' module that makes its node die at a named point: `CRASH_AT=after:Claim:3` ends the process as a kill would,
after the third batch with a claim was carried out and before anybody hears of it; `before:…` ends it just before.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from storage.redis import RedisStore

_when, _verb, _count = os.environ["CRASH_AT"].split(":")
_left = int(_count)
_execute = RedisStore.execute


def _breaking(store: RedisStore, verbs: Sequence[Any]) -> Any:
    global _left  # noqa: PLW0603 - one process, one death
    if any(type(verb).__name__ == _verb for verb in verbs):
        _left -= 1
    if _left == 0 and _when == "before":
        os._exit(9)
    results = _execute(store, verbs)
    if _left == 0:
        os._exit(9)
    return results


RedisStore.execute = _breaking  # type: ignore[method-assign]
