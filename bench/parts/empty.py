"""A server that answers every JSON POST with `{}`: the same waitress, threads, limits and Falcon as a node's API, and
nothing behind. `python bench/parts/empty.py` prints its port and serves until it is told to end.
"""

from __future__ import annotations

import json
import signal
import sys
import threading

import falcon

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
    sys.setswitchinterval(0.005)  # as a node does that runs nothing for long
    app = falcon.App()
    app.add_route("/", Empty())
    server = Server(app, Config(api_port=0))
    server.start()
    print(json.dumps({"event": "ready", "port": server.port}), flush=True)
    end.wait()
    server.stop()


if __name__ == "__main__":
    main()
