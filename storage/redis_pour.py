"""Calls that are sent while the next are made, so that a client and Redis work at the same time without a thread.

State: that of a `Writer`. What does not go well on the way is done by `Writer.run`, with its patience.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from redis import exceptions as rx

from storage.connection import Cure
from storage.redis_calls import Call
from storage.redis_link import TROUBLE, Writer, settle
from taskqueue.core.errors import ConfigError


class PouringWriter(Writer):
    """A `Writer` that can do both."""

    def pour(self, calls: Iterable[Call], done: Callable[[Call, Any], None]) -> None:
        """`run` for calls that take their time to be made: each is sent as it comes, so that Redis works meanwhile."""
        if not self._config.redis_wait_replicas:
            try:
                calls = self._poured(calls, done)
            except BaseException:
                self.drop()  # answers are on their way that nobody will read
                raise
        left = list(calls)
        if left:
            self.run(left, done)

    def _poured(self, calls: Iterable[Call], done: Callable[[Call, Any], None]) -> list[Call]:
        """Send and answer what goes well; what is left."""
        calls, sent = iter(calls), list[Call]()
        try:
            wire = self.connect()
            for call in calls:
                sent.append(call)
                call.sent += 1
                wire.send_packed_command([b"".join(wire.pack_command(*self._commands.of(call)))], check_health=False)
        except (*TROUBLE, ConfigError):
            self.drop()
            return [*sent, *calls]
        left: list[Call] = []
        for n, call in enumerate(sent):
            try:
                reply = wire.read_response()
            except rx.ResponseError as error:
                reply = error
            except TROUBLE:
                self.drop()
                return left + sent[n:]
            if isinstance(settled := settle(reply), Cure):
                left.append(call)
            else:
                done(call, settled)
        return left
