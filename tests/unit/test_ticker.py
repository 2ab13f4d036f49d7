"""The timer: on time, in order, again and again, and never after it was stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from actors.messages import KeepHouse, Message, Reconcile, TakePulse, Wake
from actors.ticker import ThreadTicker
from taskqueue.core.clock import HOUR, MILLISECOND, SystemClock
from tests.clients import until
from tests.postoffice import Box

WITHIN = 5.0


class Stamped(Box):
    """Notes when it was told, and holds up its teller if asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.at: list[float] = []
        self.gate = threading.Event()
        self.gate.set()

    def tell(self, message: Message) -> bool:
        self.at.append(time.monotonic())
        self.gate.wait(WITHIN)
        return super().tell(message)


@pytest.fixture
def ticker() -> Iterator[ThreadTicker]:
    ticker = ThreadTicker(SystemClock())
    ticker.start()
    yield ticker
    ticker.stop()


def test_an_alarm_comes_once_and_not_early(ticker: ThreadTicker) -> None:
    box = Stamped()
    began = time.monotonic()
    ticker.after(30 * MILLISECOND, box, Wake())
    until(lambda: box.at, WITHIN, "the alarm comes")
    assert box.at[0] - began >= 0.03
    ticker.after(20 * MILLISECOND, box, KeepHouse())
    until(lambda: len(box.mail) == 2, WITHIN, "the next comes")
    assert box.mail == [Wake(), KeepHouse()]


def test_alarms_come_in_the_order_of_their_moments_whatever_the_order_of_asking(ticker: ThreadTicker) -> None:
    """Also where the earlier is asked for while the timer sleeps until the later."""
    box = Box()
    for delay, message in ((60, TakePulse()), (20, Wake()), (40, Reconcile()), (-5, KeepHouse())):
        ticker.after(delay * MILLISECOND, box, message)
    until(lambda: len(box.mail) == 4, WITHIN, "all come")
    assert box.mail == [KeepHouse(), Wake(), Reconcile(), TakePulse()]


def test_alarms_of_one_moment_come_in_the_order_of_asking() -> None:
    ticker, box = ThreadTicker(SystemClock()), Box()
    for message in (Wake(), Reconcile(), KeepHouse()):
        ticker.after(0, box, message)
    ticker.start()
    until(lambda: len(box.mail) == 3, WITHIN, "all come")
    ticker.stop()
    assert box.mail == [Wake(), Reconcile(), KeepHouse()]


def test_ticks_come_again_and_again_and_what_was_missed_is_not_made_up_for(ticker: ThreadTicker) -> None:
    box = Stamped()
    ticker.every(5 * MILLISECOND, box, Wake())
    until(lambda: len(box.at) >= 3, WITHIN, "it ticks")
    box.gate.clear()
    before = len(box.mail)
    until(lambda: len(box.at) > before, WITHIN, "one is held up")
    held = box.at[-1]
    until(lambda: time.monotonic() - held > 0.1, WITHIN, "twenty would have come")
    count = len(box.at)
    box.gate.set()
    until(lambda: len(box.at) > count + 2, WITHIN, "it goes on")
    late = [moment for moment in box.at[count:] if moment - held < 0.105]
    assert len(late) <= 2


def test_one_that_is_not_there_does_not_stop_the_others(ticker: ThreadTicker) -> None:
    gone, here = Box(), Box()
    gone.deaf = True
    ticker.every(2 * MILLISECOND, gone, Wake())
    ticker.every(3 * MILLISECOND, here, Wake())
    until(lambda: len(here.mail) >= 3, WITHIN, "the other ticks")


def test_after_the_stop_nothing_comes_and_no_thread_is_left() -> None:
    before = threading.active_count()
    ticker, box = ThreadTicker(SystemClock()), Box()
    ticker.every(MILLISECOND, box, Wake())
    ticker.after(HOUR, box, Wake())
    ticker.start()
    until(lambda: box.mail, WITHIN, "it ticks")
    ticker.stop()
    count = len(box.mail)
    assert threading.active_count() == before
    ticker.after(0, box, Wake())
    assert len(box.mail) == count


def test_one_that_sleeps_for_long_can_be_stopped_at_once() -> None:
    ticker = ThreadTicker(SystemClock())
    ticker.start()
    ticker.after(HOUR, Box(), Wake())
    began = time.monotonic()
    ticker.stop()
    assert time.monotonic() - began < 1
