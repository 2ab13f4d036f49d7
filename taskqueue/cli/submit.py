"""`taskqueue submit`: one task, or many from a file of JSON lines."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

import click
import msgspec

from taskqueue.cli import output
from taskqueue.cli.failures import DONE, NO, Told
from taskqueue.cli.parameters import parameterised
from taskqueue.cli.params import JSON, KEY, NAME, POSITIVE_SPAN, TASK_ID
from taskqueue.cli.session import Session, connected
from taskqueue.core.errors import InvalidInput, TaskqueueError, Unavailable

if TYPE_CHECKING:
    from taskqueue.cli.api import Answer
    from taskqueue.client.client import Client
    from taskqueue.client.refs import TaskRef


@click.command(epilog="A bare payload is JSON: a text wants its own quotes, as in  taskqueue submit echo '\"hello\"'")
@click.argument("handler", type=NAME, required=False)
@click.argument("payload", metavar="[JSON]", type=JSON, required=False)
@click.option(
    "--from",
    "source",
    type=click.File("rb"),
    metavar="FILE",
    help="Many: each line is a payload for HANDLER, or without one a whole task as the REST API takes it (- for stdin)",
)
@parameterised
@click.option("--id", "task_id", type=TASK_ID, metavar="ID", help="Id of the task; the same again is stored once")
@click.option("--idempotency-key", type=KEY, metavar="KEY", help="The same key is stored once within 24 hours")
@click.option("--wait", is_flag=True, help="Wait for its end and print its result; exit 1 if it has none")
@click.option("--within", type=POSITIVE_SPAN, metavar="DURATION", help="Wait no longer than this")
@connected
def submit(
    session: Session,
    *,
    handler: str | None,
    payload: msgspec.Raw | None,
    source: IO[bytes] | None,
    parameters: dict[str, Any],
    task_id: str | None,
    idempotency_key: str | None,
    wait: bool,
    within: Any,
) -> int:
    """Submit a task and print its id: HANDLER is to be given JSON (- for stdin).

    \b
    taskqueue submit email.send '{"to": "ada@example.com"}' --priority high
    taskqueue submit echo '[1, 2]' --wait
    taskqueue submit email.send --from payloads.jsonl
    """
    if within is not None and not wait:
        raise click.UsageError("--within says how long to --wait")
    if source is not None:
        _refuse_for_many(payload=payload, id=task_id, idempotency_key=idempotency_key, wait=wait or None)
        return _many(session, source, handler, parameters)
    if handler is None or payload is None:
        raise click.UsageError("expected HANDLER and JSON, or --from FILE")
    if idempotency_key is not None:
        parameters["idempotencyKey"] = idempotency_key
    body = {"id": task_id or _fresh_id(), "handler": handler, "payload": payload, "parameters": parameters}
    answer = _send(session, body)
    name = answer.json["id"]
    if not wait:
        session.answer(answer, lambda created: output.text(created["id"]))
        return DONE
    _mention_nobody(session, handler)
    return _wait(session, name, within)


def _refuse_for_many(**given: object) -> None:
    for name, value in given.items():
        if value is not None:
            shown = "JSON" if name == "payload" else "--" + name.replace("_", "-")
            raise click.UsageError(f"{shown} is for one task; with --from each line has its own")


def _fresh_id() -> str:
    from taskqueue.core.clock import SystemClock
    from taskqueue.core.ids import UuidIds

    return UuidIds(SystemClock(), os.urandom).new()


def _send(session: Session, body: dict[str, Any]) -> Answer:
    """Raises what the API says; an Unavailable has the id under which a repeat is safe."""
    try:
        return session.api.post("/api/tasks", body)
    except Unavailable as error:
        raise Unavailable(str(error), task_id=body["id"]) from None


def _mention_nobody(session: Session, handler: str) -> None:
    """Say where a wait may be a long one: for a mistyped name, perhaps. Where it cannot be known nothing is said."""
    try:
        served = session.api.get("/api/handlers").json["handlers"]
    except Unavailable:
        return
    if handler not in {one["name"] for one in served}:
        click.echo(f"no node serves {handler} now: it waits until one does, or a worker takes it over HTTP", err=True)


def _wait(session: Session, name: str, within: Any) -> int:
    """Wait for the end and print the result. Each look may be repeated, so a node that restarts is waited for."""
    from taskqueue.client import flows
    from taskqueue.client.steps import drive
    from taskqueue.core.clock import SECOND
    from taskqueue.core.times import parse_span

    seconds = None if within is None else parse_span(within) / SECOND
    try:
        drive(session.api.door, flows.ended(name, session.api.door.now, seconds, 10.0))
    except KeyboardInterrupt:
        click.echo(f"\ntask {name} goes on", err=True)
        raise
    answer = session.api.get(f"/api/tasks/{name}")
    task = answer.json
    if session.json:
        output.raw(answer.raw)
    elif task["status"] == "completed":
        output.raw(msgspec.json.format(msgspec.json.encode(task["result"]), indent=2))
    if task["status"] == "completed":
        return DONE
    error = task["error"]
    why = f" ({error['cause']}): {error['type']}: {error['message']}" if error else ""
    raise Told(f"task {name} is {task['status']}{why}", f"taskqueue show {name}")


# -- many --------------------------------------------------------------------------------------------------------------


def _many(session: Session, source: IO[bytes], handler: str | None, parameters: dict[str, Any]) -> int:
    """Submit each line; ids go to stdout in order, mistakes to stderr with their line."""
    from taskqueue.cli.progress import bar
    from taskqueue.client.client import Client
    from taskqueue.client.refs import TaskRef

    size = None
    with suppress(OSError):
        size = os.fstat(source.fileno()).st_size or None
    taken = failed = 0
    with bar("submitting", size, bytes=True) as progress:
        lines = _Lines(source, handler, parameters, progress.advance)
        for place, outcome in lines.outcomes(Client(session.api.door)):
            if isinstance(outcome, TaskRef):
                taken += 1
                click.echo(msgspec.json.encode({"id": outcome.id}) if session.json else outcome.id)
            else:
                failed += 1
                progress.say(f"line {place}: {outcome}")
                if session.json:
                    click.echo(msgspec.json.encode({"line": place, "error": str(outcome)}))
    click.echo(f"{output.counted(taken)} submitted" + (f", {failed:,} refused" if failed else ""), err=True)
    return NO if failed else DONE


class _Lines:
    """The lines of a file as submits. What is no JSON is refused here, in its turn."""

    def __init__(self, source: IO[bytes], handler: str | None, parameters: dict[str, Any], on_read: Any) -> None:
        self._source = source
        self._handler = handler
        self._parameters = parameters
        self._on_read = on_read
        self._read: deque[tuple[int, InvalidInput | None]] = deque()

    def outcomes(self, client: Client) -> Iterator[tuple[int, TaskRef[Any] | TaskqueueError]]:
        """Of each line that is not empty: its number, and a ref or an error. Raises Unavailable, QueueFull."""
        for outcome in client.submit_each(self._bodies()):
            yield from self._refused()
            place, _ = self._read.popleft()
            yield place, outcome
        yield from self._refused()

    def _refused(self) -> Iterator[tuple[int, InvalidInput]]:
        """The lines whose turn it is that were not sent."""
        while self._read and (error := self._read[0][1]) is not None:
            yield self._read.popleft()[0], error

    def _bodies(self) -> Iterator[Mapping[str, Any]]:
        for place, line in enumerate(self._source, 1):
            self._on_read(len(line))
            if not line.strip():
                continue
            try:
                body = self._body(line.strip())
            except InvalidInput as error:
                self._read.append((place, error))
            else:
                self._read.append((place, None))
                yield body

    def _body(self, line: bytes) -> Mapping[str, Any]:
        try:
            value = msgspec.json.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidInput([("$", f"not JSON: {error}")]) from None
        if self._handler is not None:
            return {"handler": self._handler, "payload": msgspec.Raw(line), "parameters": self._parameters}
        if not isinstance(value, dict):
            raise InvalidInput([("$", "expected an object; name a HANDLER if lines are payloads")])
        own = value.get("parameters", {})
        if self._parameters and isinstance(own, dict):
            value["parameters"] = {**self._parameters, **own}
        return value
