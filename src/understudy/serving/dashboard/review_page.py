"""The review as a page: one disagreement at a time, and five things to do with it, by button or key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from understudy.calls.call import ABSENT
from understudy.drawing.markup import EMPTY, Html, foreign, tag
from understudy.ledger.disagreements import QueueCounts
from understudy.ledger.gold import Choice
from understudy.serving.dashboard.layout import Frame, notice, page, token_input
from understudy.serving.dashboard.review import FieldPair, ReviewItem
from understudy.serving.dashboard.review_form import answer_inputs

__all__ = ["review_page"]

_CHOSEN: Mapping[Choice, str] = {
    "student": "student right",
    "teacher": "teacher right",
    "other": "neither",
    "skip": "skipped",
}


def review_page(
    item: ReviewItem | None,
    counts: QueueCounts,
    labelled: Mapping[Choice, int],
    frame: Frame,
    *,
    task: str | None,
    keeps_texts: bool,
    problem: str | None = None,
    entered: Mapping[str, Any] | None = None,
) -> Html:
    """The page.

    Parameters
    ----------
    item
        What to judge; ``None`` where nothing waits.
    counts, labelled
        What waits; what was done.
    frame
        Around it.
    task
        Only this task's calls are shown; ``None``: all.
    keeps_texts
        Whether the server keeps texts.
    problem
        Why what was entered is not allowed, or another thing that the person should know.
    entered
        Values by field that were entered before, to be corrected.
    """
    body: list[Html] = [_head(counts, labelled, task)]
    if problem is not None:
        body.append(notice(problem, is_warning=True))
    body.append(
        _nothing(counts, keeps_texts=keeps_texts) if item is None else _item(item, frame, task, entered)
    )
    body.append(_undo(frame, labelled, task))
    return page("Review", frame, "review", *body, scripts=("review.js",))


def _head(counts: QueueCounts, labelled: Mapping[Choice, int], task: str | None) -> Html:
    n_done = sum(labelled.values())
    done = ", ".join(f"{words} {labelled[name]:,}" for name, words in _CHOSEN.items() if labelled[name])
    total = n_done + counts.n_waiting
    bar = tag("progress", value=n_done, max=total, aria_label="Progress") if total else None
    words = f"{counts.n_waiting:,} to go, {n_done:,} done" + (f": {done}" if done else "")
    if counts.n_without_texts:
        words += f". {counts.n_without_texts:,} more have no texts and cannot be shown"
    return tag(
        "div",
        tag("h1", "Who is right?" if task is None else foreign(task)),
        tag("p", f"{words}.", cls="quiet", id="progress"),
        bar,
        cls="review-head",
    )


def _nothing(counts: QueueCounts, *, keeps_texts: bool) -> Html:
    if counts.n_without_texts and not keeps_texts:
        words = tag(
            "p",
            "Student and teacher differ on calls whose texts were not kept. To judge such calls, start the server with ",
            tag("code", "--store-texts"),
            " (or keeps_texts = true under [ledger]).",
        )
    else:
        words = tag(
            "p",
            "Disagreements come from ",
            tag("code", "--mode shadow"),
            " and from audits (",
            tag("code", "--audit-share 0.05"),
            "), with texts kept (",
            tag("code", "--store-texts"),
            ").",
        )
    return tag("div", tag("h2", "Nothing to judge"), words, cls="empty")


def _item(item: ReviewItem, frame: Frame, task: str | None, entered: Mapping[str, Any] | None) -> Html:
    moment = datetime.fromtimestamp(item.call.time_ms / 1000, UTC)
    sure = "" if item.call.confidence is None else f", student's confidence {item.call.confidence:.3f}"
    earlier = [tag("div", tag("b", role), tag("pre", foreign(text))) for role, text in item.request]
    return tag(
        "article",
        tag("p", foreign(item.call.task or "no task"), f", {moment:%d %b %Y %H:%M}{sure}", cls="kicker"),
        tag("blockquote", foreign(item.input), id="input"),
        tag("details", tag("summary", "The whole request"), tag("div", *earlier, cls="whole")),
        _answers(item.fields),
        _choices(item, frame, task),
        _other(item, frame, task, entered),
        cls="item",
        data_call=item.call.id,
    )


def _answers(fields: tuple[FieldPair, ...]) -> Html:
    head = tag(
        "tr", tag("th", "", scope="col"), tag("th", "Student", scope="col"), tag("th", "Teacher", scope="col")
    )
    rows = [
        tag(
            "tr",
            tag("th", foreign(pair.name), scope="row"),
            tag("td", _value(pair.student), data_name="Student"),
            tag("td", _value(pair.teacher), data_name="Teacher"),
            cls="differs" if pair.is_differing else None,
        )
        for pair in fields
    ]
    return tag("table", tag("thead", head), tag("tbody", *rows), cls="answers")


def _value(value: Any) -> Html:
    if value is ABSENT:
        return tag("span", "not written", cls="unknown")
    if value is None:
        return tag("span", "null", cls="unknown")
    return foreign(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))


def _hidden(item: ReviewItem, frame: Frame, task: str | None) -> list[Html]:
    return [
        token_input(frame.token),
        tag("input", type="hidden", name="call", value=item.call.id),
        tag("input", type="hidden", name="task", value=task or ""),
    ]


def _button(words: str, key: str, choice: Choice, cls: str = "") -> Html:
    return tag(
        "button",
        words,
        tag("kbd", key),
        type="submit",
        name="choice",
        value=choice,
        data_key=key,
        cls=f"button {cls}".strip(),
    )


def _choices(item: ReviewItem, frame: Frame, task: str | None) -> Html:
    return tag(
        "form",
        *_hidden(item, frame, task),
        _button("Student is right", "1", "student", "main"),
        _button("Teacher is right", "2", "teacher", "main"),
        _button("Skip", "s", "skip"),
        method="post",
        action="/dashboard/review",
        cls="choices",
    )


def _other(item: ReviewItem, frame: Frame, task: str | None, entered: Mapping[str, Any] | None) -> Html:
    if item.task is None:
        return tag("p", "The task is not served now: a third answer could not be checked.", cls="quiet")
    begun = {pair.name: pair.teacher for pair in item.fields} if entered is None else entered
    save = tag("button", "Save this answer", type="submit", name="choice", value="other", cls="button main")
    form = tag(
        "form",
        *_hidden(item, frame, task),
        *answer_inputs(item.task, begun),
        save,
        method="post",
        action="/dashboard/review",
        cls="entry-form",
    )
    summary = tag("summary", "Neither: enter the right answer", tag("kbd", "3"), data_key="3", cls="button")
    return tag("details", summary, form, id="other", open=entered is not None)


def _undo(frame: Frame, labelled: Mapping[Choice, int], task: str | None) -> Html:
    if not any(labelled.values()):
        return EMPTY
    button = tag("button", "Undo my last", tag("kbd", "u"), type="submit", data_key="u", cls="button")
    return tag(
        "form",
        token_input(frame.token),
        tag("input", type="hidden", name="task", value=task or ""),
        button,
        method="post",
        action="/dashboard/review/undo",
        cls="undo",
    )
