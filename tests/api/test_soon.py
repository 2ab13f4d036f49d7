"""Requests that need no thread: answers that are promised and come later, over real sockets."""

from __future__ import annotations

import http.client
import os
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any, BinaryIO

import pytest

from api.calls import Answer
from api.channel import Channel
from api.later import LATER, Later, Reply
from api.limits import Limits
from api.server import Server
from api.soon import SHORT, Soon
from taskqueue.core.clock import MILLISECOND, MINUTE, SECOND, ManualClock
from tests.api.sockets import BOUND, CONFIG, Gate, ask, connect, eventually, problem, serving


class Promising(Gate):
    """To `/soon` it promises; `promised` are those, `threads` the names of who asked. What they become is the test's to
    say. A body says what else to do: `decline`, `raise`, `now`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.promised: SimpleQueue[Later] = SimpleQueue()
        self.threads: list[str] = []
        self.forwarded: list[set[str]] = []
        self.finish: Callable[[], Reply] = lambda: Reply("201 Created", [("X-Kind", "kept")], b"kept")

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        if environ["PATH_INFO"] != "/soon":
            return super().__call__(environ, start_response)
        self.threads.append(threading.current_thread().name)
        self.forwarded.append({name for name in environ if "FORWARDED" in name})
        later: Later | None = environ.get(LATER)
        body = environ["wsgi.input"].read()
        if body == b"raise":
            raise RuntimeError("raised on purpose")
        start_response("200 OK", [("X-Kind", "now")])
        if later is None or body == b"now":
            return [b"now:" + body]
        later.finish = self._finish
        if body == b"decline":
            later.decline()
        else:
            later.promise(Answer, 5 * SECOND)
            self.promised.put(later)
        return [b"not meant for anybody"]

    def _finish(self) -> Reply:
        return self.finish()


@pytest.fixture
def app() -> Promising:
    return Promising()


@contextmanager
def soon(app: Promising, **options: Any) -> Iterator[Server]:
    with serving(app, soon=frozenset({"/soon"}), **options) as server:
        yield server


def post(body: bytes, path: str = "/soon", **headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode() + body


def answer_on(connection: Any) -> http.client.HTTPResponse:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    answer.text = answer.read()  # type: ignore[attr-defined]
    return answer


def body_of(answers: BinaryIO) -> bytes:
    """The body of the next of several answers."""
    headers = {}
    assert answers.readline().startswith(b"HTTP/1.1 20")
    while line := answers.readline().strip():
        name, _, value = line.partition(b": ")
        headers[name] = value
    return answers.read(int(headers[b"Content-Length"]))


def test_a_promise_holds_no_thread(app):
    with soon(app) as server, closing(connect(server)) as other:
        held = [connect(server) for _ in range(CONFIG.api_threads)]
        for connection in held:
            connection.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert app.inside.acquire(timeout=BOUND)
        many = [connect(server) for _ in range(20)]
        for connection in many:
            connection.sendall(post(b"{}"))
        promised = [app.promised.get(timeout=BOUND) for _ in many]
        other.sendall(post(b"now"))
        assert answer_on(other).text == b"now:now"
        for later in promised:
            later.ready()
        for connection in many:
            answer = answer_on(connection)
            assert (answer.status, answer.text, answer.headers["X-Kind"]) == (201, b"kept", "kept")
            assert answer.headers["Date"]
            connection.close()
        app.go.set()
        for connection in held:
            assert answer_on(connection).text == b"slow"
            connection.close()
    assert set(app.threads) == {"api"}


def test_what_is_ready_before_it_is_promised_is_answered(app, monkeypatch):
    real = Later.promise

    def promise(self: Later, answer: Callable[[], Any], within: int) -> Later:
        self.ready()
        return real(self, answer, within)

    monkeypatch.setattr(Later, "promise", promise)
    with soon(app) as server:
        assert ask(server, post(b"{}")).text == b"kept"


def test_a_request_that_was_declined_is_made_again_where_it_may_wait(app):
    with soon(app) as server:
        answer = ask(server, post(b"decline"))
        assert (answer.status, answer.text, answer.headers["X-Kind"]) == (200, b"now:decline", "now")
    assert [name.partition("-")[0] for name in app.threads] == ["api", "waitress"]


def test_a_promise_that_nobody_keeps_is_given_up(app):
    clock = ManualClock()
    app.finish = lambda: Reply("503 Service Unavailable", [], b"unknown")
    with soon(app, clock=clock) as server, closing(connect(server)) as connection:
        connection.sendall(post(b"{}"))
        later = app.promised.get(timeout=BOUND)
        clock.advance(6 * SECOND)
        answer = answer_on(connection)
        assert (answer.status, answer.text) == (503, b"unknown")
        later.ready()  # too late
        app.finish = lambda: Reply("201 Created", [], b"kept")
        connection.sendall(post(b"{}"))
        app.promised.get(timeout=BOUND).ready()
        assert answer_on(connection).text == b"kept"


def test_what_fails_is_a_problem_and_the_loop_goes_on(app, caplog):
    with soon(app) as server:
        assert problem(ask(server, post(b"raise")))["status"] == 500
        app.finish = lambda: 1 / 0  # type: ignore[assignment,return-value]
        with closing(connect(server)) as connection:
            connection.sendall(post(b"{}"))
            app.promised.get(timeout=BOUND).ready()
            answer = answer_on(connection)
            assert problem(answer)["status"] == 500
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert ask(server, post(b"now")).text == b"now:now"
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [RuntimeError, ZeroDivisionError]


def test_a_client_that_is_gone_by_then_harms_nobody(app, caplog):
    with soon(app) as server:
        for _ in range(3):
            connection = connect(server)
            connection.sendall(post(b"{}"))
            later = app.promised.get(timeout=BOUND)
            connection.close()
            later.ready()
        assert ask(server, post(b"now")).text == b"now:now"
        assert eventually(lambda: not server._listener.active_channels)
    assert not [record for record in caplog.records if record.exc_info]


def test_requests_in_a_row_are_answered_in_their_order(app):
    kept = iter("abc")
    app.finish = lambda: Reply("200 OK", [], next(kept).encode())
    with soon(app) as server, closing(connect(server)) as connection:
        get = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
        connection.sendall(post(b"{}") + post(b"{}") + post(b"now") + get + post(b"{}") + post(b"decline") + get)
        answers = connection.makefile("rb")
        first = app.promised.get(timeout=BOUND)
        assert app.promised.empty()  # the second waits for the first
        first.ready()
        app.promised.get(timeout=BOUND).ready()
        assert [body_of(answers) for _ in range(4)] == [b"a", b"b", b"now:now", b"fast"]
        # What comes behind an answer of the pool's is begun by the pool.
        assert [body_of(answers) for _ in range(3)] == [b"now:{}", b"now:decline", b"fast"]


def test_a_stop_waits_for_what_is_promised_and_it_is_the_last_answer(app):
    with soon(app) as server, closing(connect(server)) as connection:
        connection.sendall(post(b"{}"))
        later = app.promised.get(timeout=BOUND)
        stopped: list[bool] = []
        stopping = threading.Thread(target=lambda: stopped.append(server.stop(BOUND * SECOND)))
        stopping.start()
        assert eventually(lambda: server._listener._leaving)
        later.ready()
        answer = connection.makefile("rb").read()  # until the server closes
        assert answer.startswith(b"HTTP/1.1 201")
        assert b"Connection: close" in answer
        stopping.join(BOUND)
    assert stopped == [True]


def test_long_bodies_other_methods_and_other_paths_get_a_thread(app):
    with soon(app) as server:
        long = b"x" * (SHORT + 1)
        assert ask(server, post(long)).text == b"now:" + long
        assert ask(server, post(b"{}").replace(b"POST", b"PUT", 1)).status == 200
        assert ask(server, post(b"{}", "/other")).text == b"fast"
        assert app.promised.empty()
        chunked = b"POST /soon HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
        with closing(connect(server)) as connection:
            connection.sendall(chunked)
            app.promised.get(timeout=BOUND).ready()
            assert answer_on(connection).text == b"kept"


def test_an_old_client_gets_its_answer_and_its_end(app):
    with soon(app) as server, closing(connect(server)) as connection:
        connection.sendall(post(b"{}").replace(b"HTTP/1.1", b"HTTP/1.0"))
        app.promised.get(timeout=BOUND).ready()
        answer = connection.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.0 201 Created\r\n")
        assert answer.endswith(b"\r\n\r\nkept")


def test_too_many_promises_refuse_the_next(app):
    refused: list[int] = []
    limits = Limits(max_body=CONFIG.max_batch_bytes, waiting=3, patience=1 * MINUTE)
    with soon(app, limits=limits, refused=refused.append) as server:
        many = [connect(server) for _ in range(3)]
        for connection in many:
            connection.sendall(post(b"{}"))
        promised = [app.promised.get(timeout=BOUND) for _ in many]
        answer = ask(server, post(b"{}"))
        assert problem(answer)["detail"] == "Too many requests are waiting; try again"
        assert answer.headers["Retry-After"]
        assert refused == [503]
        for later in promised:
            later.ready()
        for connection in many:
            assert answer_on(connection).text == b"kept"
            connection.close()
        assert ask(server, post(b"now")).text == b"now:now"


def test_promises_that_fill_the_room_leave_it_to_other_requests(app):
    limits = Limits(max_body=CONFIG.max_batch_bytes, waiting=1, patience=1 * MINUTE)
    with soon(app, limits=limits) as server, closing(connect(server)) as connection:
        connection.sendall(post(b"{}"))
        later = app.promised.get(timeout=BOUND)
        assert ask(server, post(b"{}")).status == 503
        assert ask(server, post(b"{}", "/other")).text == b"fast"
        later.ready()
        assert answer_on(connection).text == b"kept"


def test_a_stop_that_cannot_wait_answers_what_is_promised_and_touches_no_file_of_others_afterwards(app):
    app.finish = lambda: Reply("503 Service Unavailable", [], b"unknown")
    with soon(app) as server, closing(connect(server)) as connection:
        connection.sendall(post(b"{}"))
        later = app.promised.get(timeout=BOUND)
        assert server.stop(50 * MILLISECOND) is False
        assert connection.makefile("rb").read().endswith(b"\r\n\r\nunknown")
        pipes = [os.pipe() for _ in range(20)]  # they get the numbers of what the server has closed
        later.ready()  # too late for anybody
        assert select.select([read for read, _ in pipes], [], [], 0)[0] == []
        for one in pipes:
            for end in one:
                os.close(end)


def test_what_waits_behind_an_answer_that_was_given_up_is_begun_at_once(app, monkeypatch):
    clock = ManualClock()
    begun: list[Channel] = []
    later_ones: list[Later] = []

    class Connection:
        requests = (None,)

        def reply(self, _request: object, _reply: Reply) -> None:
            queue.add(self)  # type: ignore[arg-type]  # as waitress does for the next request

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        begun.append(environ["channel"])
        later_ones.append(environ[LATER].promise(Answer, SECOND))
        later_ones[-1].finish = lambda: Reply("503 Service Unavailable", [], b"")
        start_response("200 OK", [])
        return []

    monkeypatch.setattr(
        "api.soon.WSGITask", lambda channel, _: SimpleNamespace(get_environment=lambda: {"channel": channel})
    )
    queue = Soon(application, clock, lambda _: None, lambda: None)
    connection = Connection()
    queue.add(connection)  # type: ignore[arg-type]
    queue.begin()
    clock.advance(2 * SECOND)
    queue.give_up(clock.monotonic())
    assert begun == [connection] * 2
    assert len(queue) == 1


def test_what_a_client_says_of_proxies_is_left_out_as_for_any_request(app: Promising) -> None:
    said = {"X-Forwarded-For": "10.1.2.3", "X-Forwarded-Proto": "https", "Forwarded": "for=10.1.2.3"}
    with soon(app) as server:
        assert ask(server, post(b"now", **said)).text == b"now:now"  # type: ignore[attr-defined]
    assert app.forwarded == [set()]
