"""One connection, as waitress keeps it: what it is waited for, and who writes its answers. See `listener`."""

from __future__ import annotations

import socket
from typing import Any

import msgspec
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import ErrorTask, Task, WSGITask

from api.errors import MEDIA_TYPE, headers_of, plain
from api.headers import COMMON, DEFAULTS
from api.later import Reply
from api.limits import Limits
from taskqueue.core.clock import SECOND


class _ProblemTask(ErrorTask):  # type: ignore[misc]
    """What waitress itself refuses, as a problem."""

    def execute(self) -> None:
        error = self.request.error
        self.channel.server.refused(error.code)
        problem = plain(error.code, error.body)
        body = msgspec.json.encode(problem)
        self.status = f"{error.code} {error.reason}"
        self.response_headers.extend(
            [
                ("Content-Type", MEDIA_TYPE),
                *COMMON.items(),
                *DEFAULTS.items(),
                *headers_of(problem).items(),
            ]
        )
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _ReadyTask(Task):  # type: ignore[misc]
    """An answer that is there already, in one piece."""

    complete = True

    def execute(self) -> None:
        reply: Reply = self.request.reply
        self.status, self.response_headers, self.content_length = reply.status, reply.headers, len(reply.body)
        self.channel.write_soon(self.build_response_header() + reply.body)
        self.wrote_header = True


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    """Takes every target that is no address for a bad request; waitress lets what `urllib` says of some of them out."""

    reply: Reply | None = None
    """The answer, where it is there already when somebody begins to write it."""

    def parse_header(self, header_plus: bytes) -> None:
        try:
            super().parse_header(header_plus)
        except ValueError as error:
            raise ParsingError(f"Bad URI: {error}") from error


def _task(channel: Channel, request: Any) -> Task:
    return (_ReadyTask if request.reply is not None else WSGITask)(channel, request)


class Channel(HTTPChannel):  # type: ignore[misc]
    """A connection that knows since when it is being waited for."""

    task_class = staticmethod(_task)
    error_task_class = _ProblemTask
    parser_class = _Parser
    reading: Any = None
    since = 0
    untaken: tuple[int, int] | None = None
    counted = False

    def received(self, data: bytes) -> Any:
        result = super().received(data)
        if self.request is not self.reading:
            self.reading, self.since = self.request, self.server.clock.monotonic()
        return result

    def reply(self, request: Any, reply: Reply) -> None:
        """Answer the first request. Called by the loop."""
        if request in self.requests:  # else all was cancelled
            request.reply = reply
            self.server.last_word(request)
            self.service()

    def check_client_disconnected(self) -> bool:
        """Asked by the thread that works for it: has the client closed its side? The loop does not look while it waits
        for the answer.
        """
        if not self.connected:
            return True
        try:
            return not self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def handle_close(self) -> None:
        """Also let go of a body that never came to its end: large ones lie in a file."""
        super().handle_close()
        if self.request is not None:
            self.request.close()

    def close(self) -> None:
        """What the end of the server calls; waitress would leave the buffers open."""
        self.handle_close()

    def gives_slowly(self, now: int, limits: Limits) -> bool:
        """Does the client give its request slower than it may?"""
        request = self.request
        if request is None:
            return False
        if self.requests:
            self.since = now  # it cannot go on before the one ahead of it is answered
            return False
        size = request.header_bytes_received + request.body_bytes_received
        return bool(now - self.since > limits.patience + size * SECOND // limits.slowest)

    def takes_slowly(self, now: int, limits: Limits) -> bool:
        """Does it take its answer slower than it may?"""
        left = self.total_outbufs_len
        if not left:
            self.untaken = None
        elif self.untaken is None:
            self.untaken = (now, left)
        elif now - self.untaken[0] >= limits.idle:
            since, before = self.untaken
            self.untaken = (now, left)
            return bool(before - left < (now - since) * limits.slowest // SECOND)
        return False
