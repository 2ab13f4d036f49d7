"""`taskqueue.testing`: code that submits is tested without a node, and handlers end as they do on one."""

from __future__ import annotations

import asyncio
import sys
from types import ModuleType

import pytest

import taskqueue
from taskqueue import Discard, Retry, Snooze, TaskContext, builtin, task, testing
from taskqueue.client import ambient
from taskqueue.errors import Conflict, InvalidInput, NotFinished, PartlyRefused, QueueFull, TaskCancelled, TaskFailed
from taskqueue.testing import memory

BACKOFF = {"base": "10s", "factor": 2, "jitter": 0.2}


@task("count", retries=2, backoff=BACKOFF, priority="high")
def count(upto: int, *, ctx: TaskContext) -> int:
    """Fail until the attempt asked for."""
    ctx.progress(ctx.attempt / upto, f"attempt {ctx.attempt}")
    if ctx.attempt < upto:
        raise ValueError("not yet")
    return ctx.attempt


@task("ends")
def ends(how: str) -> str:
    raise {"retry": Retry("again", delay="5m"), "discard": Discard("no"), "exit": SystemExit(3)}[how]


@task("naps")
def naps(bed: str, *, ctx: TaskContext) -> int:
    slept.append(bed)
    if len(slept) < 3:
        raise Snooze("1h")
    return ctx.attempt


@task("parent")
async def parent(children: int) -> list[str]:
    await asyncio.sleep(0)
    return [child.remote(n).id for n in range(children)]


@task("child")
def child(n: int) -> int:
    return n


@task("stops")
def stops(*, ctx: TaskContext) -> bool:
    """Cancel itself, and say whether it heard of it."""
    taskqueue.connect().ref(ctx.task_id).cancel()
    heard.append(ctx.cancelled)
    return True


heard: list[bool] = []
slept: list[str] = []


def test_nothing_runs_before_it_is_told_to() -> None:
    with testing.queue() as queue:
        ref = child.remote(7)
        assert (ref.id, ref.status()) == ("task-1", "pending")
        assert queue.run() == 1
        assert (ref.status(), ref.get()) == ("completed", 7)
        assert queue.run() == 0


def test_who_waits_for_a_result_lets_it_run() -> None:
    with testing.queue():
        assert taskqueue.get([child.remote(n) for n in range(3)]) == [0, 1, 2]
        refs = [child.remote(1), child.options(delay="1m").remote(2)]
        assert taskqueue.wait(refs, 2, timeout=5) == (refs[:1], refs[1:])
        with pytest.raises(NotFinished, match="clock stands still"):
            taskqueue.wait(refs, 2)


def test_retries_wait_for_the_clock_and_can_be_seen() -> None:
    with testing.queue() as queue:
        ref = count.remote(3)
        queue.run()
        seen = queue.task(ref.id)
        assert (seen.status, seen.attempt, seen.retries_left, seen.wait) == ("failed", 1, 1, 10.0)
        assert (seen.error, seen.progress) == ("ValueError: not yet", 1 / 3)
        queue.advance(9.5)
        assert queue.run() == 0
        with pytest.raises(NotFinished, match=r"is failed, due in 0\.5 s of the test's clock"):
            ref.get()
        queue.advance("500ms")
        assert queue.run() == 1
        assert queue.task(ref.id).wait == 20.0
        assert queue.run_all() == 1
        assert ref.get() == 3
        assert queue.task(ref.id).outcomes == ("failed", "failed", "completed")


def test_declared_defaults_hold_and_options_beat_them() -> None:
    with testing.queue(retry_count=1) as queue:
        count.remote(1)
        count.options(priority="low", retries=0, tags=["a"]).remote(1)
        child.remote(1)
        assert [(one.priority, one.retries_left) for one in queue.tasks()] == [(7, 2), (1, 0), (4, 1)]
        assert [one.tags for one in queue.tasks("count")] == [(), ("a",)]


@pytest.mark.parametrize(
    ("how", "status", "wait", "error"),
    [
        ("retry", "failed", 300.0, "Retry: again"),
        ("discard", "dead-lettered", 0.0, "Discard: no"),
        ("exit", "failed", 10.0, "SystemExit: 3"),
        ("odd", "failed", 10.0, "KeyError: 'odd'"),
    ],
)
def test_handlers_end_as_on_a_node(how: str, status: str, wait: float, error: str) -> None:
    ends_soon = taskqueue.core.config.Backoff(base=10_000_000, jitter=0.5)  # type: ignore[attr-defined]
    with testing.inline(backoff=ends_soon) as queue:
        seen = queue.task(ends.remote(how).id)
        assert (seen.status, seen.wait, seen.error) == (status, wait, error)


