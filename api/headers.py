"""What stands in the header of every answer, a refusal of the listener's own included."""

from __future__ import annotations

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""For pages: nothing from elsewhere, no script and no style inside the page, in nobody's frame. A form is
the script's alone: sent by the browser, it would put what stands in it, a token too, into an address."""

COMMON = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""For every answer. There is no header of CORS: no other origin's page may read anything."""

DEFAULTS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""For answers that say nothing else: data, not to be kept and not to be shown as a page."""
