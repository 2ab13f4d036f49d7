"""Logging of a node: one line, or one JSON object a line, on stdout, with the node's name and the current task's id.

State: the handler on the root logger, which `setup` replaces. What comes from outside (payloads, exceptions' texts) can
break no line: control characters are escaped, and a traceback's lines are marked. A log that cannot be written (the
reader of stdout is gone) is dropped: a node does not stop for it, and stderr is not its log.
"""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from typing import Any, TextIO

from taskqueue.core.text import one_line
from taskqueue.core.times import format_time

current_task: ContextVar[str | None] = ContextVar("current_task", default=None)
"""The id of the task whose handler runs in this thread or coroutine."""

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "event", "node", "task"}


def setup(level: str, format: str, node: str, stream: TextIO | None = None) -> None:
    """Log from now on at `level` (as in `logLevel`), as `text` or `json`, to `stream` (stdout). May be called again.

    A record's `extra` is shown as further fields; `extra={"event": "ready"}` names what happened, for programs.
    """
    target = stream or sys.stdout
    reconfigure = getattr(target, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")  # a stdout that is not UTF-8 loses no line
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, _Handler)]:
        root.removeHandler(old)
    handler = _Handler(target)
    handler.setFormatter(JsonFormatter(node) if format == "json" else TextFormatter(node))
    root.addHandler(handler)
    root.setLevel(_LEVELS[level])


class _Handler(logging.StreamHandler[TextIO]):
    """Takes its lock by `with` alone: a time-out that is thrown into a handler's thread while it logs lands between two
    calls of `acquire(); try:` sooner or later, and then nobody could log any more.
    """

    def handle(self, record: logging.LogRecord) -> bool:
        passed = self.filter(record)
        if passed and self.lock is not None:
            with self.lock:
                self.emit(record)
        return bool(passed)

    def flush(self) -> None:
        if self.lock is not None:
            with self.lock:
                self.stream.flush()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's signature
        """Nobody reads stdout any more, and there is no other place to say so."""


class _Formatter(logging.Formatter):
    def __init__(self, node: str) -> None:
        super().__init__()
        self._node = node

    def _message(self, record: logging.LogRecord) -> str:
        try:
            return record.getMessage()
        except Exception as error:  # a wrong log call costs its text, not the line
            return f"{record.msg!r} {record.args!r} ({type(error).__name__}: {error})"

    def _task(self, record: logging.LogRecord) -> str | None:
        return getattr(record, "task", None) or current_task.get()

    def _trace(self, record: logging.LogRecord) -> str:
        parts = []
        if record.exc_info and record.exc_info[0] is not None:
            parts.append(self.formatException(record.exc_info))
        if record.stack_info:
            parts.append(record.stack_info)
        return "\n".join(parts)

    def _extra(self, record: logging.LogRecord) -> dict[str, Any]:
        return {key: value for key, value in vars(record).items() if key not in _OWN}

    def _time(self, record: logging.LogRecord) -> str:
        return format_time(int(record.created * 1_000_000))


class JsonFormatter(_Formatter):
    """One JSON object a line: time, level, event (where named), message, logger, node, task, exc, and the extra."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": self._time(record),
            "level": record.levelname.lower(),
            "event": getattr(record, "event", None),
            "message": self._message(record),
            "logger": record.name,
            "node": self._node,
            "task": self._task(record),
            "exc": self._trace(record) or None,
        }
        said = {key: value for key, value in fields.items() if value is not None}
        return json.dumps({**said, **self._extra(record), **said}, default=repr)


class TextFormatter(_Formatter):
    """`time LEVEL node logger [task] message key=value`, then a traceback's lines, each behind a bar."""

    def format(self, record: logging.LogRecord) -> str:
        task = self._task(record)
        words = [self._time(record), f"{record.levelname:<7}", self._node, record.name]
        words += [f"[{task}]"] if task else []
        words.append(self._message(record))
        words += [f"{key}={value}" for key, value in self._extra(record).items()]
        trace = "".join(f"\n  | {one_line(line)}" for line in self._trace(record).split("\n") if line)
        return one_line(" ".join(words)) + trace