def test_a_snooze_costs_nothing() -> None:
    with testing.queue() as queue:
        slept.clear()
        ref = naps.remote("sofa")
        queue.run()
        assert queue.task(ref.id).wait == 3600.0
        assert queue.run_all() == 2
        assert (ref.get(), queue.task(ref.id).retries_left) == (1, 3)
        assert queue.task(ref.id).outcomes == ("snoozed", "snoozed", "completed")


def test_a_failure_is_raised_to_who_wants_the_result() -> None:
    with testing.inline():
        with pytest.raises(TaskFailed, match="Discard: no"):
            ends.remote("discard").get()
        ref = child.options(delay="1m").remote(1)
        ref.cancel()
        with pytest.raises(TaskCancelled):
            ref.get()
        with pytest.raises(Conflict):
            ref.cancel()


def test_inline_runs_at_once_also_what_handlers_submit() -> None:
    with testing.inline() as queue:
        ref = parent.remote(3)
        assert ref.get() == ["task-2", "task-3", "task-4"]
        assert [one.result for one in queue.tasks("child")] == [0, 1, 2]


def test_in_an_event_loop() -> None:
    async def main() -> None:
        ref = await parent.remote_async(2)
        assert await taskqueue.get_async([taskqueue.connect().ref(name) for name in await ref]) == [0, 1]
        assert child.remote(5).get() == 5  # blocking code under a running loop
        assert parent.remote(1).get() is not None

    with testing.inline():
        asyncio.run(main())


def test_a_handler_hears_that_it_was_cancelled() -> None:
    heard.clear()
    with testing.inline() as queue:
        ref = stops.remote()
        assert heard == [True]
        assert queue.task(ref.id).status == "cancelled"


def test_what_a_node_refuses_is_refused() -> None:
    with testing.queue(queue_size=2) as queue:
        with pytest.raises(InvalidInput, match=r"\$\.payload\.n"):
            child.remote("1")  # type: ignore[arg-type]
        with pytest.raises(InvalidInput, match=r"\$\.parameters\.priority"):
            child.options(priority=11).remote(1)
        with pytest.raises(PartlyRefused) as caught:
            queue.client.submit_many([child.body(n) for n in range(3)])  # waits for its patience, in no time
        assert isinstance(caught.value.failures[0][1], QueueFull)
        assert [one.payload for one in queue.tasks()] == [{"n": 0}, {"n": 1}]


def test_handlers_can_be_named_by_module_or_function() -> None:
    module = ModuleType("app")
    module.child = child  # type: ignore[attr-defined]
    for named in (module, child):
        with testing.queue(named) as queue:
            assert queue.client.submit("child", {"n": 5}).get() == 5
            unserved = queue.client.submit("other", 1)
            assert queue.run() == 0
            with pytest.raises(NotFinished, match="nobody serves its handler"):
                unserved.get()
            assert queue.tasks(status="pending")[0].handler == "other"
            with pytest.raises(KeyError):
                queue.task("nobody")


def test_what_an_application_connects_to_is_the_test_queue() -> None:
    before = ambient._ambient.default
    with testing.queue() as outer:
        with taskqueue.connect("http://elsewhere:1") as client:
            assert client is outer.client
        with testing.queue() as inner:
            assert ambient.current() is inner.client
        assert ambient.current() is outer.client
        assert builtin.echo.remote(1).get() == 1  # although it was closed
    assert ambient._ambient.default is before


def test_a_chain_without_end_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MOST_MOVES", 20)

    @task("forever")
    def forever() -> None:
        raise Snooze("1s")

    with testing.queue() as queue:
        forever.remote()
        with pytest.raises(NotFinished, match="after 20 moves"):
            queue.run_all()


def test_importing_it_opens_no_room() -> None:
    import subprocess

    rooms = "('storage', 'actors', 'pykka', 'redis', 'httpx2')"
    script = f"import sys, taskqueue.testing; print([room for room in {rooms} if room in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
