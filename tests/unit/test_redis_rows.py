"""What a claim of the Redis backend makes of a row: the short way for plain tasks tells the same as the long one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import redis_rows as rows
from tests.factories import draft

NOW = b"1700000000500000"
RUN: rows.Run = ("o", b"n", 7, NOW)
LATER = {b"id": b"t1", b"st": b"R", b"own": "o", b"nod": b"n", b"req": 7, b"fe": NOW, b"att": 1, b"beg": NOW}


def birth(lane: str, at: str, text: str, payload: bytes) -> bytes:
    return f"={lane}/12/{at}/{text}".encode() + payload


def test_the_text_of_a_draft_is_what_it_is_read_as() -> None:
    item, body = rows.draft_item(draft("t1", queue="mail", priority=7, digest=bytes(range(240, 256))), None)
    read, number = rows.first_run(birth(item[1], "1700000000000000", item[2], body), b"t1", None, RUN)
    assert (read.queue, read.priority, read.digest, read.payload) == ("mail", 7, bytes(range(240, 256)), body)
    assert number == b"12"


NUMBERS = st.tuples(st.integers(0, 9), st.integers(0, 2**31), st.integers(0, 100))


@given(st.sampled_from("=-:."), st.binary(max_size=16), NUMBERS, st.binary())
def test_both_ways_tell_the_same(mark: str, digest: bytes, numbers: tuple[int, int, int], payload: bytes) -> None:
    priority, timeout, retries = numbers
    text = digest.decode("latin-1").encode()
    fields = {b"ln": b"mail/send", b"no": b"12", b"at": b"1700000000000000", b"sum": b"99", b"dig": text}
    fields |= {b"pri": b"%d" % priority, b"to": b"%d" % timeout, b"ret": b"%d" % retries}
    fields |= {b"keep": b"0"} if mark in ":." else {}
    long_way = rows.task(fields | LATER, payload)
    head = f"{mark}mail/send/12/1700000000000000/".encode()
    head += b"%d/99/%d/%d/%d/%b" % (priority, timeout, retries, len(text), text)
    birth, body = (head + payload, None) if mark in "=:" else (head, payload)
    assert rows.first_run(birth, b"t1", body, RUN) == (long_way, b"12")
    assert rows.task(rows.born(birth) | LATER, payload) == long_way
    assert (long_way.digest, long_way.priority, long_way.retries) == (digest, priority, retries)


def test_a_field_of_its_own_counts_more_than_what_a_task_was_born_with() -> None:
    fields = {b"ln": b"mail/send", b"no": b"12", b"at": b"1700000000000000", b"new": b"4/99/300000000/3/d"}
    assert rows.task({**fields, **LATER, b"pri": b"9"}, b"1").priority == 9


@pytest.mark.parametrize("new", [b"", b"odd", b"4/99/300000000/3", b"4/99/300000000/3/d", b"4/x/300000000/3/1/d"])
def test_what_is_no_birth_cannot_be_read(new: bytes) -> None:
    with pytest.raises(rows.UNREADABLE):
        rows.first_run(b"=mail/send/12/1700000000000000/" + new + b"1", b"t1", None, RUN)
