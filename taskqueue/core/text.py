"""Text that came from outside, made safe to show."""

from __future__ import annotations


def one_line(text: str) -> str:
    """The text with everything that is not printable (line breaks, lone surrogates) escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
