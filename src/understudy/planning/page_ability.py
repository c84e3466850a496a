"""The sections of a scenario's page about ability: devices, forecast, density, published figures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from understudy.density.measure import EffectiveSize, Measurement
from understudy.drawing.markup import Html, esc, join
from understudy.drawing.svg import compact
from understudy.drawing.xy import Axis, Chart, Mark, Series
from understudy.economics.trends import DAYS_PER_YEAR
from understudy.planning.device import DevicePlan
from understudy.planning.figures.collection import figures_chart, tally
from understudy.planning.figures.figure import Figure
from understudy.planning.forecast import size_after
from understudy.planning.page_money import counted, number_cell, picture
from understudy.planning.scenario_ability import ForecastPlan
from understudy.report.layout import Section, fold, listed, note, paragraph
from understudy.report.tables import Cell, bytes_cell, duration_cell, table, text_cell
from understudy.units import format_duration

__all__ = ["density_section", "device_section", "figures_section", "forecast_section"]


def device_section(plan: DevicePlan) -> Section:
    """One model on one device at several number formats."""
    fitting = [fit for fit in plan.fits if fit.memory.has_room]
    if not fitting:
        lede = f"{plan.model.name} does not fit {plan.device.name} in any of the formats asked for."
    else:
        best = fitting[0]
        lede = f"{plan.model.name} fits {plan.device.name} with {best.weights.name} weights"
        if best.tokens_per_second is not None:
            lede += f" and writes {best.tokens_per_second.typical:.3g} tokens a second"
        if best.answer_seconds is not None:
            lede += f": an answer takes {format_duration(best.answer_seconds.typical)}"
        lede += "."
    body = []
    for fit in plan.fits:
        reason = fit.reason or ("it does not fit" if fit.memory.has_room is False else "unknown")
        speed, answer, life = fit.tokens_per_second, fit.answer_seconds, fit.life_usd
        body.append(
            [
                text_cell(fit.weights.name),
                bytes_cell(fit.memory.total_bytes),
                number_cell(
                    None if speed is None else speed.typical,
                    "" if speed is None else f"{speed.typical:.3g}",
                    reason,
                ),
                duration_cell(None if answer is None else answer.typical, reason),
                number_cell(
                    None if life is None else life.tokens_per_unit,
                    "" if life is None else compact(life.tokens_per_unit),
                    reason if speed is None else "the device's price is unknown",
                ),
            ]
        )
    heads = ["weights", "memory", "tokens/s", "an answer", "tokens a dollar"]
    words = f"{plan.n_input:,} tokens read, {plan.n_output:,} written; usable memory: {plan.usable_source}"
    return Section(
        "device",
        "Device",
        "In the pocket",
        join([paragraph(lede, cls="lede"), table(heads, body, caption=words)]),
    )


def forecast_section(plan: ForecastPlan) -> Section:
    """When an ability fits a device."""
    fits = plan.fits
    if fits.is_already:
        lede = f"{plan.what} fits already."
    elif fits.day is None:
        lede = f"When {plan.what} fits is unknown: {fits.reason}."
    else:
        upper = "open" if fits.upper is None else fits.upper.isoformat()
        lede = (
            f"{plan.what} fits {compact(plan.capacity)} parameters from {fits.day} on "
            f"({100 * fits.confidence:.0f} % interval: {fits.lower} to {upper})."
        )
    caption = (
        f"The size that the ability takes halves every {plan.density.days.value:.0f} days "
        f"({plan.density.days.low:.0f} to {plan.density.days.high:.0f}) if the trend goes on, "
        f"{max(fits.n_doublings, 0):.1f} times from {plan.on}. The band holds the range of size and of pace."
    )
    body = [paragraph(lede, cls="lede"), picture(_forecast_chart(plan), caption)]
    return Section("forecast", "Forecast", "When it will fit", join(body))


def _forecast_chart(plan: ForecastPlan) -> Chart:
    pace = plan.density.days
    span = max(plan.fits.n_doublings * pace.high * 1.25, 2 * pace.value)
    days = [span * at / 60 for at in range(61)]
    start = plan.on.year + (plan.on.timetuple().tm_yday - 1) / DAYS_PER_YEAR
    years = [start + one / DAYS_PER_YEAR for one in days]
    marks = [Mark(f"the device holds {compact(plan.capacity)}", y=plan.capacity)]
    if plan.fits.day is not None and plan.fits.n_doublings > 0:
        at = start + (plan.fits.day - plan.on) / timedelta(days=DAYS_PER_YEAR)
        marks.append(Mark(plan.fits.day.isoformat(), x=at))
    return Chart(
        "The size that an ability takes, over time",
        Axis("year", tick=lambda value: f"{value:.1f}".removesuffix(".0")),
        Axis("parameters", is_log=True, tick=counted),
        [
            Series(
                "size needed",
                years,
                [size_after(plan.size.value, one, pace.value) for one in days],
                low=[size_after(plan.size.low, one, pace.low) for one in days],
                high=[size_after(plan.size.high, one, pace.high) for one in days],
                colour="accent",
            )
        ],
        marks,
    )


def density_section(measured: Sequence[Measurement]) -> Section:
    """Effective sizes by a ruler."""

    def cell(size: EffectiveSize | None) -> Cell:
        if size is None or size.rho is None:
            return number_cell(None, "", "tokens unknown" if size is None else size.reason)
        low = "open" if size.rho_lower is None else f"{size.rho_lower:.2g}"
        high = "open" if size.rho_upper is None else f"{size.rho_upper:.2g}"
        return number_cell(size.rho, f"{size.rho:.2g} ({low} to {high})")

    body = [
        [
            text_cell(one.name or "unnamed", is_foreign=True),
            number_cell(one.n_parameters, compact(one.n_parameters)),
            cell(one.own),
            cell(one.reference),
            text_cell(", ".join(one.reference.flags) or "-"),
        ]
        for one in measured
    ]
    known = [one for one in measured if one.reference.rho is not None]
    lede = "No density could be measured."
    if known:
        best = max(known, key=lambda one: one.reference.rho or 0.0)
        lede = f"{best.name or 'The densest model'} carries most ability a parameter: {best.reference.rho:.2g} times the reference."
    heads = ["model", "parameters", "density at its own tokens", "density at the reference's", "flags"]
    caption = "Effective over actual parameters; a fixed reference also credits training on more tokens"
    return Section(
        "density",
        "Density",
        "Ability a parameter",
        join([paragraph(lede, cls="lede"), table(heads, body, caption=caption)]),
    )


def figures_section(figures: Sequence[Figure]) -> Section:
    """Published figures, computed again."""
    found = tally(figures)
    lede = (
        f"Of {len(figures)} published figures, "
        + ", ".join(f"{count} {name}" for name, count in found.items())
        + "."
    )
    caption = "Computed over published, one point a claim; what follows lies at 1. Only what misses is named."
    misses = [f"{figure.number}. {figure.words}" for figure in figures if figure.words != figure.verdict]
    parts: list[Html] = [paragraph(lede, cls="lede")]
    if any(claim.ratio is not None for figure in figures for claim in figure.claims):
        parts.append(picture(figures_chart(figures), caption))
    parts += [*([note(listed(misses), "warn")] if misses else []), fold("All claims", _claims_table(figures))]
    return Section("figures", "Figures", "Do published figures follow", join(parts))


def _claims_table(figures: Sequence[Figure]) -> Html:
    body = [
        [
            text_cell(f"{figure.number}  {claim.name}"),
            text_cell("-" if claim.published is None else claim.published.words),
            number_cell(
                claim.shown,
                f"{claim.shown:.4g} {claim.unit}".strip() if claim.shown is not None else "",
                claim.missing,
            ),
            text_cell(claim.verdict),
            Cell(esc(claim.assumption or "-"), claim.assumption),
        ]
        for figure in figures
        for claim in figure.claims
    ]
    heads = ["claim", "published", "computed", "verdict", "assuming"]
    return table(
        heads, body, caption="A verdict follows from the two values and a stated tolerance", most=len(body)
    )
