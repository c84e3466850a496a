"""The report: one HTML file that holds everything it needs and asks the network for nothing.

It says only what the facts say; a missing measurement is printed as unknown, with its reason.
"""

from __future__ import annotations

from importlib.resources import files

from understudy._version import __version__
from understudy.drawing.markup import Html, foreign, json_script, tag
from understudy.drawing.style import style_sheet
from understudy.report.layout import ICONS, Section, section
from understudy.report.reading import Facts, rows
from understudy.report.section_certificate import certificate_section
from understudy.report.section_cost import cost_section, receipt_section
from understudy.report.section_data import data_section
from understudy.report.section_head import head_section
from understudy.report.section_ladder import ladder_section
from understudy.report.section_next import next_section
from understudy.report.section_quality import (
    calibration_section,
    curves_section,
    fields_section,
    risk_section,
)
from understudy.report.section_reading import disagreements_section, suspects_section
from understudy.report.section_students import students_section
from understudy.report.summary import summarise

__all__ = ["render_report"]

_IN_PAGE_ALREADY = ("disagreements", "suspects")  # texts of calls: shown once, not embedded twice
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def render_report(facts: Facts) -> str:
    """The report as one HTML document.

    Parameters
    ----------
    facts
        As described in :mod:`understudy.ladder.result`; anything may be missing.

    Returns
    -------
    str
        Text to be written as UTF-8. Opens from ``file://``; fonts are the system's.
    """
    summary = summarise(facts)
    parts = _sections(facts, is_certified=summary.is_certified)
    title = f"{summary.name}: {'certified' if summary.is_certified else 'not certified'}"
    page = tag(
        "html",
        _head(title),
        tag(
            "body",
            _bar(summary.name, parts),
            tag("main", head_section(facts, summary), *(section(part) for part in parts)),
            _footer(facts),
            json_script(
                {key: value for key, value in facts.items() if key not in _IN_PAGE_ALREADY}, id_="facts"
            ),
            Html(f"<script>{_asset('script.js')}</script>"),
        ),
        lang="en",
    )
    return f"<!doctype html>\n{page}\n"


def _sections(facts: Facts, *, is_certified: bool) -> list[Section]:
    summary = summarise(facts)
    following = next_section(facts, summary)
    middle = [
        ladder_section(facts, summary),
        certificate_section(facts, summary),
        risk_section(facts, summary),
        cost_section(facts, summary),
        fields_section(facts, summary),
        calibration_section(facts),
        curves_section(facts),
        students_section(facts),
    ]
    last = [
        disagreements_section(facts, summary),
        suspects_section(facts),
        receipt_section(facts),
        data_section(facts),
    ]
    return [*middle, following, *last] if is_certified else [following, *middle, *last]


def _asset(name: str) -> str:
    return (files("understudy.report") / name).read_text(encoding="utf-8").strip()


def _head(title: str) -> Html:
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="generator", content=f"understudy {__version__}"),
        tag("title", title),
        Html(f"<style>{style_sheet()}</style>"),
    )


def _bar(name: str, parts: list[Section]) -> Html:
    links = [tag("a", part.nav, href=f"#{part.key}") for part in parts if part.nav]
    return tag(
        "div",
        tag(
            "div",
            tag("a", tag("b", "Understudy"), tag("span", foreign(name)), href="#", cls="brand"),
            tag("nav", *links, aria_label="Sections"),
            tag(
                "button",
                ICONS["theme"],
                type="button",
                id="theme",
                title="Light or dark",
                aria_label="Light or dark",
            ),
            cls="bar-inner",
        ),
        cls="bar",
    )


def _footer(facts: Facts) -> Html:
    tried = len(rows(facts, "rungs"))
    return tag(
        "footer",
        f"Written by understudy {__version__} from {tried} rungs. ",
        "This file holds all its data and asks the network for nothing.",
    )
