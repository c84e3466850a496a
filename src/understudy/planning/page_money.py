"""The sections of a scenario's page about money: break-even, serving, fleet, training."""

from __future__ import annotations

from functools import partial

from understudy.drawing.markup import Html, esc, join, tag
from understudy.drawing.svg import compact, figure
from understudy.drawing.xy import Axis, Chart, Series, draw_xy
from understudy.planning.breakeven import BreakEvenPlan
from understudy.planning.breakeven_chart import breakeven_chart
from understudy.planning.evidence import FIGURES
from understudy.planning.fleet import FleetPlan, fleet_chart
from understudy.planning.money import ExchangeRate
from understudy.planning.serve import ServePlan, ServeRequest, batch_curve
from understudy.planning.train_chart import train_chart
from understudy.planning.train_plan import TrainPlan
from understudy.report.layout import Section, fold, listed, note, paragraph, tile
from understudy.report.tables import Cell, table, text_cell, unknown, usd_cell
from understudy.units import format_bytes, format_duration, format_share, format_usd

__all__ = [
    "breakeven_section",
    "counted",
    "fleet_section",
    "number_cell",
    "picture",
    "serve_section",
    "train_section",
    "yuan_cell",
]


def picture(chart: Chart, caption: object) -> Html:
    """A chart in both widths with its caption."""
    return figure(partial(draw_xy, chart), caption)


def number_cell(value: float | None, words: str, reason: str | None = None) -> Cell:
    """A number in words of its own, sorted by its value."""
    if value is None:
        return Cell(unknown(reason), None, is_number=True, reason=reason)
    return Cell(esc(words), value, is_number=True)


def yuan_cell(amount_usd: float | None, exchange: ExchangeRate, reason: str | None = None) -> Cell:
    """Dollars as yuan."""
    return number_cell(amount_usd, exchange.yuan(amount_usd), reason)


def breakeven_section(plan: BreakEvenPlan) -> Section:
    """Teacher, student and the other options."""
    found = plan.over_time if plan.over_time is not None else plan.over_volume
    parts = [paragraph(plan.sentence, cls="lede")]
    if found.cheapest:
        parts.append(paragraph(_cheapest_words(plan), cls="lede"))
    if plan.over_time is not None:
        caption = f"Total cost over {plan.horizon.months} months."
        if plan.horizon.teacher_halving_months:
            caption += f" The teacher's price halves every {plan.horizon.teacher_halving_months:g} months."
        parts.append(picture(breakeven_chart(plan, is_over_time=True), caption))
    two = [name for name in ("teacher", "student + teacher") if name in plan.over_volume.curves]
    if len(two) == 2 or plan.over_time is None:
        chart = breakeven_chart(plan, is_over_time=False, names=two or None)
        parts.append(picture(chart, "Teacher and student: total cost over calls. Both axes logarithmic."))
    parts.append(_options_table(plan))
    parts.append(fold("Where these figures come from", _evidence_table(plan)))
    return Section("breakeven", "Break-even", "Which way of answering costs least", join(parts))


def _cheapest_words(plan: BreakEvenPlan) -> str:
    found = plan.over_time if plan.over_time is not None else plan.over_volume
    unit = found.axis
    first = found.cheapest[0]
    if len(found.cheapest) == 1:
        return f"Of all options {first.option} is cheapest throughout."
    steps = [f"Of all options {first.option} is cheapest at first"]
    steps += [f"{span.option} from {span.low:,.3g} {unit} on" for span in found.cheapest[1:4]]
    return ", ".join(steps) + "."


def _options_table(plan: BreakEvenPlan) -> Html:
    months = plan.horizon.months
    totals = plan.totals_usd(months)
    body = []
    for option in plan.options:
        why = option.unknown or "the calls per month are unknown"
        row = [
            text_cell(option.name),
            usd_cell(option.once_usd, option.unknown),
            usd_cell(option.usd_per_call, option.unknown),
            usd_cell(totals.get(option.name), why),
            yuan_cell(totals.get(option.name), plan.exchange, why),
        ]
        body.append(row)
    heads = ["option", "once", "a call", f"total, {months} months", "in yuan"]
    return table(heads, body, caption=f"All options; ¥: {plan.exchange.words}")


