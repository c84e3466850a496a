"""The page of a scenario: one HTML file that holds all it needs and asks the network for nothing.

It says what the plans found, the answer first in each section; what is unknown is printed as unknown.
"""

from __future__ import annotations

from importlib.resources import files

from understudy._version import __version__
from understudy.drawing.markup import Html, foreign, tag
from understudy.drawing.style import style_sheet
from understudy.drawing.svg import compact
from understudy.planning.page_ability import (
    density_section,
    device_section,
    figures_section,
    forecast_section,
)
from understudy.planning.page_money import breakeven_section, fleet_section, serve_section, train_section
from understudy.planning.scenario_plans import ScenarioPlans
from understudy.report.layout import ICONS, Section, paragraph, section, tile
from understudy.units import format_usd

__all__ = ["render_page"]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def render_page(plans: ScenarioPlans) -> str:
    """The page as one HTML document, to be written as UTF-8.

    Its only script is the report's: light or dark, and sorting of tables.
    """
    scenario = plans.scenario
    parts = [part for part in _sections(plans) if part is not None]
    page = tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
            tag("meta", name="color-scheme", content="light dark"),
            tag("meta", name="generator", content=f"understudy {__version__}"),
            tag("title", f"{scenario.name}: plan"),
            Html(f"<style>{style_sheet()}</style>"),
        ),
        tag(
            "body",
            _bar(scenario.name, parts),
            tag("main", _head(plans), *(section(part) for part in parts)),
            tag(
                "footer",
                f"Written by understudy {__version__}. Every figure follows from the scenario and from published prices ",
                "and sizes, whose sources stand beside them. This file asks the network for nothing.",
            ),
            Html(f"<script>{_script()}</script>"),
        ),
        lang="en",
    )
    return f"<!doctype html>\n{page}\n"


def _sections(plans: ScenarioPlans) -> list[Section | None]:
    return [
        None if plans.breakeven is None else breakeven_section(plans.breakeven),
        None
        if plans.serve is None or plans.serve_request is None
        else serve_section(plans.serve, plans.serve_request),
        None if plans.fleet is None else fleet_section(plans.fleet),
        None if plans.train is None else train_section(plans.train),
        None if plans.device is None else device_section(plans.device),
        None if plans.forecast is None else forecast_section(plans.forecast),
        density_section(plans.density) if plans.density else None,
        figures_section(plans.figures) if plans.figures else None,
    ]


def _bar(name: str, parts: list[Section]) -> Html:
    links = [tag("a", part.nav, href=f"#{part.key}") for part in parts]
    brand = tag("a", tag("b", "Understudy"), tag("span", foreign(name)), href="#", cls="brand")
    theme = tag(
        "button", ICONS["theme"], type="button", id="theme", title="Light or dark", aria_label="Light or dark"
    )
    inner = tag("div", brand, tag("nav", *links, aria_label="Sections"), theme, cls="bar-inner")
    return tag("div", inner, cls="bar")


def _script() -> str:
    return (files("understudy.report") / "script.js").read_text(encoding="utf-8").strip()


def _head(plans: ScenarioPlans) -> Html:
    scenario, load = plans.scenario, plans.scenario.load
    growth = f", growing {100 * load.growth_per_month:g} % a month" if load.growth_per_month else ""
    tiles = [
        tile(
            "Calls a month",
            compact(load.calls_per_month),
            f"over {load.months} months{growth}",
            cls="key",
        ),
        tile("A call", f"{load.input_tokens:,} + {load.output_tokens:,}", "tokens read and written"),
    ]
    if plans.fleet is not None and plans.fleet.fleet.usd_per_month is not None:
        month = plans.fleet.fleet.usd_per_month
        tiles.append(tile("Own fleet", format_usd(month), f"{plans.fleet.exchange.yuan(month)}; a month"))
    if plans.train is not None and plans.train.cost.usd is not None:
        usd = plans.train.cost.usd
        tiles.append(
            tile("Training", format_usd(usd), f"{plans.train.exchange.yuan(usd)}; accelerators alone")
        )
    return tag(
        "header",
        tag("div", tag("span", foreign(scenario.name), cls="task"), cls="eyebrow"),
        tag("h1", _headline(plans)),
        paragraph(foreign(scenario.description), cls="lede") if scenario.description else None,
        paragraph(
            "Costs only: whether all options answer equally well is for a certificate to say.", cls="goldline"
        ),
        tag("div", *tiles, cls="tiles"),
        cls="hero",
    )


def _headline(plans: ScenarioPlans) -> str:
    """The answer of the first plan that has one."""
    breakeven = plans.breakeven
    if breakeven is not None and breakeven.over_time is not None and breakeven.over_time.curves:
        months = breakeven.horizon.months
        totals, both = breakeven.totals_usd(months), breakeven.exchange.both
        best = min(totals, key=lambda name: totals[name])
        words = f"Over {months} months {best} costs least: {both(totals[best])}"
        if "teacher" in totals and best != "teacher":
            words += f", against {both(totals['teacher'])} for the teacher alone"
        return words
    for plan in (breakeven, plans.fleet, plans.train):
        if plan is not None:
            return plan.sentence.removesuffix(".")
    return plans.scenario.name
