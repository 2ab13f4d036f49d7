"""`taskqueue bench`: a quick measurement of a running node, by tasks that do nothing. They are deleted afterwards."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from math import ceil
from time import monotonic, sleep
from typing import Any

import click
import msgspec

from taskqueue.cli import failures, output
from taskqueue.cli.failures import Told
from taskqueue.cli.params import NAME, POSITIVE_SPAN
from taskqueue.cli.progress import Bar, bar
from taskqueue.cli.session import Session, connected

MOST_TASKS = 100_000
LOOK_EVERY, LONG_POLL = 0.25, 20.0
CAVEAT = (
    "One client, one connection, one batch after the other, an `echo` that does nothing; client, network and "
    "whatever else ran on these machines are in it. It tells two settings apart, not two products."
)


class Measured(msgspec.Struct, rename="camel"):
    """What was seen. Rates are tasks a second; spans are milliseconds; `attempts`: runs of all tasks together."""

    tasks: int
    completed: int
    attempts: int
    batch: int
    submitted_per_second: float
    finished_per_second: float
    batch_ms: dict[str, float]
    submit_ms: dict[str, float]
    round_trip_ms: dict[str, float]
    caveat: str = CAVEAT


@click.command("bench")
@click.option("--tasks", type=click.IntRange(1, MOST_TASKS), default=2_000, show_default=True, help="Tasks in batches")
@click.option("--batch", type=click.IntRange(1, 1_000), default=500, show_default=True, help="Tasks in one request")
@click.option("--singles", type=click.IntRange(1, 1_000), default=50, show_default=True, help="Tasks one at a time")
@click.option("--queue", type=NAME, default="default", show_default=True, help="Queue that they go through")
@click.option("--patience", type=POSITIVE_SPAN, default="60s", show_default=True, help="Longest time without progress")
@connected
def bench(session: Session, *, tasks: int, batch: int, singles: int, queue: str, patience: Any) -> int:
    """Measure a running node: submit tasks that do nothing, wait for all, count them, delete them.

    They run beside whatever else is in the queue, and count in the node's statistics.
    """
    from taskqueue.core.clock import SECOND
    from taskqueue.core.times import parse_span

    run = _Run(session, queue, parse_span(patience) / SECOND)
    try:
        submits, round_trips = run.one_at_a_time(singles)
        with bar("tasks", 2 * tasks) as progress:
            took, batches = run.in_batches(tasks, batch, progress)
            run.wait(tasks, progress)
        seen = list(run.tasks(run.many))
    finally:
        run.clean()
    done = [task for task in seen if task["status"] == "completed"]
    measured = Measured(
        tasks=tasks,
        completed=len(done),
        attempts=sum(task["attempt"] for task in seen),
        batch=batch,
        submitted_per_second=tasks / took,
        finished_per_second=len(done) / max(_span(seen), 0.001),
        batch_ms=_percentiles(batches),
        submit_ms=_percentiles(submits),
        round_trip_ms=_percentiles(round_trips),
    )
    _print(session, measured)
    if len(seen) != tasks or len(done) != tasks:
        found = f"{len(seen):,} of {tasks:,} tasks were found, {len(done):,} completed"
        raise Told(found, "were some deleted or cancelled meanwhile, or given up? `taskqueue top` counts what fails")
    return failures.DONE


def _span(tasks: Sequence[dict[str, Any]]) -> float:
    """Seconds from the first task's birth to the last one's end, by the node's clock."""
    from taskqueue.core.clock import SECOND
    from taskqueue.core.times import parse_time

    begun = [parse_time(task["createdAt"]) for task in tasks]
    ended = [parse_time(task["finishedAt"]) for task in tasks if task["finishedAt"]]
    return (max(ended) - min(begun)) / SECOND if ended else 0.0


def _percentiles(spans: Sequence[float]) -> dict[str, float]:
    """Of seconds, in milliseconds; the nearest that was seen."""
    ranked = sorted(spans)
    return {f"p{n}": round(1_000 * ranked[ceil(n / 100 * len(ranked)) - 1], 3) for n in (50, 95, 99)}


