"""What it was learnt from: counts, splits, duplicates, and the settings of the run."""

from __future__ import annotations

import math

from understudy.drawing.markup import EMPTY, Html, clean, foreign, join, tag
from understudy.report.layout import Section, fold, paragraph
from understudy.report.reading import Facts, number, part, rows, text, texts
from understudy.report.tables import pairs, unknown
from understudy.units import format_count

__all__ = ["base_words", "data_section"]

_SPLITS = (
    ("n_train", "train", "learnt from"),
    ("n_select", "select", "chosen and calibrated by"),
    ("n_certify", "certify", "certified on, read once"),
    ("n_holdout", "holdout", "not touched"),
)


def data_section(facts: Facts) -> Section:
    """Split bar, counts, settings."""
    data = part(facts, "data")
    return Section(
        "data", "Data", "Data and settings", join([_split_bar(data), _counts(facts, data), _settings(facts)])
    )


def _split_bar(data: Facts) -> Html:
    known = [(name, about, number(data, key) or 0.0) for key, name, about in _SPLITS]
    total = sum(count for _, _, count in known)
    if not total:
        return paragraph("The sizes of the splits are unknown.", cls="quiet")
    bars = [
        tag(
            "i",
            cls=f"split s-{name}",
            style=f"flex-grow:{count / total:.4f}",
            title=f"{name}: {format_count(count)}",
        )
        for name, _, count in known
        if count
    ]
    legend = [
        tag(
            "li",
            tag("i", cls=f"swatch s-{name}"),
            tag("strong", name),
            f" {format_count(count)} ",
            tag("span", about, cls="quiet"),
        )
        for name, about, count in known
        if count
    ]
    return join(
        [
            tag("div", *bars, cls="splitbar", role="img", aria_label="Sizes of the splits"),
            tag("ul", *legend, cls="legend"),
        ]
    )


def _counts(facts: Facts, data: Facts) -> Html:
    def count(key: str, why: str = "not counted") -> object:
        found = number(data, key)
        return unknown(why) if found is None else format_count(found)

    chars = number(data, "mean_chars")
    models = texts(part(facts, "teacher"), "models")
    items: list[tuple[str, object]] = [
        ("Recorded calls", count("n_calls")),
        ("Answers outside the schema, left out", count("n_off_schema")),
        ("Exact duplicates", count("n_exact_duplicates")),
        ("Groups of near-duplicates; none straddles a split", count("n_groups")),
        ("Mean length of an input", unknown() if chars is None else f"{format_count(chars)} characters"),
        (
            "Teacher",
            foreign(", ".join(models)) if models else join([unknown(), " (the log does not name it)"]),
        ),
    ]
    items += [("Base model", foreign(base_words(base))) for base in rows(facts, "base_models")]
    if artefact := text(facts, "id"):
        items.append(("Artefact", tag("code", artefact)))
    return pairs(items)


def base_words(base: Facts) -> str:
    """Name, source and licence of a base model."""
    licence = text(base, "licence") or text(base, "license") or "unknown"
    source = text(base, "source")
    return f"{text(base, 'name') or 'unknown'}{f' (from {source})' if source else ''}, licence {licence}"


def _settings(facts: Facts) -> Html:
    options = part(facts, "options")
    if not options:
        return EMPTY
    items: list[tuple[str, object]] = []
    for key, value in options.items():
        if isinstance(value, list | tuple):
            shown = ", ".join(clean(one) for one in value) or "all that fit"
        elif isinstance(value, bool):
            shown = "yes" if value else "no"
        elif isinstance(value, float) and not math.isfinite(value):
            shown = "unknown"
        else:
            shown = "not set" if value is None else clean(value)
        items.append((clean(key).replace("_", " "), foreign(shown)))
    return fold("Settings of this run", pairs(items))