def _evidence_table(plan: BreakEvenPlan) -> Html:
    body = []
    for name in FIGURES:
        value = getattr(plan.evidence, name)
        words = format_share(value) if name == "coverage" else f"{value:,.6g}" if value is not None else ""
        if name == "coverage" and plan.coverage_interval is not None:
            low, high = plan.coverage_interval
            words += f" ({100 * low:.1f} to {100 * high:.1f})"
        source = plan.evidence.sources.get(name, "")
        body.append([text_cell(name.replace("_", " ")), number_cell(value, words, source), text_cell(source)])
    return table(
        ["figure", "value", "from"], body, caption=f"Interval of coverage at {100 * plan.confidence:.0f} %"
    )


def serve_section(plan: ServePlan, request: ServeRequest) -> Section:
    """One model on one device."""
    time = plan.time
    if plan.memory.has_room is False:
        words = f"{plan.model.name} does not fit {plan.device.name} so: {format_bytes(plan.memory.total_bytes)} needed."
        body = [paragraph(words, cls="lede"), listed([f"it would with {one}" for one in plan.remedies])]
        return Section("serve", "Serving", "One machine", join(body))
    total, cost = time.total_seconds, plan.call_usd
    words = f"{plan.model.name} on {plan.device.name} answers {plan.batch} calls at a time"
    if total is not None:
        words += f" in {format_duration(total.typical)} ({format_duration(total.low)} to {format_duration(total.high)})"
    if cost is not None:
        words += f"; a call costs {plan.exchange.both(cost.typical)} if the machine is never idle"
    million = None if plan.million_tokens_usd is None else plan.million_tokens_usd.typical
    tiles = [
        tile("Memory", format_bytes(plan.memory.total_bytes), f"of {format_bytes(plan.memory.usable_bytes)} usable"),
        tile("Calls at once", f"{plan.batch}", f"{plan.largest_batch or 'unknown'} fit at most", cls="key"),
        tile(
            "Tokens a second",
            "unknown" if time.tokens_per_second is None else f"{time.tokens_per_second.typical:,.0f}",
            "written, whole batch",
        ),
        tile("A million tokens", format_usd(million), "written" if million is None else f"{plan.exchange.yuan(million)}; written"),
    ]  # fmt: skip
    parts = [paragraph(words + ".", cls="lede"), tag("div", *tiles, cls="tiles small")]
    if (chart := _batch_chart(request)) is not None:
        parts.append(
            picture(
                chart,
                "More calls at once: dearer in time, cheaper in money. Bands: what the machine may reach.",
            )
        )
    if plan.context_warning is not None:
        parts.append(note(plan.context_warning))
    source = paragraph(f"Rent: {plan.price_source}. Speed: {plan.rates.source}.", cls="quiet")
    return Section("serve", "Serving", "One machine", join([*parts, source]))


def _batch_chart(request: ServeRequest) -> Chart | None:
    times = [one for one in batch_curve(request) if one.total_seconds is not None]
    if len(times) < 2:
        return None
    spans = [one.total_seconds for one in times if one.total_seconds is not None]
    return Chart(
        "Seconds a call by calls at once",
        Axis("calls at once", is_log=True, tick=compact),
        Axis("seconds a call", low=0.0),
        [
            Series(
                "a call",
                [float(one.batch) for one in times],
                [span.typical for span in spans],
                low=[span.low for span in spans],
                high=[span.high for span in spans],
                colour="accent",
            )
        ],
    )


def fleet_section(plan: FleetPlan) -> Section:
    """Devices for the whole load."""
    found, yuan = plan.fleet, plan.exchange.yuan
    month = found.usd_per_month
    tiles = [
        tile("Devices", f"{found.working:,} + {found.spares}", f"{found.by_division:.2f} by division{_span_words(plan)}", cls="key"),
        tile(
            "A month",
            format_usd(month),
            found.usd_reason if month is None else yuan(month),
        ),
        tile("A call", format_usd(found.usd_per_call), f"{yuan(found.usd_per_call)}; spares and idle hours included"),
        tile("Busy", format_share(found.queue.utilisation, digits=0), f"at the peak; {format_share(found.mean_utilisation, digits=0)} over the day"),
        tile("Energy", "unknown" if found.kwh_per_month is None else f"{found.kwh_per_month:,.0f} kWh", "a month"),
    ]  # fmt: skip
    caption = (
        "Devices against load: a queue needs more than division says, and the difference shrinks as the load grows. "
        "Both axes logarithmic."
    )
    parts = [
        paragraph(plan.sentence, cls="lede"),
        tag("div", *tiles, cls="tiles small"),
        picture(fleet_chart(plan), caption),
    ]
    if plan.instance_warning is not None:
        parts.append(note(plan.instance_warning))
    sources = {**plan.sources, "¥": plan.exchange.words}
    parts.append(
        paragraph("; ".join(f"{name}: {words}" for name, words in sources.items()) + ".", cls="quiet")
    )
    return Section("fleet", "Fleet", "Machines for the whole load", join(parts))


