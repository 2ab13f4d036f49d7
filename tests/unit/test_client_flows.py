"""What a client tries again, for how long, and when it believes that a task has ended; on a clock that pauses move."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from taskqueue.client import flows
from taskqueue.client.steps import (
    Cancel,
    Flow,
    Item,
    Later,
    Look,
    LookAll,
    Pause,
    Refused,
    Send,
    State,
    Step,
    T,
    Taken,
    TooBig,
)
from taskqueue.core.task import Status
from taskqueue.errors import (
    Conflict,
    InvalidInput,
    NotFinished,
    NotFound,
    QueueFull,
    TaskqueueError,
    TooLarge,
    Unavailable,
)

AWAY = Later(Unavailable("away"))
FULL = Later(QueueFull("full"), 1.0)


class Scene:
    """Carries flows out by a script; every pause and every wait takes its time, on a clock of its own."""

    def __init__(self, *answers: Any) -> None:
        self.time = 0.0
        self.steps: list[Step] = []
        self.pauses: list[float] = []
        self._answers = list(answers)

    def now(self) -> float:
        return self.time

    def run(self, flow: Flow[T]) -> T:
        try:
            step = next(flow)
            while True:
                answer = self._answer(step)
                step = flow.throw(answer) if isinstance(answer, TaskqueueError) else flow.send(answer)
        except StopIteration as end:
            value: T = end.value
            return value

    def _answer(self, step: Step) -> Any:
        if isinstance(step, Pause):
            self.time += step.seconds
            self.pauses.append(step.seconds)
            return None
        self.steps.append(step)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return answer(self, step) if callable(answer) else answer


def items(count: int) -> list[Item]:
    return [Item(f"t{n}", b"{}") for n in range(count)]


def spent(scene: Scene, seconds: float) -> None:
    """An answer takes its time."""
    scene.time += seconds


def sent(scene: Scene) -> list[list[str]]:
    return [[item.id for item in step.items] for step in scene.steps if isinstance(step, Send)]


def waited(scene: Scene, step: Look, state: State) -> State:
    """An answer that took the whole time it was asked to wait."""
    scene.time += step.wait
    return state


# -- one submit --------------------------------------------------------------------------------------------------------


def test_a_submit_without_an_answer_is_sent_again_with_the_same_id() -> None:
    scene = Scene([AWAY], [AWAY], [Taken("t0")])
    assert scene.run(flows.submit(items(1)[0], scene.now, 10)) == "t0"
    assert sent(scene) == [["t0"]] * 3
    assert 0 < scene.pauses[0] < scene.pauses[1]


def test_a_submit_gives_up_in_time_and_says_why() -> None:
    latest: list[float] = []

    def away(scene: Scene, step: Send) -> list[Later]:
        latest.append(scene.time + step.within)
        return [AWAY]

    scene = Scene(away)
    with pytest.raises(Unavailable):
        scene.run(flows.submit(items(1)[0], scene.now, 10))
    assert 7 < scene.time <= 10
    assert max(latest) <= 10.05


def test_a_full_queue_is_told_at_once_to_who_submits_one() -> None:
    scene = Scene([FULL])
    with pytest.raises(QueueFull):
        scene.run(flows.submit(items(1)[0], scene.now, 10))
    assert (len(scene.steps), scene.time) == (1, 0)


def test_what_is_wrong_is_not_sent_again() -> None:
    scene = Scene([Refused(InvalidInput([("$.payload", "required")]))])
    with pytest.raises(InvalidInput, match=r"\$\.payload: required"):
        scene.run(flows.submit(items(1)[0], scene.now, 10))
    assert len(scene.steps) == 1


def test_a_named_time_is_waited_for_and_no_less() -> None:
    scene = Scene([Later(Unavailable("away"), 3.0)], [Taken("t0")])
    scene.run(flows.submit(items(1)[0], scene.now, 10))
    assert 3 <= scene.time <= 3.75


# -- many --------------------------------------------------------------------------------------------------------------


def test_only_what_was_not_taken_is_sent_again_and_the_order_stays() -> None:
    wrong = Refused(InvalidInput([("$", "no")]))
    scene = Scene([Taken("t0"), FULL, wrong, AWAY], [AWAY, Taken("t3")], [Taken("t1")])
    outcomes = scene.run(flows.submit_all(items(4), scene.now, 60))
    assert outcomes == [Taken("t0"), Taken("t1"), wrong, Taken("t3")]
    assert sent(scene) == [["t0", "t1", "t2", "t3"], ["t1", "t3"], ["t1"]]
    assert scene.pauses[0] >= 1


def test_patience_ends_when_nothing_is_taken_for_so_long() -> None:
    scene = Scene([Taken("t0"), FULL], [FULL])
    outcomes = scene.run(flows.submit_all(items(2), scene.now, 30))
    assert outcomes == [Taken("t0"), FULL]
    assert 28 <= scene.time <= 31


def test_patience_begins_anew_with_each_task_taken() -> None:
    def one_more(scene: Scene, step: Send) -> list[Any]:
        first = [Taken(step.items[0].id)] if scene.time % 3 < 1.5 else [FULL]
        return [*first, *[FULL] * (len(step.items) - 1)]

    scene = Scene(one_more)
    outcomes = scene.run(flows.submit_all(items(30), scene.now, 5))
    assert all(isinstance(outcome, Taken) for outcome in outcomes)
    assert scene.time > 25


def test_a_batch_that_is_too_big_is_halved_and_its_order_stays() -> None:
    def at_most_two(_: Scene, step: Send) -> Any:
        big = any(item.id == "t5" for item in step.items) or len(step.items) > 2
        return TooBig(TooLarge("big")) if big else [Taken(item.id) for item in step.items]

    scene = Scene(at_most_two)
    outcomes = scene.run(flows.submit_all(items(8), scene.now, 60))
    assert [outcome.id if isinstance(outcome, Taken) else type(outcome) for outcome in outcomes] == [
        *("t0", "t1", "t2", "t3", "t4", Refused, "t6", "t7")
    ]


# -- waiting -----------------------------------------------------------------------------------------------------------

RUNS, DONE = State(Status.PROCESSING), State(Status.COMPLETED, b"1")


def test_a_long_poll_is_followed_by_the_next_at_once() -> None:
    slow = lambda scene, step: waited(scene, step, RUNS)  # noqa: E731
    scene = Scene(slow, slow, DONE)
    assert scene.run(flows.ended("t", scene.now, None, 10)) is DONE
    assert scene.pauses == []
    assert scene.time == 2 * flows.LONG_POLL


def test_who_cannot_wait_is_asked_ever_more_rarely() -> None:
    scene = Scene(*[RUNS] * 20, DONE)
    assert scene.run(flows.ended("t", scene.now, None, 10)) is DONE
    assert len(scene.pauses) == 20
    assert max(scene.pauses) <= flows.LONGEST_LOOK
    assert scene.pauses[0] < scene.pauses[-1]


@pytest.mark.parametrize("waits", [True, False])
def test_a_time_out_is_kept_to(waits: bool) -> None:
    scene = Scene((lambda scene, step: waited(scene, step, RUNS)) if waits else RUNS)
    with pytest.raises(NotFinished, match="processing after 3 s") as caught:
        scene.run(flows.ended("t", scene.now, 3, 10))
    assert caught.value.task_id == "t"
    assert scene.time == pytest.approx(3)
    assert isinstance(caught.value, TimeoutError)


def test_an_outage_is_waited_out_but_not_for_ever() -> None:
    scene = Scene(AWAY, AWAY, DONE)
    assert scene.run(flows.ended("t", scene.now, None, 10)) is DONE
    scene = Scene(AWAY)
    with pytest.raises(Unavailable):
        scene.run(flows.ended("t", scene.now, None, 10))
    assert flows.PATIENCE < scene.time < flows.PATIENCE + 3


def test_an_unknown_task_is_not_waited_for() -> None:
    scene = Scene(NotFound("no task"))
    with pytest.raises(NotFound):
        scene.run(flows.ended("t", scene.now, None, 10))


def test_some_ended_asks_only_after_those_that_have_not() -> None:
    scene = Scene({"b"}, set(), {"a"})
    assert scene.run(flows.some_ended(["a", "b", "c"], 2, scene.now, None, 10)) == {"a", "b"}
    assert [list(step.ids) for step in scene.steps if isinstance(step, LookAll)] == [
        ["a", "b", "c"],
        ["a", "c"],
        ["a", "c"],
    ]


def test_some_ended_ends_with_its_time() -> None:
    scene = Scene({"b"}, set[str]())
    assert scene.run(flows.some_ended(["a", "b"], 2, scene.now, 2, 10)) == {"b"}
    assert scene.time == pytest.approx(2)


def test_an_answer_is_waited_for_no_longer_than_the_time_that_is_left() -> None:
    hangs = lambda scene, step: waited(scene, replace(step, wait=step.wait + step.within), AWAY)  # noqa: E731
    scene = Scene(hangs)
    with pytest.raises(Unavailable):
        scene.run(flows.ended("t", scene.now, 0.5, 10))
    assert scene.time == pytest.approx(0.5 + flows.LATE)


def test_some_of_many_are_looked_at_with_one_question_and_no_more_than_are_wanted() -> None:
    names = [f"t{n}" for n in range(2 * flows.AT_ONCE + 1)]
    scene = Scene(lambda _, step: set(step.ids[: step.wanted]))
    assert len(scene.run(flows.some_ended(names, flows.AT_ONCE + 1, scene.now, None, 10))) == flows.AT_ONCE + 1
    asked = [(len(step.ids), step.wanted) for step in scene.steps if isinstance(step, LookAll)]
    assert asked == [(flows.AT_ONCE, flows.AT_ONCE + 1), (flows.AT_ONCE, 1)]


def test_some_of_many_that_hang_end_with_their_time() -> None:
    names = [f"t{n}" for n in range(3 * flows.AT_ONCE)]
    scene = Scene(lambda scene, step: (spent(scene, min(step.within, 0.4)), {step.ids[0]})[1])
    assert scene.run(flows.some_ended(names, 4, scene.now, 0.5, 10)) == set(names[:: flows.AT_ONCE])
    assert scene.time == pytest.approx(0.5 + flows.SOON)


def test_a_batch_that_hangs_is_given_up_when_patience_ends() -> None:
    scene = Scene(lambda scene, step: (spent(scene, min(step.within, 15)), [AWAY] * len(step.items))[1])
    assert scene.run(flows.submit_all(items(3), scene.now, 2)) == [AWAY] * 3
    assert scene.time == pytest.approx(2)


# -- cancelling --------------------------------------------------------------------------------------------------------


def test_a_cancel_whose_answer_got_lost_was_a_cancel() -> None:
    scene = Scene(AWAY, Conflict("a task that is cancelled …"), State(Status.CANCELLED))
    scene.run(flows.cancel("t", scene.now, 10))
    assert [type(step) for step in scene.steps] == [Cancel, Cancel, Look]


@pytest.mark.parametrize(
    "answers",
    [
        [Conflict("completed")],
        [AWAY, Conflict("completed"), DONE],
        [Conflict("cancelled, but not by this"), State(Status.CANCELLED)],
    ],
)
def test_a_cancel_that_comes_too_late_is_told(answers: Sequence[Any]) -> None:
    scene = Scene(*answers)
    with pytest.raises(Conflict):
        scene.run(flows.cancel("t", scene.now, 10))

