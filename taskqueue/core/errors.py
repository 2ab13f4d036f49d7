"""One shallow tree of errors. What a caller can do about each is said in its docstring."""

from __future__ import annotations

from collections.abc import Sequence


class TaskqueueError(Exception):
    """Anything that taskqueue raises on purpose."""


class ConfigError(TaskqueueError):
    """A setting is wrong, or the surroundings cannot be used: the node exits 2 with this one line."""


class InvalidInput(TaskqueueError):
    """What was sent has the right form but a wrong content; `errors` are (JSON path, message) pairs."""

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{path}: {message}" for path, message in errors))
        self.errors = tuple(errors)


class Malformed(InvalidInput):
    """What was sent is not even JSON, or nests too deep."""

    def __init__(self, message: str) -> None:
        super().__init__([("$", message)])


class UnknownCursor(TaskqueueError):
    """A cursor that this store did not make."""


class TooLarge(TaskqueueError):
    """A payload or a body is over its limit."""


class NotFound(TaskqueueError):
    """Nobody has heard of this id."""


class Conflict(TaskqueueError):
    """The thing exists, but its present state (or its present content) does not allow this."""


class Bystander(Conflict):
    """Nothing is wrong with this one: it was not stored because another of its atomic batch was refused."""


class QueueFull(TaskqueueError):
    """`queueSize` tasks are waiting already: try again later."""


class Unavailable(TaskqueueError):
    """The store cannot be reached or answers too late. Whether it took effect is unknown: repeat with the same id."""

    def __init__(self, message: str, *, task_id: str | None = None) -> None:
        super().__init__(message)
        self.task_id = task_id


class StoreError(TaskqueueError):
    """The store did not do what was asked."""


class StoreFull(StoreError):
    """No room to write. Nothing was changed; finishing and deleting go on as far as there is room."""


class StoreUnavailable(StoreError):
    """The store cannot be reached, or cannot vouch for what it did: the outcome is unknown. It may come back by itself;
    until then the same may be asked again, with the same ids.
    """


class StoreBroken(StoreError):
    """The store's medium failed (I/O error, failed fsync). Outcomes are unknown; the process has to end and look
    again.
    """


class StoreDamaged(StoreError):
    """The file is not what was written. Nothing is opened, nothing is repaired by itself."""
