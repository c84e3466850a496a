"""The page's building blocks: sections, tiles, notes, folds. Knows the look, not the facts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from understudy.drawing.markup import EMPTY, Html, esc, join, tag

__all__ = ["ICONS", "Section", "badge", "fold", "listed", "note", "paragraph", "section", "switch", "tile"]

ICONS = {
    "check": Html(
        '<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d="M3 8.5l3.2 3.2L13 4.8"/></svg>'
    ),
    "hold": Html(
        '<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d="M5.5 4v8M10.5 4v8"/></svg>'
    ),
    "theme": Html(
        '<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><circle cx="8" cy="8" r="5.6"/>'
        '<path class="half" d="M8 2.4a5.6 5.6 0 0 1 0 11.2z"/></svg>'
    ),
}


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the page.

    Attributes
    ----------
    key
        Anchor.
    nav
        Its short name in the bar; empty for none.
    title
        Its heading.
    body
        Its markup.
    """

    key: str
    nav: str
    title: str
    body: Html


def section(made: Section) -> Html:
    """A section with its heading."""
    return tag("section", tag("h2", made.title), made.body, id=made.key)


def paragraph(*words: object, cls: str | None = None) -> Html:
    """A paragraph."""
    return tag("p", *words, cls=cls)


def badge(words: str, cls: str = "") -> Html:
    """A small label."""
    return tag("span", words, cls=f"badge {cls}".strip())


def tile(name: str, value: object, below: object = None, *, cls: str = "") -> Html:
    """A key figure."""
    return tag(
        "div",
        tag("div", name, cls="tile-name"),
        tag("div", value, cls="tile-value"),
        tag("div", below, cls="tile-below") if below else None,
        cls=f"tile {cls}".strip(),
    )


def note(words: object, cls: str = "") -> Html:
    """A quiet box."""
    return tag("div", words, cls=f"note {cls}".strip())


def fold(summary: object, *body: object, is_open: bool = False) -> Html:
    """Something to unfold."""
    return tag("details", tag("summary", summary), tag("div", *body, cls="fold"), open=is_open)


def switch(name: str, views: Sequence[tuple[str, Html]]) -> Html:
    """Views of which one shows at a time; works without a script."""
    if len(views) < 2:
        return join(body for _, body in views)
    knobs: list[Html] = []
    panels: list[Html] = []
    for at, (title, body) in enumerate(views):
        key = f"{name}-{at}"
        knobs.append(tag("input", type="radio", name=name, id=key, checked=at == 0, cls=f"knob k{at}"))
        knobs.append(tag("label", title, for_=key))
        panels.append(tag("div", body, cls=f"panel p{at}"))
    return tag("div", *knobs, *panels, cls="switch")


def listed(items: Iterable[object]) -> Html:
    """A plain list."""
    made = [tag("li", esc(item)) for item in items]
    return tag("ul", *made) if made else EMPTY
