"""One request and its answer, as the endpoints see them, and the row of the table of routes that joins the two."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import falcon
import msgspec
from msgspec import Struct

from api.gateway import Gateway
from api.settings import LONGEST_BODY, Settings
from taskqueue.core.clock import Clock
from taskqueue.core.errors import InvalidInput, TooLarge
from taskqueue.core.fields import Readers, read_object
from taskqueue.core.strictjson import decode

_METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_CONVERTER = re.compile(r":\w+(?=})")


def integer(least: int, most: int) -> Callable[[object], int]:
    """A reader of a query parameter that is an integer."""

    def read(value: object) -> int:
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(most)):
            number = int(value)
            if least <= number <= most:
                return number
        raise ValueError(f"expected an integer from {least:,} to {most:,}")

    return read


class Call(Struct, frozen=True, kw_only=True):
    """A request to one route: path parameters and query are checked already, the body is read when it is asked for."""

    gateway: Gateway
    settings: Settings
    clock: Clock
    request: falcon.Request
    path: Mapping[str, str]
    query: Mapping[str, Any]

    def header(self, name: str) -> str | None:
        """A header's value; UTF-8 in it is read as such."""
        value: str | None = self.request.get_header(name)
        if value is None or value.isascii():
            return value
        try:
            return value.encode("latin-1").decode("utf-8")
        except UnicodeDecodeError:
            return value

    def body(self, limit: int) -> bytes:
        """The body, at most `limit` bytes of JSON, not parsed yet.

        Raises:
            falcon.HTTPUnsupportedMediaType: it does not say that it is JSON in UTF-8.
            TooLarge: it is longer.
        """
        if not _is_json(self.request.content_type or ""):
            raise falcon.HTTPUnsupportedMediaType(description="Send Content-Type: application/json (UTF-8)")
        if (self.request.content_length or 0) > limit:
            raise TooLarge(f"the body has {self.request.content_length:,} bytes; at most {limit:,} are taken")
        text: bytes = self.request.bounded_stream.read()
        return text

    def json(self) -> Any:
        """The body of a request that carries no payload, parsed strictly."""
        return decode(self.body(LONGEST_BODY))


class Answer(Struct, frozen=True):
    """What goes back: `body` is anything that msgspec encodes, None for no body; or `text` of another media type."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = {}
    text: bytes | None = None
    media_type: str = falcon.MEDIA_JSON


class Route(Struct, frozen=True):
    """A row of the table: what `answer` does when `method` comes to `path`; `query` are the parameters it takes."""

    method: str
    path: str
    answer: Callable[[Call], Answer]
    query: Readers = {}
    body: bool = False

    @property
    def template(self) -> str:
        """The path as people read it: `/api/tasks/{id}`."""
        return _CONVERTER.sub("", self.path)

    def responder(self, gateway: Gateway, settings: Settings, clock: Clock) -> Callable[..., None]:
        """The function that Falcon calls."""

        def respond(req: falcon.Request, resp: falcon.Response, **path: str) -> None:
            call = Call(
                gateway=gateway,
                settings=settings,
                clock=clock,
                request=req,
                path=path,
                query=read_object(req.params, self.query, "?"),
            )
            if not self.body and self.method in _METHODS_WITH_BODY and req.content_length and call.json() != {}:
                raise InvalidInput([("$", "expected no body, or {}")])
            answer = self.answer(call)
            resp.status = answer.status
            resp.set_headers(dict(answer.headers))
            if answer.body is not None or answer.text is not None:
                resp.content_type = answer.media_type
                resp.data = msgspec.json.encode(answer.body) if answer.text is None else answer.text

        return respond


def _is_json(content_type: str) -> bool:
    """`application/json`, and no other charset than UTF-8."""
    kind, parameters = falcon.parse_header(content_type)
    charset = parameters.get("charset", "utf-8").lower()
    return kind.lower() == falcon.MEDIA_JSON and charset in ("utf-8", "utf8")
