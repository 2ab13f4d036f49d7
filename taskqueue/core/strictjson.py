"""JSON from strangers: what is refused before anybody looks at its meaning, and when two texts mean the same.

Refused as malformed: what RFC 8259 does not allow (NaN, Infinity), text that is not UTF-8, half a surrogate pair, and
nesting deeper than `NESTING` levels, which is counted before the text is parsed.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from taskqueue.core.errors import InvalidInput, Malformed

NESTING = 32

_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_BRACKETS = bytes.maketrans(b"[{]}", b"(())")
_OTHERS = bytes(set(range(256)) - set(b"[{]}"))
_PLACED = re.compile(r"(.*?)(?: - at (?:`key` in )?`(\$.*)`)?", re.DOTALL)
_FIELD = re.compile(r"Object (contains unknown|missing required) field `(.*)`", re.DOTALL)


def too_deep(text: bytes, levels: int = NESTING) -> bool:
    """Do brackets nest deeper than `levels`? Says nothing of a text that is no JSON."""
    if text.count(b"[") + text.count(b"{") <= levels:
        return False
    rest = _STRING.sub(b"", text).translate(_BRACKETS, _OTHERS)
    for _ in range(levels):
        # Each pass takes away exactly the innermost level.
        shorter = rest.replace(b"()", b"")
        if len(shorter) == len(rest):
            break
        rest = shorter
    return b"(" in rest


def _number(text: str) -> int | float:
    """A float, as an int where it is one, since JSON knows only numbers: 5.0 is 5."""
    number = float(text)
    if number.is_integer():
        return int(number)
    if number in (float("inf"), float("-inf")):
        raise ValueError("number out of range")
    return number


def decoder(type: Any = Any) -> msgspec.json.Decoder[Any]:
    """A decoder that reads 5.0 as 5 and knows no infinity; use it through `decode`."""
    return msgspec.json.Decoder(type, float_hook=_number)


_ANY = decoder()


def decode(text: bytes, using: msgspec.json.Decoder[Any] = _ANY, *, levels: int = NESTING) -> Any:
    """The value of a JSON text.

    Raises:
        Malformed: it is no JSON, or nests too deep.
        InvalidInput: it is JSON of another shape than the decoder's type; paths begin at `$`.
    """
    if too_deep(text, levels):
        raise Malformed(f"nested deeper than {NESTING} levels")
    try:
        return using.decode(text)
    except msgspec.ValidationError as error:
        raise InvalidInput([placed(str(error))]) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed("not UTF-8" if garbled(error) else f"not JSON: {error}") from None
    except RecursionError:
        # Brackets inside a part that is only skimmed: such parts are counted one by one later.
        raise Malformed(f"nested deeper than {NESTING} levels") from None


def garbled(error: Exception) -> bool:
    """Is it that the text is not UTF-8? msgspec says so in an error of its own, or, before 0.23, in Python's."""
    return isinstance(error, UnicodeDecodeError) or (type(error) is msgspec.DecodeError and "UTF-8" in str(error))


def placed(message: str) -> tuple[str, str]:
    """msgspec's message as a path and a sentence."""
    match = _PLACED.fullmatch(message)
    assert match is not None
    text, path = match[1], match[2] or "$"
    field = _FIELD.fullmatch(text)
    if field:
        return member(path + ".", field[2]), "unknown field" if field[1] == "contains unknown" else "required"
    return path, text[0].lower() + text[1:]


def member(prefix: str, name: str) -> str:
    """The path of a member; names that strangers made up are cut short."""
    return prefix + (name if len(name) <= 64 else name[:64] + "…")


def encode(value: Any) -> bytes:
    """The JSON of a value of ours. msgspec writes NaN and Infinity as null, which would be another value: refused.

    Raises:
        TypeError, ValueError, OverflowError, RecursionError: JSON has no form for it.
    """
    text = msgspec.json.encode(value)
    if b"null" in text and value is not None:
        json.dumps(msgspec.to_builtins(value, enc_hook=_written), allow_nan=False)
    return text


def _written(part: Any) -> None:
    """For the look after NaN: what is JSON already holds none, and all else `msgspec.json.encode` has taken."""


_canonical = msgspec.json.Encoder(order="deterministic").encode


def canonical(value: Any) -> bytes:
    """The same bytes for equal values that `decode` gave: keys sorted, no white space, no integral floats."""
    return _canonical(value)
