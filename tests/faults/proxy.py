"""A proxy before Redis or a node that loses, delays or swallows what passes; it stands in for a bad network."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

CHUNK = 1 << 16


class Proxy:
    """Listens on a Unix socket, or on a port of 127.0.0.1, and passes everything on to another of the kind, until it is
    told otherwise.

    `drop_reply(mark)`: the next request that holds `mark` is passed on, its answer is thrown away as soon as it comes,
    and the connection is cut: so it was carried out, and the client does not know. `hold()` holds back whatever comes
    from the server (a black hole), `release()` ends that. `cut()` breaks all connections; `refuse()` lets nobody in.
    """

    def __init__(self, path: Path | None, server: Path | int) -> None:
        """`path`: where it listens; None with the port of a server, before which it takes a port of its own."""
        self.path = path
        self.dropped = 0
        self.arrivals: list[float] = []
        """When somebody came, whether let in or not; monotonic seconds."""
        self.server = server
        """Whom it stands before; may be changed for those who come next."""
        self._mark: bytes | None = None
        self._open = threading.Event()
        self._open.set()
        self._delay = 0.0
        self._refusing = False
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_INET if path is None else socket.AF_UNIX)
        self._listener.bind(("127.0.0.1", 0) if path is None else str(path))
        self._listener.listen(64)
        self.port: int = 0 if path is not None else self._listener.getsockname()[1]
        self._start(self._accept)

    @property
    def url(self) -> str:
        """Its `redisAddress`."""
        return f"unix://{self.path}"

    def drop_reply(self, mark: str) -> None:
        """Lose the answer to the next request that holds `mark`."""
        self._mark = mark.encode()

    def delay(self, seconds: float) -> None:
        """Hold every answer back for so long."""
        self._delay = seconds

    def hold(self) -> None:
        """Nothing comes back any more."""
        self._open.clear()

    def release(self) -> None:
        """What was held comes back."""
        self._open.set()

    def refuse(self, on: bool = True) -> None:
        """Cut everybody, and let nobody in."""
        self._refusing = on
        if on:
            self.cut()

    def cut(self) -> None:
        """Break all connections."""
        with self._lock:
            for one in self._sockets:
                _shut(one)

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._open.set()
        _shut(self._listener)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join()

    def _start(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=work, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.arrivals.append(time.monotonic())
            tcp = isinstance(self.server, int)
            server = socket.socket(socket.AF_INET if tcp else socket.AF_UNIX)
            try:
                if self._refusing:
                    raise ConnectionRefusedError
                server.connect(("127.0.0.1", self.server) if tcp else str(self.server))
            except OSError:
                client.close()
                server.close()
                continue
            with self._lock:
                self._sockets |= {client, server}
            marked = threading.Event()
            self._start(self._requests, client, server, marked)
            self._start(self._replies, client, server, marked)

    def _requests(self, client: socket.socket, server: socket.socket, marked: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(CHUNK):
                with self._lock:
                    if self._mark is not None and self._mark in data:
                        self._mark = None
                        marked.set()
                server.sendall(data)
        _shut(client)
        _shut(server)

    def _replies(self, client: socket.socket, server: socket.socket, marked: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(CHUNK):
                if marked.is_set():
                    self.dropped += 1
                    break
                self._open.wait()
                if self._delay:
                    self._ended.wait(self._delay)
                client.sendall(data)
        _shut(client)
        _shut(server)
        with self._lock:
            self._sockets -= {client, server}
        client.close()
        server.close()


def _shut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
