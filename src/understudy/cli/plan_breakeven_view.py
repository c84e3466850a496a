"""How a break-even plan prints: figures with their sources, total costs in dollars and yuan, crossings."""

from __future__ import annotations

from understudy.cli.plan_view import print_table, print_words
from understudy.planning.breakeven import BreakEvenPlan
from understudy.planning.evidence import FIGURES
from understudy.units import format_share, format_usd

__all__ = ["show_plan"]


def show_plan(plan: BreakEvenPlan) -> None:
    """The answer, the figures it rests on, every option's total cost, and where options cross."""
    print_words(plan.sentence, style="bold")
    evidence, both = plan.evidence, plan.exchange.both
    shown = {
        "teacher_usd_per_call": ("teacher, a call", both(evidence.teacher_usd_per_call)),
        "student_usd_per_call": ("student, a call", both(evidence.student_usd_per_call)),
        "build_usd": ("build", both(evidence.build_usd)),
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
    if plan.interval_reason is not None:
        print_words(f"no interval: {plan.interval_reason}", style="dim")
    _show_comparisons(plan)


def _show_comparisons(plan: BreakEvenPlan) -> None:
    stops = plan.stops
    totals = [plan.totals_usd(month) for month in stops]
    rows = []
    for option in plan.options:
        amounts = [option.once_usd, option.usd_per_call, *(one.get(option.name) for one in totals)]
        rows.append([option.name, *map(format_usd, amounts)])
        rows.append(["", *("" if one is None else plan.exchange.yuan(one) for one in amounts)])
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
    print_words(f"¥: {plan.exchange.words}", style="dim")


def _place(x: float, axis: str) -> str:
    return f"{x:,.0f}" if axis == "calls" and x >= 10 else f"{x:.3g}"
