"""One request and its answer, as the endpoints see them, and the row of the table of routes that joins the two."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import falcon
import msgspec
from msgspec import Struct

from api.files import File
from api.gateway import Gateway
from api.later import LATER, Later
from api.settings import LONGEST_BODY, Settings
from taskqueue.core.access import Role
from taskqueue.core.clock import Clock
from taskqueue.core.errors import InvalidInput, TooLarge
from taskqueue.core.fields import Readers, read_object
from taskqueue.core.strictjson import decode

METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
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


LONGEST_CURSOR = 1_000


def read_cursor(value: object) -> str:
    """A reader of a query parameter that is a cursor; whether it leads anywhere, the store says."""
    if isinstance(value, str) and 1 <= len(value) <= LONGEST_CURSOR and value.isprintable():
        return value
    raise ValueError("expected the nextCursor of an earlier page")


class Caller(Struct, frozen=True):
    """Who asks: the token's name (None: there are no tokens, or the route is open) and its role."""

    name: str | None
    role: Role | None


class Site(Struct, frozen=True, kw_only=True):
    """What all requests share: the node, and what stands by for it. `description` makes the text of `/openapi.json`."""

    gateway: Gateway
    settings: Settings
    clock: Clock
    files: Mapping[str, File]
    description: Callable[[], bytes]


class Call(Struct, frozen=True, kw_only=True):
    """A request to one route: path parameters and query are checked already, the body is read when it is asked for."""

    site: Site
    gateway: Gateway
    settings: Settings
    clock: Clock
    caller: Caller
    request: falcon.Request
    path: Mapping[str, str]
    query: Mapping[str, Any]

    @property
    def by(self) -> str:
        """Who is to be named in the audit log; nobody where there are no tokens."""
        return self.caller.name or ""

    def gone(self) -> bool:
        """Has the client gone away? Nobody knows where the server does not say so: then it is taken to be there."""
        disconnected = self.request.env.get("waitress.client_disconnected")
        return disconnected is not None and bool(disconnected())

    @property
    def later(self) -> Later | None:
        """Where an answer can be promised, if the server can wait without a thread."""
        later: Later | None = self.request.env.get(LATER)
        return later

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


class Text(Struct, frozen=True):
    """The description of an answer that is no JSON."""

    media_type: str
    says: str


class Route(Struct, frozen=True):
    """A row of the table: what `answer` does when `method` comes to `path`, with at least `role` (None: anybody).

    `query` are the parameters it takes, `headers` those that mean something to it, `body` is the type of what it takes
    as JSON (None: nothing). `answers` are the types of what it answers by status (None: no body); `problems` are the
    refusals that are its own, beside those that every such route has. The docstring of `answer` says what it does.
    `soon`: short requests are taken without a thread of their own, and it does not wait where it can promise.
    """

    method: str
    path: str
    role: Role | None
    answer: Callable[[Call], Answer | Later]
    answers: Mapping[int, Any]
    query: Readers = {}
    headers: tuple[str, ...] = ()
    body: Any = None
    problems: tuple[int, ...] = ()
    soon: bool = False

    @property
    def template(self) -> str:
        """The path as people read it: `/api/tasks/{id}`."""
        return _CONVERTER.sub("", self.path)

    def responder(self, site: Site) -> Callable[..., None]:
        """The function that Falcon calls."""

        def respond(req: falcon.Request, resp: falcon.Response, **path: str) -> None:
            call = Call(
                site=site,
                gateway=site.gateway,
                settings=site.settings,
                clock=site.clock,
                caller=req.context.caller,
                request=req,
                path=path,
                query=read_object(req.params, self.query, "?"),
            )
            if self.body is None and self.method in METHODS_WITH_BODY and req.content_length and call.json() != {}:
                raise InvalidInput([("$", "expected no body, or {}")])
            answer = self.answer(call)
            if isinstance(answer, Answer):
                write(resp, answer)

        return respond


def write(resp: falcon.Response, answer: Answer) -> None:
    """Make the answer Falcon's."""
    resp.status = answer.status
    resp.set_headers(dict(answer.headers))
    if answer.body is not None or answer.text is not None:
        resp.content_type = answer.media_type
        resp.data = msgspec.json.encode(answer.body) if answer.text is None else answer.text


def _is_json(content_type: str) -> bool:
    """`application/json`, and no other charset than UTF-8."""
    kind, parameters = falcon.parse_header(content_type)
    charset = parameters.get("charset", "utf-8").lower()
    return kind.lower() == falcon.MEDIA_JSON and charset in ("utf-8", "utf8")
