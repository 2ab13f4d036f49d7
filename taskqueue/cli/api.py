"""Requests to a node, as the commands make them: one at a time, answered with JSON or raised as an error of ours."""

from __future__ import annotations

import json
import os
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

import msgspec

from taskqueue.cli.failures import Nobody
from taskqueue.client import answers
from taskqueue.client.ambient import DEFAULT_URL, TOKEN, URL
from taskqueue.client.answers import Reply
from taskqueue.client.rest import ANSWER, Request, RestDoor, Unreached
from taskqueue.core.clock import MILLISECOND, SECOND
from taskqueue.core.errors import ConfigError
from taskqueue.core.times import format_time
from taskqueue.errors import BadAnswer

LONG = 600.0
"""Seconds that a node may take for what it does to many tasks at once."""


class Fields(dict[str, Any]):
    """An object of an answer. What it lacks, a node of this version would have said."""

    def __missing__(self, name: str) -> Any:
        raise BadAnswer(f"what answers is no node, or one of another version: {name!r} is missing")


class Answer(msgspec.Struct, frozen=True):
    """What a node answered. `raw` is its JSON, as it came; empty where there is none."""

    status: int
    raw: bytes

    @property
    def json(self) -> Any:
        """The body, an object; to ask it for a field that it lacks raises BadAnswer. So does this."""
        try:
            body = json.loads(self.raw, object_hook=Fields)
        except (ValueError, RecursionError):
            raise BadAnswer(f"HTTP {self.status}, and its body is not JSON") from None
        if not isinstance(body, Fields):
            raise BadAnswer(f"HTTP {self.status}, and its body is no object")
        return body


class Api:
    """One node. `url` and `token`: as the command line was given them; else the environment's."""

    def __init__(self, url: str | None, token: str | None) -> None:
        where = url or os.environ.get(URL) or DEFAULT_URL
        if not where.lower().startswith(("http://", "https://")):
            raise ConfigError("--url: expected the http:// or https:// address of a node")
        self.door = RestDoor(where, token or os.environ.get(TOKEN) or None)

    @property
    def url(self) -> str:
        """Where the node is."""
        return self.door.url

    def get(self, path: str, within: float = ANSWER, **query: Any) -> Answer:
        """GET; what is None is left out of the query. Raises what `call` raises."""
        said = {key: value for key, value in query.items() if value is not None}
        return self.call("GET", f"{path}?{urlencode(said)}" if said else path, within=within)

    def post(self, path: str, body: Any = None, within: float = ANSWER) -> Answer:
        """POST."""
        return self.call("POST", path, body, within)

    def call(self, method: str, path: str, body: Any = None, within: float = ANSWER) -> Answer:
        """One request, once. `within`: seconds for the answer.

        Raises:
            TaskqueueError: of the kind that the client raises for the same answer.
        """
        return self.accept(self.ask(method, path, body, within))

    def accept(self, reply: Reply) -> Answer:
        """What a node answered, if it did not refuse. Raises as `call`."""
        if not 200 <= reply.status < 300:
            raise answers.refusal(reply)
        return Answer(reply.status, reply.body)

    def ask(self, method: str, path: str, body: Any = None, within: float = ANSWER) -> Reply:
        """The same for a caller who wants refusals too. Raises Nobody, Unavailable, BadAnswer."""
        sent = None if body is None else msgspec.json.encode(body)
        try:
            return self.door.exchange(Request(method, path, sent, within))
        except Unreached as error:
            raise Nobody(str(error)) from None


def just_after(reply: Reply) -> str | None:
    """A time of the node's clock just after it answered: its `Date` and a second, which is as exact as that is."""
    try:
        moment = parsedate_to_datetime(reply.date or "")
    except ValueError:
        return None
    return format_time(int(moment.timestamp()) * SECOND + SECOND + MILLISECOND)
