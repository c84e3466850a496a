"""The frame of every page: head, bar, footer, notices. Knows the look, not the facts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from understudy.drawing.markup import Html, join, tag
from understudy.serving.dashboard.assets import asset_url
from understudy.serving.dashboard.csrf import TOKEN_FIELD

__all__ = ["Frame", "button_form", "notice", "page", "tile", "token_input"]

_ICON: Final = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' "
    "height='16' rx='4' fill='%230b7261'/%3E%3Cpath d='M4 8.5l2.6 2.6L12 5.4' fill='none' stroke='white' "
    "stroke-width='1.8'/%3E%3C/svg%3E"
)


@dataclass(frozen=True, slots=True)
class Frame:
    """What the frame shows on every page.

    Attributes
    ----------
    who
        Name of the key; ``None`` where nobody has to log in, or nobody has.
    has_session
        Whether there is a session to end, and pages to go to.
    token
        For the forms.
    mode
        Of the server.
    n_waiting
        Disagreements that wait for a person; ``None`` where it was not asked.
    """

    who: str | None
    has_session: bool
    token: str
    mode: str
    n_waiting: int | None = None


def token_input(token: str) -> Html:
    """The hidden field of a form."""
    return tag("input", type="hidden", name=TOKEN_FIELD, value=token)


def button_form(
    address: str, words: str, token: str, *fields: Html, cls: str = "", **attributes: object
) -> Html:
    """A form that is one button."""
    button = tag("button", words, type="submit", cls=cls or None, **attributes)
    return tag("form", token_input(token), *fields, button, method="post", action=address)


def notice(words: object, *, is_warning: bool = False) -> Html:
    """A box with something to know."""
    return tag("div", words, cls="note warn" if is_warning else "note", role="status")


def tile(name: str, value: object, below: object, *, cls: str = "") -> Html:
    """A key figure."""
    return tag(
        "div",
        tag("div", name, cls="tile-name"),
        tag("div", value, cls="tile-value"),
        tag("div", below, cls="tile-below"),
        cls=f"tile {cls}".strip(),
    )


def page(title: str, frame: Frame, active: str, *body: object, scripts: Iterable[str] = ()) -> Html:
    """A whole document.

    Parameters
    ----------
    title
        Of the document.
    frame
        See :class:`Frame`.
    active
        ``overview``, ``review`` or another page without a link.
    body
        What stands in the middle.
    scripts
        Names of assets.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{title} · Understudy"),
        tag("link", rel="icon", href=_ICON),
        tag("link", rel="stylesheet", href=asset_url("dashboard.css")),
        *(tag("script", src=asset_url(name), defer=True) for name in scripts),
    )
    footer = tag("footer", "Times are UTC. Costs are those in the ledger; unknown ones are in no sum.")
    return tag("html", head, tag("body", _bar(frame, active), tag("main", *body), footer), lang="en")


def _bar(frame: Frame, active: str) -> Html:
    brand = tag(
        "a", tag("b", "Understudy"), tag("span", f"mode {frame.mode}"), cls="brand", href="/dashboard"
    )
    if not frame.has_session:
        return tag("header", tag("div", brand, cls="bar-inner"), cls="bar")
    waiting = tag("span", f"{frame.n_waiting:,}", cls="pill") if frame.n_waiting else None
    links = [
        tag("a", "Overview", href="/dashboard", aria_current="page" if active == "overview" else None),
        tag(
            "a",
            "Review",
            waiting,
            href="/dashboard/review",
            aria_current="page" if active == "review" else None,
        ),
    ]
    leave = None
    if frame.who is not None:
        leave = tag(
            "div",
            tag("span", frame.who, cls="who"),
            button_form("/dashboard/logout", "Log out", frame.token),
            cls="leave",
        )
    return tag("header", tag("div", brand, tag("nav", join(links)), leave, cls="bar-inner"), cls="bar")