def _span_words(plan: FleetPlan) -> str:
    """Devices over the range of the service time, where it has one."""
    if plan.service_ends is None:
        return ""
    low, high = plan.service_ends
    return f"; {low.devices:,} to {high.devices:,} by the range of the service time"


def train_section(plan: TrainPlan) -> Section:
    """A model of one's own."""
    cost, shape = plan.cost, plan.shape
    tiles = [
        tile("Parameters", compact(plan.chosen.parameters), f"{shape.n_layers} layers, width {shape.d_model:,}", cls="key"),
        tile("Tokens", counted(plan.chosen.tokens), f"{plan.chosen.tokens / plan.chosen.parameters:,.0f} a parameter"),
        tile("Rent", format_usd(cost.usd), cost.usd_reason or f"{plan.exchange.yuan(cost.usd)}; {cost.device_hours:,.0f} hours of {plan.means.accelerator.name}"),
        tile(
            "Fewest devices",
            "unknown" if plan.fewest_devices is None else f"{plan.fewest_devices:,}",
            "" if plan.memory is None else f"{format_bytes(plan.memory.total_bytes)} on each",
        ),
    ]  # fmt: skip
    body = [
        [
            text_cell(row.constants),
            number_cell(row.parameters, compact(row.parameters or 0), row.reason),
            number_cell(row.tokens, counted(row.tokens or 0), row.reason),
            usd_cell(row.usd, row.reason),
            yuan_cell(row.usd, plan.exchange, row.reason),
            text_cell(row.source if row.year is None else f"{row.source}, {row.year}"),
        ]
        for row in plan.sensitivity
    ]
    heads = ["constants", "parameters", "tokens", "rent", "in yuan", "source"]
    parts = [paragraph(plan.sentence, cls="lede"), tag("div", *tiles, cls="tiles small")]
    if plan.chosen.warnings:
        parts.append(note(listed(plan.chosen.warnings)))
    parts += [
        picture(
            train_chart(plan),
            "At this compute: how much loss a wrong size costs, by the plan's constants and by those that differ most.",
        ),
        table(heads, body, caption="The same question under each set of constants"),
        paragraph(_interval_words(plan), cls="quiet"),
    ]
    if plan.mixture is not None:
        parts.append(_mixture_words(plan))
    return Section("train", "Training", "A model of one's own", join(parts))


def _interval_words(plan: TrainPlan) -> str:
    """Intervals of size and data, or why there are none."""
    words = []
    for name in ("parameters", "tokens"):
        one = plan.chosen.estimates[name]
        if one.lower is None or one.upper is None or plan.law.draws is None:
            return f"No interval: {one.reason} ({plan.law.name})."
        words.append(f"{counted(one.lower)} to {counted(one.upper)} {name}")
        confidence = plan.law.draws.confidence
    return f"{100 * confidence:g} % intervals, of the fitted law alone: {', '.join(words)}."


def counted(count: float) -> str:
    """A count in few characters, trillions included."""
    return f"{count / 1e12:.3g}T" if count >= 1e12 else compact(count)


def _mixture_words(plan: TrainPlan) -> Html:
    mixture = plan.mixture
    assert mixture is not None, "called where there is one"
    words = (
        f"As a mixture of {mixture.n_experts} experts the same compute trains {compact(mixture.active_parameters)} active "
        f"of {compact(mixture.total_parameters)} parameters to a loss of {mixture.loss:.3f}, against {mixture.dense_loss:.3f} "
        f"dense by the same law, and takes {format_bytes(mixture.serving_bytes)} to serve instead of "
        f"{format_bytes(mixture.dense_serving_bytes)}."
    )
    return paragraph(words, cls="caption")
