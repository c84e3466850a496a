"""Keeps other sites from sending this site's forms: a token of the session in each, and where the browser says that
the form comes from. Small bodies only.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request

from understudy.serving.problems import RequestProblem

__all__ = ["TOKEN_FIELD", "Form", "check_form", "read_form"]

TOKEN_FIELD: Final = "form_token"  # noqa: S105  (a field's name)
_MOST_BYTES = 200_000
_MOST_SECONDS = 10.0
_MOST_FIELDS = 2_000
Form = Mapping[str, list[str]]
"""Values by field; a field that was left empty is there, with an empty text."""


async def read_form(request: Request) -> Form:
    """The fields of a form that was sent as a browser sends one.

    Raises
    ------
    RequestProblem
        413 if it is too large, 408 if it takes too long, 400 if it is no form.
    """
    if (
        request.headers.get("content-type", "").partition(";")[0].strip()
        != "application/x-www-form-urlencoded"
    ):
        raise RequestProblem(400, "no_form", "This is not a form.")
    data = b""
    try:
        async with asyncio.timeout(_MOST_SECONDS):
            async for piece in request.stream():
                data += piece
                if len(data) > _MOST_BYTES:
                    raise RequestProblem(413, "form_too_large", f"A form may have {_MOST_BYTES:,} bytes.")
    except TimeoutError as error:
        raise RequestProblem(408, "request_timeout", "The form took too long to arrive.") from error
    try:
        return parse_qs(
            data.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"
        )
    except ValueError as error:
        raise RequestProblem(400, "no_form", "This is not a form.") from error


def check_form(headers: Mapping[str, str], form: Form, token: str) -> None:
    """Refuse a form that did not come from a page of ours.

    Parameters
    ----------
    headers
        Of the request. ``Sec-Fetch-Site`` and ``Origin`` are set by browsers and not by pages; where they are
        missing, the token decides alone.
    form
        Its fields.
    token
        What the session's forms carry.

    Raises
    ------
    RequestProblem
        403.
    """
    site = headers.get("sec-fetch-site", "same-origin")
    origin = headers.get("origin")
    is_ours = origin is None or urlsplit(origin).netloc == headers.get("host")
    given = (form.get(TOKEN_FIELD) or [""])[0]
    if site != "same-origin" or not is_ours or not hmac.compare_digest(given.encode(), token.encode()):
        raise RequestProblem(
            403, "foreign_form", "This form did not come from this page, or is too old: go back and reload."
        )
