"""Who asks for a page: known by a session, or anybody where there are no keys."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from understudy.serving.dashboard.layout import Frame
from understudy.serving.dashboard.session import COOKIE, Sessions

__all__ = ["Visitor", "visitor_of"]

_NOBODY = "local"
_LOGIN = "login"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks.

    Attributes
    ----------
    name
        Of the key; where nobody has to log in, one word for all.
    is_known
        Whether they may see pages.
    frame
        What the page's frame needs of them.
    """

    name: str
    is_known: bool
    frame: Frame


def visitor_of(request: Request, sessions: Sessions, mode: str) -> Visitor:
    """The visitor of a request; `mode` is the server's, for the frame."""
    if sessions.is_open_to_all:
        frame = Frame(None, has_session=True, token=sessions.form_token(None), mode=mode)
        return Visitor(_NOBODY, is_known=True, frame=frame)
    cookie = request.cookies.get(COOKIE)
    key = sessions.key_of(cookie)
    if key is None:
        frame = Frame(None, has_session=False, token=sessions.form_token(_LOGIN), mode=mode)
        return Visitor(_NOBODY, is_known=False, frame=frame)
    frame = Frame(key.name, has_session=True, token=sessions.form_token(cookie), mode=mode)
    return Visitor(key.name, is_known=True, frame=frame)
