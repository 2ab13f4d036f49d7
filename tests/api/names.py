"""Names that are none: what people try in ids, filters and paths."""

from __future__ import annotations

NAMES = [
    "x' OR '1'='1",
    "'; DROP TABLE tasks; --",
    "%s%n%d{0}{x.__class__}",
    "a\x00b",
    "a" * 65_536,
    "../../etc/passwd",
    "<script>",
    "é",
    "a b",
    "a\r\nSet-Cookie: x=1",
    "",
]
