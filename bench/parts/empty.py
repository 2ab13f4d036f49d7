"""A server that answers every JSON POST with `{}`: the same waitress, threads, limits and Falcon as a node's API, and
nothing behind. `python bench/parts/empty.py` prints its port and serves until it is told to end.
"""

from __future__ import annotations

import json
import signal
import threading

import falcon

from actors.interpreter import collect_seldom, switch_often
from api.server import Server
from taskqueue.core.config import Config


class Empty:
    """Reads what was sent, as JSON."""

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        json.loads(req.bounded_stream.read())
        resp.status = falcon.HTTP_201
        resp.data = b"{}"


def main() -> None:
    end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: end.set())
    switch_often(False)  # both as a node does
    collect_seldom()
    app = falcon.App()
    app.add_route("/", Empty())
    server = Server(app, Config(api_port=0))
    server.start()
    print(json.dumps({"event": "ready", "port": server.port}), flush=True)
    end.wait()
    server.stop()


if __name__ == "__main__":
    main()
