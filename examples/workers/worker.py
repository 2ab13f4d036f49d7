"""A worker with nothing but the standard library: claims tasks over HTTP, runs them, says how they ended.

    python examples/workers/worker.py [--url http://127.0.0.1:8080] [--lease 30]

`TASKQUEUE_TOKEN` is sent where it is set. It renews in the background while a task runs, gives a task up where the node
says that the run is over (409), tries again while no node answers, and on SIGTERM gives back what it has. It is a
template: put your own functions into `HANDLERS`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import threading
import time
import uuid
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

WAIT = 20
"""Seconds that a claim waits for work."""

PAUSE = 1.0
"""Seconds between two tries where no node answers."""


def count(payload: Any, lost: threading.Event) -> Any:
    """The handler `text.count`."""
    text = payload["text"]
    return {"characters": len(text), "words": len(text.split())}


def wait(payload: Any, lost: threading.Event) -> Any:
    """The handler `wait`: a long run should look at `lost` from time to time, and stop when it is set."""
    return {"waited": not lost.wait(payload["seconds"])}


HANDLERS = {"text.count": count, "wait": wait}


class Stop(BaseException):
    """SIGTERM came. No `Exception`, so that no handler takes it for one of its own."""


def stop(number: int, frame: object) -> None:
    """Once: what is being given back is not to be disturbed."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise Stop


class Node:
    """The API of a node, or of what stands before several."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.headers = {"Content-Type": "application/json"}
        if "TASKQUEUE_TOKEN" in os.environ:
            self.headers["Authorization"] = f"Bearer {os.environ['TASKQUEUE_TOKEN']}"

    def post(self, path: str, body: Any, within: float = WAIT + 15) -> tuple[int, Any]:
        """Status and answer. Raises OSError where none comes (`within` seconds), or not all of it, or a node says that
        it cannot now: then try again.
        """
        request = Request(self.url + path, json.dumps(body).encode(), self.headers)
        try:
            try:
                answer = urlopen(request, timeout=within)
            except HTTPError as error:
                answer = error
            with answer:
                if answer.status in (429, 502, 503, 504):
                    raise URLError(f"{answer.status}")
                return answer.status, json.load(answer)
        except HTTPException as error:
            raise URLError(f"{error!r}") from error

    def insist(self, path: str, body: Any) -> tuple[int, Any]:
        """The same, until there is an answer. Safe for a claim with a requestId, and for how a run ended."""
        while True:
            try:
                return self.post(path, body)
            except OSError as error:
                print(f"no answer ({error}), trying again", flush=True)
                time.sleep(PAUSE)


def renews(node: Node, path: str, every: float, lost: threading.Event, done: threading.Event) -> None:
    """Until the run is done, or over."""
    pause = every
    while not done.wait(pause):
        try:
            status, _ = node.post(f"{path}/renew", {}, within=every)
        except OSError:
            pause = min(every, PAUSE)  # the lease lasts for more than one try
            continue
        pause = every
        if status == 409:
            lost.set()
            return


def run(node: Node, grant: Any, lease: float) -> None:
    """Run one task, and say how it ended."""
    task, path = grant["task"], f"/api/leases/{grant['token']}"
    lost, done = threading.Event(), threading.Event()
    threading.Thread(target=renews, args=(node, path, lease / 3, lost, done), daemon=True).start()
    try:
        result = HANDLERS[task["handler"]](task["payload"], lost)
        json.dumps(result)  # what cannot be sent is the handler's failure
        ended, body = "complete", {"result": result}
    except Exception as error:
        ended, body = "fail", {"error": {"type": type(error).__name__, "message": str(error)}}
    finally:
        done.set()
    status, answer = (409, {}) if lost.is_set() else node.insist(f"{path}/{ended}", body)
    if ended == "complete" and status not in (200, 409):  # it cannot be kept, such as one that is too large
        ended, body = "fail", {"error": {"type": "BadResult", "message": str(answer.get("detail"))}}
        status, _ = node.insist(f"{path}/{ended}", body)
    print(f"{task['id']}: {ended if status == 200 else f'not wanted any more ({status})'}", flush=True)


def give_back(node: Node, wish: Any) -> None:
    """Whatever this claim has and is not finished. Asking once more is how to know: its answer may not have come."""
    try:
        _, answer = node.post("/api/leases", {**wish, "wait": 0})
        for grant in answer.get("tasks", ()):
            status, _ = node.post(f"/api/leases/{grant['token']}/release", {})
            print(f"{grant['task']['id']}: given back ({status})", flush=True)
    except OSError as error:
        print(f"no answer ({error}): what it has goes back when the lease ends", flush=True)


def main() -> None:
    """Claim and run, until SIGTERM."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--url", default=os.environ.get("TASKQUEUE_URL", "http://127.0.0.1:8080"))
    parser.add_argument("--lease", type=float, default=30.0, help="seconds")
    chosen = parser.parse_args()
    node = Node(chosen.url)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    wish: dict[str, Any] = {"handlers": list(HANDLERS), "wait": WAIT, "lease": chosen.lease}
    try:
        print("ready", flush=True)
        while True:
            wish["requestId"] = str(uuid.uuid4())
            status, answer = node.insist("/api/leases", wish)
            if status == 409:
                continue  # the claim's answer was lost, and its lease has ended before another came
            if status != 200:
                raise SystemExit(f"{status}: {answer.get('detail')}")
            for grant in answer["tasks"]:
                run(node, grant, chosen.lease)
    except Stop:
        if "requestId" in wish:
            give_back(node, wish)
        print("stopped", flush=True)


if __name__ == "__main__":
    main()
