"""What options and arguments may hold, checked by the rules that the API has, before anything is sent."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
import msgspec

from taskqueue.core import names
from taskqueue.core.fields import read_priority, read_timeout
from taskqueue.core.task import PRIORITIES
from taskqueue.core.times import parse_span, parse_time

if TYPE_CHECKING:
    _Type = click.ParamType[Any]
else:
    _Type = click.ParamType  # generic since 8.3 only


class Checked(_Type):
    """A text that one of the core's readers takes; it is sent as it was given."""

    def __init__(self, name: str, read: Callable[[Any], Any], send: Callable[[str], Any] = lambda text: text) -> None:
        self.name = name
        self._read = read
        self._send = send

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See click."""
        try:
            sent = self._send(value)
            self._read(sent)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)
        return sent


def _span(text: str) -> Any:
    """A bare number is seconds, as in JSON."""
    return float(text) if text.isascii() and text.replace(".", "", 1).isdigit() else text


def _number(text: str) -> Any:
    return int(text) if text.isascii() and text.isdigit() else text


class Json(_Type):
    """A JSON text, or `-` for one on stdin; sent as it was written."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See click."""
        given: bytes = value.encode("utf-8", "surrogateescape")
        raw = sys.stdin.buffer.read() if given == b"-" else given
        try:
            msgspec.json.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            said = "what stdin held" if value == "-" else repr(value[:60] + ("…" if len(value) > 60 else ""))
            self.fail(f"{said} is not JSON ({error}); a text wants its own quotes: '\"text\"'", param, ctx)
        return msgspec.Raw(raw)


NAME = Checked("name", names.read_name)
TASK_ID = Checked("id", names.read_task_id)
KEY = Checked("key", names.read_key)
SPAN = Checked("duration", parse_span, _span)
POSITIVE_SPAN = Checked("duration", read_timeout, _span)
MOMENT = Checked("time", parse_time)
PRIORITY = Checked("|".join(PRIORITIES) + "|0-9", read_priority, _number)
JSON = Json()
