"""Which dataset is behind the address: Redis may come back empty, or as another one, and then what was acknowledged is
not in it. That is noticed, said loudly and counted.

State: the dataset as it was last seen; where a file is given, it is remembered there over a restart of the node.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import msgspec

log = logging.getLogger(__name__)


class _Seen(msgspec.Struct, frozen=True):
    """What the file holds."""

    address: str
    namespace: str
    dataset: str


class Datasets:
    """Told by every connection which dataset it found. Any thread may tell.

    Args:
        address: where it is, without secrets.
        folder: where to remember it; None: nowhere.
    """

    def __init__(self, address: str, namespace: str, folder: Path | None) -> None:
        self._address = address
        self._namespace = namespace
        self._file = None if folder is None else folder / f"redis-{namespace}.json"
        self._lock = threading.Lock()
        self._known = self._remembered()
        self.lost = 0
        """How often another one was found."""

    def found(self, dataset: str) -> None:
        """This one is there now."""
        with self._lock:
            known, self._known = self._known, dataset
            if known == dataset:
                return
            if known is not None:
                self.lost += 1
                log.error(
                    "another dataset is behind %s: %s, was %s; what was acknowledged before is not in it",
                    *(self._address, dataset, known),
                    extra={"event": "dataset_lost"},
                )
            self._remember(dataset)

    def forget(self) -> None:
        """Another one will be found, and that is meant so."""
        with self._lock:
            self._known = None

    def _remembered(self) -> str | None:
        if self._file is None:
            return None
        try:
            seen = msgspec.json.decode(self._file.read_bytes(), type=_Seen)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            log.warning("%s cannot be read, so a change of the dataset is not noticed: %s", self._file, error)
            return None
        return seen.dataset if (seen.address, seen.namespace) == (self._address, self._namespace) else None

    def _remember(self, dataset: str) -> None:
        if self._file is None:
            return
        draft = self._file.with_suffix(".new")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(msgspec.json.encode(_Seen(self._address, self._namespace, dataset)))
            draft.replace(self._file)
        except OSError as error:
            log.warning("dataDir: the dataset's id cannot be kept for the next start: %s", error)
