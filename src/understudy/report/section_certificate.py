"""The certificate in full: against the teacher and against gold, clearly apart, and what neither says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from understudy.certify.certification import percent_at_least
from understudy.drawing.markup import EMPTY, Html, clean, foreign, join, tag
from understudy.drawing.svg import figure
from understudy.report.chart_bounds import Bound, draw_bounds
from understudy.report.layout import Section, badge, listed, paragraph
from understudy.report.reading import Facts, number, part, share, text
from understudy.report.summary import Summary, coverage_interval
from understudy.report.tables import pairs, unknown
from understudy.units import format_count, format_share

__all__ = ["certificate_section"]

_HIDDEN = frozenset(
    {"sentence", "reference", "is_certified", "coverage_interval", "coverage_low", "coverage_high", "reason"}
)


def _p_value(value: float) -> str:
    return f"{value:.2g}"


def _threshold(value: float) -> str:
    return f"{value:.4f}"


def _fine(value: float) -> str:
    return format_share(value, digits=2)


def _bound(value: float) -> str:
    return percent_at_least(value, digits=2)


_WORDS: dict[str, tuple[str, Callable[[float], str]]] = {
    "of": ("Target refers to", str),
    "target": ("Target", _fine),
    "delta": ("May be wrong with probability", _fine),
    "threshold": ("Answers where confidence is at least", _threshold),
    "tested_threshold": ("Counts below are at confidence", _threshold),
    "n": ("Calls in the test", format_count),
    "n_answered": ("Answered", format_count),
    "n_errors": ("Answered differently", format_count),
    "coverage": ("Coverage", _fine),
    "agreement": ("Measured share", _fine),
    "agreement_lower": ("Lower bound", _bound),
    "p_value": ("p-value there", _p_value),
    "n_tests": ("Thresholds tested, in fixed order", format_count),
    "method": ("Method", str),
}


def _points(value: float) -> str:
    return f"{100 * value:+.2f} points"


_PAIRED: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("difference", "Student and teacher together, minus teacher", _points),
    ("difference_lower", "Its lower bound", _points),
    ("margin", "Loss that counts as none", lambda value: f"{100 * value:g} points"),
    ("wins", "Calls on which only the system is right", format_count),
    ("losses", "Calls on which only the teacher is right", format_count),
    ("p_value", "p-value", _p_value),
)


def certificate_section(facts: Facts, summary: Summary) -> Section:
    """Bars, statements with their tables, limits."""
    main, gold, paired = (part(facts, key) for key in ("certificate", "gold_certificate", "non_inferiority"))
    against = "the teacher" if summary.reference == "teacher" else "gold answers"
    bounds = [_as_bound(f"Answered calls, against {against}", main, summary.target), *_gold_bounds(gold)]
    drawn = [one for one in bounds if one.lower is not None or one.estimate is not None]
    picture = (
        figure(
            partial(draw_bounds, drawn),
            "Bar: from the certified lower bound to the measured share (dot). Dashed: the target.",
        )
        if drawn
        else EMPTY
    )
    cards = [
        _card(
            f"Against {against}",
            "The target" if summary.reference == "teacher" else "The target, by gold",
            main,
            summary,
        )
    ]
    if gold:
        cards.append(_gold_card(gold, paired))
    elif paired:
        cards.append(_card("Beside the teacher, by gold", "No worse than the teacher?", paired, summary))
    body = join([picture, tag("div", *cards, cls="cards"), _teacher_facts(facts), _limits(facts, summary)])
    return Section("certificate", "Certificate", "The certificate in full", body)


def _as_bound(name: str, certificate: Facts, target: float | None) -> Bound:
    estimate, lower = number(certificate, "agreement"), number(certificate, "agreement_lower")
    return Bound(name, estimate, lower, target, bool(certificate.get("is_certified")))


_GOLD_PARTS = (
    ("answered", "Answered calls, by gold answers"),
    ("system", "Student and teacher together, by gold answers"),
    ("teacher", "Teacher alone, by gold answers"),
)


def _gold_bounds(gold: Facts) -> list[Bound]:
    out = []
    for key, name in _GOLD_PARTS:
        estimate, lower, _ = share(part(gold, key))
        out.append(Bound(name, estimate, lower, None, is_met=True))
    return out


def _card(title: str, kicker: str, certificate: Facts, summary: Summary) -> Html:
    words = text(certificate, "sentence") or "No statement was made."
    verdict: Html = EMPTY
    if "is_certified" in certificate:
        is_held = bool(certificate["is_certified"])
        verdict = badge("holds" if is_held else "not certified", "accent" if is_held else "warn")
    return tag(
        "article",
        tag("div", kicker, cls="kicker"),
        tag("h3", title, " ", verdict),
        paragraph(words, cls="statement"),
        pairs(_items(certificate)),
        cls="card gold-card" if "gold" in title and summary.reference == "teacher" else "card",
    )


def _gold_card(gold: Facts, paired: Facts) -> Html:
    items: list[tuple[str, object]] = [(name, _accuracy(part(gold, key))) for key, name in _GOLD_PARTS]
    verdict: Html = EMPTY
    if paired:
        is_held = bool(paired.get("is_noninferior"))
        verdict = (
            badge("no worse than the teacher", "accent")
            if is_held
            else badge("not shown to be as good", "warn")
        )
        for key, name, form in _PAIRED:
            value = number(paired, key)
            items.append((name, unknown() if value is None else form(value)))
    for key, name in (
        ("n", "Calls with gold answers"),
        ("n_without_gold", "Calls left out for want of gold"),
    ):
        items.append((name, format_count(number(gold, key))))
    return tag(
        "article",
        tag("div", "Being right, not matching", cls="kicker"),
        tag("h3", "Against gold answers ", verdict),
        paragraph(text(gold, "sentence") or "No statement was made.", cls="statement"),
        pairs(items),
        cls="card gold-card",
    )


def _accuracy(found: Facts) -> object:
    estimate, lower, count = share(found)
    right = number(found, "n_right")
    if estimate is None:
        return unknown("there were no such calls with gold answers")
    counts = (
        f" ({format_count(right)} of {format_count(count)})"
        if right is not None and count is not None
        else ""
    )
    return f"{_fine(estimate)}{counts}" + ("" if lower is None else f", at least {_bound(lower)}")


def _items(certificate: Facts) -> list[tuple[str, object]]:
    out: list[tuple[str, object]] = []
    low, high = coverage_interval(certificate)
    is_same = certificate.get("threshold") == certificate.get("tested_threshold")
    order = [key for key in _WORDS if key in certificate] + [key for key in certificate if key not in _WORDS]
    for key in order:
        if key in _HIDDEN or (key == "tested_threshold" and is_same):
            continue
        name, form = _WORDS.get(key, (key.replace("_", " ").capitalize(), _plain))
        shown = _value(certificate, key, form)
        if key == "coverage" and low is not None and high is not None and isinstance(shown, str):
            shown = f"{shown} (95 % interval {_fine(low)} to {_fine(high)})"
        out.append((name, shown))
    return out


def _value(certificate: Facts, key: str, form: Callable[[float], str]) -> object:
    found = certificate[key]
    if found is None and key == "threshold":
        return "none: it answers no call"
    if found is None:
        return unknown(text(certificate, "reason"))
    if key == "of":
        return "answered calls" if found == "answered" else "all calls"
    if isinstance(found, int | float) and not isinstance(found, bool):
        value = number(certificate, key)
        return unknown("not a finite number") if value is None else form(value)
    return foreign(_plain(found))


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(_plain(one) for one in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_plain(one)}" for key, one in value.items())
    return clean(value)


def _teacher_facts(facts: Facts) -> Html:
    teacher = part(facts, "teacher")
    items: list[tuple[str, object]] = []
    for key, name in (
        ("gold_accuracy", "The teacher itself, by gold answers"),
        ("ceiling", "The teacher asked twice agrees with itself"),
    ):
        found = part(teacher, key)
        estimate = share(found)[0]
        if estimate is None:
            reason = (
                "no gold answers in the log"
                if key == "gold_accuracy"
                else "the log never asks the same thing twice"
            )
            items.append((name, join([unknown(reason), f" ({reason})"])))
            continue
        low, high, count = number(found, "low"), number(found, "high"), number(found, "n")
        about = f" (95 % interval {format_share(low)} to {format_share(high)}, {format_count(count)} calls)"
        items.append((name, format_share(estimate) + (about if low is not None else "")))
    return tag("div", tag("h3", "How good is the teacher?"), pairs(items), cls="aside")


def _limits(facts: Facts, summary: Summary) -> Html:
    delta = number(part(facts, "certificate"), "delta")
    chance = "unknown" if delta is None else format_share(delta, digits=0 if delta >= 0.01 else 2)
    whose = (
        "That an answer is right. It compares with the teacher; where the teacher errs, a"
        " student that errs alike counts as correct."
        if summary.reference == "teacher"
        else "That an answer matches the teacher. It compares with gold answers, on the calls that have them."
    )
    says = [
        whose,
        (
            "Anything about calls unlike the recorded ones. If the traffic changes, the"
            " certificate has to be made again."
        ),
        (
            "That every kind of call is answered equally well: it is a share over all answered"
            " calls. Look at the tables per class."
        ),
        (
            "Anything about other bytes: it holds for this artefact, its thresholds and the"
            " runtime that loads it."
        ),
        f"That it cannot be wrong: of many certificates made like this one, up to {chance} may be.",
    ]
    if (text(part(facts, "certificate"), "of") or "answered") == "answered":
        says.append("Anything about deferred calls: those get the teacher's answer.")
    return tag("div", tag("h3", "What it does not say"), listed(says), cls="aside limits")