def _print(session: Session, measured: Measured) -> None:
    if session.json:
        output.raw(msgspec.json.encode(measured))
        return
    spans = ("batch_ms", "submit_ms", "round_trip_ms")
    names = (f"a batch of {measured.batch:,}", "a single submit", "single, until it is done")
    rows = [
        (name, *(output.millis(getattr(measured, span)[key]) for key in ("p50", "p95", "p99")))
        for name, span in zip(names, spans, strict=True)
    ]
    facts = (
        ("tasks", f"{measured.tasks:,}, {measured.completed:,} completed in {measured.attempts:,} runs"),
        ("submitted", f"{measured.submitted_per_second:,.0f} tasks/s"),
        ("finished", f"{measured.finished_per_second:,.0f} tasks/s, from the first submit to the last end"),
    )
    spread = output.table(("answer after", ">p50", ">p95", ">p99"), rows)
    output.show(output.facts(facts), "", spread, "", output.text(measured.caveat, "dim"))


class _Run:
    """The tasks of one measurement, known by their tags."""

    def __init__(self, session: Session, queue: str, patience: float) -> None:
        self._api = session.api
        self._queue = queue
        self._patience = patience
        name = f"bench-{secrets.token_hex(4)}"
        self.many, self._singles = f"{name}-many", f"{name}-singles"
        self._last = ""

    def one_at_a_time(self, count: int) -> tuple[list[float], list[float]]:
        """Seconds until each was stored, and until it was done."""
        self._api.get("/healthz")  # the connection is made before anything is measured
        stored, done = [], []
        for number in range(count):
            began = monotonic()
            name = self._api.post("/api/tasks", self._body(number, self._singles)).json["id"]
            stored.append(monotonic() - began)
            while True:
                task = self._api.get(
                    f"/api/tasks/{name}", within=75.0, wait=f"{min(LONG_POLL, self._patience):.3f}s"
                ).json
                if task["finishedAt"] is not None:
                    break
                self._check_patience(began, f"{name} is {task['status']}")
            done.append(monotonic() - began)
        return stored, done

    def in_batches(self, count: int, batch: int, progress: Bar) -> tuple[float, list[float]]:
        """Seconds for all, and for each batch."""
        from taskqueue.client import flows
        from taskqueue.client.client import Client
        from taskqueue.client.steps import Taken, drive

        door = self._api.door
        client = Client(door)
        spans: list[float] = []
        start = monotonic()
        for first in range(0, count, batch):
            began = monotonic()
            items = [client.item(self._body(number, self.many)) for number in range(first, min(count, first + batch))]
            for outcome in drive(door, flows.submit_all(items, door.now, self._patience)):
                if not isinstance(outcome, Taken):
                    raise outcome.error
                self._last = outcome.id
            spans.append(monotonic() - began)
            progress.advance(len(items))
        return monotonic() - start, spans

    def wait(self, count: int, progress: Bar) -> None:
        """Until all have ended. They are counted by the node, in one question."""
        done, since = 0, monotonic()
        while done < count:
            self._api.get(f"/api/tasks/{self._last}", within=75.0, wait=f"{LOOK_EVERY}s")
            now = self._bulk("delete", self.many, dry_run=True)
            if now > done:
                since = monotonic()
                progress.advance(now - done)
                done = now
            else:
                self._check_patience(since, f"{done:,} of {count:,} tasks have ended")
                sleep(LOOK_EVERY)

    def tasks(self, tag: str) -> Iterator[dict[str, Any]]:
        """All of them, as they are now."""
        cursor = None
        while True:
            page = self._api.get("/api/tasks", within=60.0, tag=tag, limit=1_000, cursor=cursor).json
            yield from page["tasks"]
            cursor = page["nextCursor"]
            if cursor is None:
                return

    def clean(self) -> None:
        """Delete whatever is left of them."""
        for tag in (self.many, self._singles):
            self._bulk("cancel", tag)
            self._bulk("delete", tag)

    def _bulk(self, action: str, tag: str, *, dry_run: bool = False) -> int:
        body = {"action": action, "filter": {"tag": tag}, "dryRun": dry_run}
        count: int = self._api.post("/api/tasks/bulk", body, 600.0).json["count"]
        return count

    def _body(self, number: int, tag: str) -> dict[str, Any]:
        return {"handler": "echo", "payload": number, "parameters": {"queue": self._queue, "tags": [tag]}}

    def _check_patience(self, since: float, how: str) -> None:
        if monotonic() - since > self._patience:
            hint = f"does a node serve {self._queue}? `taskqueue queue` shows it"
            raise Told(f"no progress for {self._patience:g} s: {how}", hint)
