"""The top of the page: what was asked, the answer in one sentence, and the figures that matter."""

from __future__ import annotations

from understudy.certify.certification import percent, percent_at_least
from understudy.drawing.markup import EMPTY, Html, foreign, join, tag
from understudy.report.layout import ICONS, badge, listed, note, paragraph, tile
from understudy.report.reading import Facts, number, part, rows, share, text, texts
from understudy.report.summary import Summary, deferred_words, no_headline
from understudy.report.tables import unknown
from understudy.units import format_bytes, format_count, format_duration, format_share, format_usd

__all__ = ["head_section", "split_sentence"]


def split_sentence(sentence: str) -> tuple[str, str]:
    """The claim, and what follows it."""
    claim, dot, rest = sentence.partition(". ")
    return claim + dot.strip(), rest


def head_section(facts: Facts, summary: Summary) -> Html:
    """Headline, second statement about gold, tiles, warnings."""
    claim, rest = split_sentence(summary.sentence)
    if not summary.is_certified:
        claim, rest = no_headline(facts, summary), summary.sentence
    status = (
        tag("span", ICONS["check"], "Certified", cls="status yes")
        if summary.is_certified
        else tag("span", ICONS["hold"], "Not certified", cls="status no")
    )
    return tag(
        "header",
        tag("div", status, tag("span", foreign(summary.name), cls="task"), _origin(facts), cls="eyebrow"),
        tag("h1", claim),
        paragraph(rest, cls="lede") if rest else None,
        _gold_line(facts, summary),
        tag(
            "div", *(_yes_tiles(summary) if summary.is_certified else _no_tiles(facts, summary)), cls="tiles"
        ),
        _notes(facts),
        cls="hero",
    )


def _origin(facts: Facts) -> Html:
    calls = number(part(facts, "data"), "n_calls")
    models = texts(part(facts, "teacher"), "models")
    words = [f"{format_count(calls)} recorded calls"] if calls is not None else []
    words += [f"teacher {', '.join(models[:2])}{' and others' if len(models) > 2 else ''}"] if models else []
    return tag("span", " · ".join(words), cls="origin") if words else EMPTY


def _gold_line(facts: Facts, summary: Summary) -> Html:
    if summary.reference == "gold":
        words = (
            "The target refers to gold answers: this is about being right, not about matching the teacher."
        )
        return paragraph(badge("gold", "gold"), " ", words, cls="goldline")
    gold = part(facts, "gold_certificate")
    if sentence := text(gold, "sentence"):
        return paragraph(badge("gold", "gold"), " ", split_sentence(sentence)[0], cls="goldline")
    estimate, _, _ = share(part(part(facts, "teacher"), "gold_accuracy"))
    if estimate is not None:
        words = (
            f"By the gold answers the teacher itself is right on {format_share(estimate)} of"
            " calls. Nothing is certified against gold."
        )
        return paragraph(badge("gold", "gold"), " ", words, cls="goldline")
    words = (
        "Matching the teacher is not being right. The log holds no usable gold answers, so"
        " how often either is right"
        " is unknown."
    )
    return paragraph(badge("teacher only"), " ", words, cls="goldline")


def _yes_tiles(summary: Summary) -> list[Html]:
    interval = "of calls answered without the teacher"
    if summary.coverage_low is not None and summary.coverage_high is not None:
        interval += f" ({format_share(summary.coverage_low)} to {format_share(summary.coverage_high)})"
    word = "agreement" if summary.reference == "teacher" else "accuracy"
    if summary.of == "all":
        word = "right or deferred"
    bound = unknown() if summary.agreement_lower is None else f"≥ {percent_at_least(summary.agreement_lower)}"
    return [
        tile("Coverage", format_share(summary.coverage), interval, cls="key"),
        tile(f"Certified {word}", bound, f"measured {format_share(summary.agreement)}"),
        _cost_tile(summary),
        _speed_tile(summary),
        _size_tile(summary),
    ]


def _cost_tile(summary: Summary) -> Html:
    name = "Cost of 1,000 calls"
    if summary.teacher_usd is None:
        compute = None if summary.student_usd is None else summary.student_usd * 1000
        below = f"compute {format_usd(compute)}; teacher unknown: {summary.teacher_usd_reason}"
        return tile(name, unknown(summary.teacher_usd_reason), below)
    before = format_usd(1000 * summary.teacher_usd)
    if summary.system_usd is None:
        return tile(name, before, f"all teacher: {summary.system_usd_reason}")
    saved = 1 - summary.system_usd / summary.teacher_usd if summary.teacher_usd else None
    change = (
        ""
        if saved is None
        else (f"{format_share(saved)} less" if saved >= 0 else f"{format_share(-saved)} more")
    )
    value = join([tag("s", before), " ", tag("span", format_usd(1000 * summary.system_usd), cls="after")])
    return tile(name, value, f"{change}, deferred calls included".lstrip(", "))


def _speed_tile(summary: Summary) -> Html:
    return tile(
        "Per answer",
        unknown("not measured") if summary.call_seconds is None else format_duration(summary.call_seconds),
        "CPU time on one core",
    )


def _size_tile(summary: Summary) -> Html:
    size = unknown("not measured") if summary.size_bytes is None else format_bytes(summary.size_bytes)
    return tile("Size", size, summary.chosen)


def _no_tiles(facts: Facts, summary: Summary) -> list[Html]:
    certificate = part(facts, "certificate")
    best = next((row for row in rows(facts, "candidates") if row.get("is_chosen")), {})
    accuracy = number(best, "accuracy")
    seconds = number(part(facts, "receipt"), "machine_seconds")
    target = "unknown" if summary.target is None else f"{100 * summary.target:g} %"
    errors, answered = number(certificate, "n_errors"), number(certificate, "n_answered")
    word = "answers the teacher's way" if summary.reference == "teacher" else "answers right"
    tiles = [
        tile("Target", target, summary.target_words),
        tile(
            "Best system tried",
            unknown("no rung could be fitted") if accuracy is None else format_share(accuracy),
            f"{word} when it answers every call" if accuracy is not None else "no rung could be fitted",
        ),
    ]
    if errors is not None and answered:
        wrong = percent(int(errors), int(answered))
        tiles.append(
            tile(
                "At its surest",
                f"{errors:,.0f} of {answered:,.0f} wrong",
                f"{wrong} where the test was strictest",
            )
        )
    teacher = summary.teacher_usd
    tiles.append(
        tile(
            "Cost of 1,000 calls",
            unknown(summary.teacher_usd_reason) if teacher is None else format_usd(1000 * teacher),
            f"unknown: {summary.teacher_usd_reason}" if teacher is None else "unchanged: the teacher answers",
        )
    )
    tiles.append(tile("Spent finding out", format_duration(seconds), _spent(facts)))
    return tiles


def _spent(facts: Facts) -> str:
    usd = number(part(facts, "receipt"), "machine_usd")
    return "machine time" if usd is None else f"machine time, {format_usd(usd)}"


def _notes(facts: Facts) -> Html:
    warnings = [foreign(one) for one in texts(facts, "warnings")]
    deferred = deferred_words(facts)
    return join(
        [
            note(foreign(deferred)) if deferred else EMPTY,
            note(join([tag("strong", "Worth knowing"), listed(warnings)]), "warn") if warnings else EMPTY,
        ]
    )
