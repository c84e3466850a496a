"""``understudy plan breakeven``: teacher, student and other ways of answering calls, and where they cross."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from understudy.planning.breakeven import BreakEvenPlan
    from understudy.planning.evidence import Evidence

__all__ = ["breakeven_command"]


@click.command("breakeven")
@click.option("--artefact", metavar="DIR", help="A folder that `learn` wrote: coverage, costs, receipt.")
@click.option("--with-labels", is_flag=True, help="Count what the recorded calls cost as part of the build.")
@click.option("--ledger", "ledger_url", metavar="URL", help="A ledger: volume, measured costs, coverage.")
@click.option("--task", help="Only this task's calls of the ledger.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="Only calls of the ledger from then (UTC).")
@click.option("--teacher-price", metavar="PRICE", help="Dollars per call (0.002) or per million in/out (0.15/0.60).")  # fmt: skip
@click.option("--teacher-model", metavar="NAME", help="Take the teacher's price from the price list.")
@click.option("--read-tokens", type=float, help="Tokens a call reads, for prices by tokens.")
@click.option("--written-tokens", type=float, help="Tokens a call writes.")
@click.option("--cached-share", type=float, default=0.0, help="Share of tokens read from the cache.")
@click.option("--batch-share", type=float, default=0.0, help="Share of calls sent in batches, at half price.")
@click.option("--student-usd", type=float, help="Dollars per call through the student.")
@click.option("--build-usd", type=float, help="Dollars paid once.")
@click.option("--coverage", metavar="SHARE", help="Share (0.45), or counts (128/280) for an interval.")
@click.option("--calls-per-month", type=float, help="Volume.")
@click.option("--growth", type=float, default=0.0, help="Growth of the volume per month (0.05 is 5 %).")
@click.option("--months", type=int, default=36, show_default=True, help="How far to look.")
@click.option("--halving-months", type=float, help="Assume that the teacher's price halves in this time.")
@click.option("--options", "options_file", metavar="FILE", help="Further options: TOML, [[option]] tables.")
@click.option("--confidence", type=float, default=0.95, show_default=True, help="Of the intervals.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--plot", metavar="FILE", help="Draw total cost over calls as SVG.")
@click.option("--plot-time", metavar="FILE", help="Draw total cost over months as SVG.")
def breakeven_command(
    options_file: str | None,
    confidence: float,
    months: int,
    growth: float,
    halving_months: float | None,
    *,
    as_json: bool,
    plot: str | None,
    plot_time: str | None,
    **given: Any,
) -> None:
    """Compare ways of answering the same calls, and find where they cross.

    A figure given here goes before the ledger's, and that before the artefact's.

    \b
    Example:
      understudy plan breakeven --teacher-price 0.002 --student-usd 1e-6 --coverage 128/280 --build-usd 50
    """
    from understudy.cli.plan_table import save_chart
    from understudy.cli.plan_view import print_json
    from understudy.planning.breakeven import Horizon, breakeven_chart, plan_breakeven
    from understudy.planning.option_file import read_options

    options = read_options(options_file) if options_file else []
    plan = plan_breakeven(
        _evidence(given),
        options,
        confidence=confidence,
        horizon=Horizon(months, growth, halving_months),
    )
    if plot:
        save_chart(breakeven_chart(plan, is_over_time=False), plot)
    if plot_time:
        save_chart(breakeven_chart(plan, is_over_time=True), plot_time)
    if as_json:
        print_json(plan.to_dict())
    else:
        _show(plan)


def _evidence(given: dict[str, Any]) -> Evidence:
    from understudy.planning.evidence import Evidence, artefact_evidence, joined, ledger_evidence

    coverage, counts = _coverage(given["coverage"])
    teacher, source = _teacher_usd(given)
    by_hand = Evidence(
        teacher,
        given["student_usd"],
        given["build_usd"],
        coverage,
        counts,
        given["calls_per_month"],
        {
            **({"teacher_usd_per_call": source} if source else {}),
            **({"coverage": f"given: {counts.answered:,} of {counts.calls:,} calls"} if counts else {}),
        },
    )
    pieces = [by_hand]
    if given["ledger_url"]:
        since: datetime | None = given["since"]
        since_ms = None if since is None else int(since.replace(tzinfo=UTC).timestamp() * 1000)
        pieces.append(ledger_evidence(given["ledger_url"], task=given["task"], since_ms=since_ms))
    if given["artefact"]:
        pieces.append(artefact_evidence(given["artefact"], with_labels=given["with_labels"]))
    return joined(*pieces)


def _coverage(text: str | None) -> tuple[float | None, Any]:
    from understudy.errors import ConfigError
    from understudy.planning.evidence import Counts

    if text is None:
        return None, None
    try:
        if "/" in text:
            answered, _, calls = text.partition("/")
            counts = Counts(int(answered), int(calls))
            return counts.share, counts
        return float(text), None
    except ValueError as error:
        raise ConfigError(
            "--coverage is not understood", given=repr(text), todo="write 0.45, or 128/280"
        ) from error


def _teacher_usd(given: dict[str, Any]) -> tuple[float | None, str | None]:
    """Dollars per teacher call, and where it comes from or why it is unknown."""
    from understudy.economics.options import Tokens, api_option
    from understudy.economics.prices import model_price, parse_teacher_price
    from understudy.errors import ConfigError

    text, model = given["teacher_price"], given["teacher_model"]
    if text and model:
        raise ConfigError("--teacher-price and --teacher-model are given both", todo="give one")
    if not text and not model:
        return None, None
    price = parse_teacher_price(text) if text else model_price(model)
    tokens = None
    if given["read_tokens"] is not None and given["written_tokens"] is not None:
        tokens = Tokens(
            given["read_tokens"], given["written_tokens"], given["cached_share"], given["batch_share"]
        )
    option = api_option("teacher", price, tokens, reason=f"no list price for model {model}")
    return option.usd_per_call, option.notes["usd_per_call"]


def _show(plan: BreakEvenPlan) -> None:
    from understudy.cli.plan_view import print_table, print_words
    from understudy.planning.evidence import FIGURES
    from understudy.units import format_share, format_usd

    print_words(plan.sentence, style="bold")
    evidence = plan.evidence
    shown = {
        "teacher_usd_per_call": ("teacher, a call", format_usd(evidence.teacher_usd_per_call)),
        "student_usd_per_call": ("student, a call", format_usd(evidence.student_usd_per_call)),
        "build_usd": ("build", format_usd(evidence.build_usd)),
        "coverage": ("coverage", format_share(evidence.coverage)),
        "calls_per_month": (
            "calls a month",
            "unknown" if evidence.calls_per_month is None else f"{evidence.calls_per_month:,.0f}",
        ),
    }
    if plan.coverage_interval is not None:
        low, high = plan.coverage_interval
        words = f"{shown['coverage'][1]} ({100 * low:.1f} to {100 * high:.1f})"
        shown["coverage"] = ("coverage", words)
    print_table(
        ["figure", "value", "from"],
        [[*shown[name], evidence.sources.get(name, "")] for name in FIGURES],
        right=[1],
    )
    _show_comparisons(plan)


def _show_comparisons(plan: BreakEvenPlan) -> None:
    from understudy.cli.plan_view import print_table, print_words
    from understudy.units import format_usd

    over_time = plan.over_time
    stops = [] if over_time is None else sorted({1, min(12, plan.horizon.months), plan.horizon.months})
    rows = []
    for option in plan.options:
        cells = [option.name, format_usd(option.once_usd), format_usd(option.usd_per_call)]
        for month in stops:
            totals = {} if over_time is None else over_time.totals(month)
            cells.append(format_usd(totals.get(option.name)))
        rows.append(cells)
    if rows:
        heads = ["option", "once", "a call", *(f"{month} month{'s' if month > 1 else ''}" for month in stops)]
        print_table(heads, rows, right=range(1, len(heads)), title="Total cost")
    for name, reason in plan.over_volume.unknown.items():
        print_words(f"{name}: unknown, {reason}", style="dim")
    for found in (plan.over_volume, plan.over_time):
        if found is None or not found.cheapest:
            continue
        rows = [
            [_place(one.x, found.axis), one.cheaper_after,
             one.second if one.cheaper_after == one.first else one.first]
            for one in found.crossings
        ]  # fmt: skip
        title = f"Crossings over {found.axis}"
        if found.axis == "calls" and plan.over_time is not None:
            title += f", spread evenly over {plan.horizon.months} months"
        if rows:
            print_table([found.axis, "from here cheaper", "than"], rows, right=[0], title=title)
        else:
            print_words(f"Over {found.axis}: {found.cheapest[0].option} is cheapest throughout, no crossing.")


def _place(x: float, axis: str) -> str:
    return f"{x:,.0f}" if axis == "calls" and x >= 10 else f"{x:.3g}"
