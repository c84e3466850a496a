"""Pages around the others: the form that asks for a key, and what went wrong."""

from __future__ import annotations

from understudy.drawing.markup import Html, tag
from understudy.serving.dashboard.layout import Frame, notice, page, token_input

__all__ = ["login_page", "problem_page"]


def login_page(frame: Frame, problem: str | None = None) -> Html:
    """Asks for an operator's key."""
    field = tag(
        "label",
        tag("span", "API key of an operator", cls="field-name"),
        tag(
            "input",
            type="password",
            name="key",
            autocomplete="current-password",
            required=True,
            autofocus=True,
        ),
        cls="field",
    )
    form = tag(
        "form",
        token_input(frame.token),
        field,
        tag("button", "Log in", type="submit", cls="button main"),
        method="post",
        action="/dashboard/login",
        cls="login",
    )
    words = None if problem is None else notice(problem, is_warning=True)
    return page("Log in", frame, "login", tag("div", tag("h1", "Log in"), words, form, cls="narrow-page"))


def problem_page(frame: Frame, status: int, words: str) -> Html:
    """Says what went wrong."""
    back = tag("p", tag("a", "Back to the overview", href="/dashboard"))
    return page(
        "Problem",
        frame,
        "problem",
        tag("div", tag("h1", status), notice(words, is_warning=True), back, cls="narrow-page"),
    )
