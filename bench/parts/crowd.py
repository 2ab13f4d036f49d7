"""Many clients in one thread: each has a connection of its own and sends its next request when it has its answer.

Raw sockets and one poll for all of them, since on two cores a client that costs as much as the server would measure
itself: this one takes about a tenth of what the server does.
"""

from __future__ import annotations

import selectors
import socket
import time

_END = b"\r\n\r\n"
_LENGTH = b"content-length: "


def request(path: str, body: bytes) -> bytes:
    """A POST of JSON, as it goes over the wire."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Crowd:
    """`size` connections to a port of this machine."""

    def __init__(self, port: int, size: int) -> None:
        self._sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(size)]
        for one in self._sockets:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, text: bytes, count: int, within: float = 120.0) -> tuple[float, float]:
        """Send the same `count` times, over all connections; seconds of wall time, and of this thread's CPU.

        Raises:
            RuntimeError: an answer is no 2xx, a connection was closed, or it takes longer than `within` seconds.
        """
        poll = selectors.DefaultSelector()
        unsent, done = count, 0
        began, cpu = time.monotonic(), time.thread_time()
        for one in self._sockets:
            if unsent:
                poll.register(one, selectors.EVENT_READ, bytearray())
                one.sendall(text)
                unsent -= 1
        while done < count:
            if time.monotonic() - began > within:
                raise RuntimeError(f"{done} of {count} answers within {within} s")
            for key, _ in poll.select(1.0):
                answer: bytearray = key.data
                data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                if not data:
                    raise RuntimeError("a connection was closed")
                answer += data
                if not _whole(answer):
                    continue
                if not answer.startswith((b"HTTP/1.1 2", b"HTTP/1.0 2")):
                    raise RuntimeError(f"an answer: {bytes(answer[:300])!r}")
                answer.clear()
                done += 1
                if unsent:
                    unsent -= 1
                    key.fileobj.send(text)  # type: ignore[union-attr]
        took = time.monotonic() - began, time.thread_time() - cpu
        poll.close()
        return took

    def close(self) -> None:
        for one in self._sockets:
            one.close()


def _whole(answer: bytearray) -> bool:
    """Is this an answer to its end?"""
    end = answer.find(_END)
    if end < 0:
        return False
    head = bytes(answer[: end + 2]).lower()
    start = head.index(_LENGTH) + len(_LENGTH)
    return len(answer) >= end + len(_END) + int(head[start : head.index(b"\r\n", start)])
