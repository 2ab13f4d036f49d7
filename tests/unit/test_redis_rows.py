"""What a claim of the Redis backend makes of a row: the short way for plain tasks tells the same as the long one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import redis_rows as rows

PLAIN = [b"ln", b"mail/send", b"st", b"P", b"no", b"12", b"at", b"1700000000000000", b"pri", b"6", b"sum", b"99"]
PLAIN += [b"dig", "\x00\xe9\xff".encode(), b"to", b"300000000", b"ret", b"3"]
LATER = b"1700000000500000"


def long_way(flat: list[bytes], body: bytes | None) -> object:
    fields = rows.pairs(flat)
    fields |= {b"id": b"t1", b"st": b"R", b"own": "o", b"nod": b"n", b"req": 7, b"fe": LATER, b"att": 1, b"beg": LATER}
    return rows.task(fields, body)


def short_way(flat: list[bytes], body: bytes | None) -> object:
    return rows.first_run(flat, body, b"t1", LATER, ("o", b"n", 7, LATER))


@given(st.binary(max_size=16), st.integers(0, 9), st.integers(0, 2**31), st.integers(0, 100), st.integers(0, 3))
def test_both_ways_tell_the_same(digest: bytes, priority: int, timeout: int, retries: int, pieces: int) -> None:
    flat = [*PLAIN]
    flat[9], flat[13] = b"%d" % priority, digest.decode("latin-1").encode()
    flat[15], flat[17] = b"%d" % timeout, b"%d" % retries
    near = [b"pay", b'{"n":', b"pay2", b"1", b"pay3", b"}"][: 2 * pieces]
    flat += near
    body = None if near else b"[1]"
    task = short_way(flat, body)
    assert task is not None
    assert task == long_way(flat, body)


@pytest.mark.parametrize(
    "more",
    [
        *([], [b"big", b"1"], [b"exp", LATER], [b"key", b"k"], [b"pay2", b"1"]),
        *([b"pay", b"1", b"exp", LATER], [b"pay", b"1", b"att", b"1"], [b"pay", b"1", b"pay3", b"1"]),
        [b"pay", b"1", b"pay2", b"1", b"key", b"k"],
    ],
)
def test_a_task_that_has_anything_else_goes_the_long_way(more: list[bytes]) -> None:
    assert short_way([*PLAIN, *more], None) is None
