"""Replies of the dashboard with the headers that keep a page to itself."""

from __future__ import annotations

from typing import Final

from starlette.responses import RedirectResponse, Response

from understudy.drawing.markup import Html

__all__ = ["SAFE_HEADERS", "asset_reply", "page_reply", "redirect"]

SAFE_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    # Not "no-referrer": browsers then send "Origin: null" with our own forms, and nothing could be told from it.
    # Neither tells another site anything.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""Nothing runs but files of this server, nothing is embedded, nothing is kept by caches."""


def page_reply(page: Html, status: int = 200) -> Response:
    """A whole page."""
    return Response(
        f"<!doctype html>\n{page}\n".encode("utf-8", "replace"),
        status_code=status,
        media_type="text/html",
        headers=SAFE_HEADERS,
    )


def asset_reply(text: str, media_type: str) -> Response:
    """A style sheet or script; it holds nothing of anybody, and a version in its address names its content."""
    return Response(
        text, media_type=media_type, headers={**SAFE_HEADERS, "cache-control": "public, max-age=31536000"}
    )


def redirect(address: str) -> Response:
    """See another page next, by GET."""
    return RedirectResponse(address, status_code=303, headers=SAFE_HEADERS)
