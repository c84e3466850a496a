"""What next: why the answer is what it is, and ways on, each with its price."""

from __future__ import annotations

from understudy.drawing.markup import EMPTY, Html, foreign, join, tag
from understudy.report.layout import Section, badge, listed, note, paragraph
from understudy.report.reading import Facts, number, part, rows, text, texts
from understudy.report.summary import Summary
from understudy.report.tables import unknown
from understudy.units import format_share, format_usd

__all__ = ["fields_that_hold", "next_section", "reasons_of", "remedies_of"]

_WHY = "why:"


def reasons_of(facts: Facts) -> list[str]:
    """Why nothing was certified, the weightiest first."""
    return [text(step, "text") or "" for step in rows(facts, "next_steps") if _is_reason(step)]


def remedies_of(facts: Facts) -> list[Facts]:
    """Ways on, in the order given."""
    return [step for step in rows(facts, "next_steps") if not _is_reason(step)]


def fields_that_hold(facts: Facts) -> str | None:
    """Fields that are certified by themselves although the record is not, in words; ``None`` if none is."""
    held = [
        f"{text(field, 'name') or '?'} ({format_share(number(part(field, 'certificate'), 'coverage'))} of calls)"
        for field in rows(facts, "fields")
        if part(field, "certificate").get("is_certified")
    ]
    if not held or len(rows(facts, "fields")) + len(texts(facts, "deferred_fields")) < 2:
        return None
    return f"Usable one by one, each certified by itself: {', '.join(held)}."


def _is_reason(step: Facts) -> bool:
    return str(step.get("kind") or "").startswith(_WHY)


def next_section(facts: Facts, summary: Summary) -> Section:
    """Reasons, then remedies or improvements."""
    reasons, steps = reasons_of(facts), remedies_of(facts)
    title = "What next" if summary.is_certified else "What would change the answer"
    why = join([tag("h3", "Why"), listed(foreign(_sentence(one)) for one in reasons)]) if reasons else EMPTY
    if steps:
        lede = (
            "Ways to more coverage, fewer errors or a lower price, from what was measured here."
            if summary.is_certified
            else (
                "Nothing is lost: finished rungs are kept, and a later run goes on from here. The"
                " cheapest ways on come first."
            )
        )
        ways = join([paragraph(lede, cls="lede"), tag("ol", *(_step(step) for step in steps), cls="steps")])
    elif summary.is_certified:
        ways = paragraph("Nothing to suggest: the target holds.", cls="quiet")
    else:
        ways = paragraph("No remedy could be priced from this log.", cls="quiet")
    held = None if summary.is_certified else fields_that_hold(facts)
    partly = note(foreign(held)) if held else EMPTY
    causes = tag("div", why, cls="aside limits") if reasons else EMPTY
    return Section("next", "Next", title, join([ways, partly, causes]))


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _step(step: Facts) -> Html:
    usd = number(step, "usd")
    reason = text(step, "usd_reason") or "no price is known for this"
    price = join(["price ", unknown(reason)]) if usd is None else ("no cost" if usd == 0 else format_usd(usd))
    kind = text(step, "kind")
    words = text(step, "text") or ""
    return tag(
        "li",
        tag("div", badge(kind) if kind else EMPTY, tag("span", price, cls="price"), cls="step-head"),
        paragraph(foreign(_sentence(words))),
        paragraph(foreign(reason), cls="quiet") if usd is None else None,
        cls="step",
    )
