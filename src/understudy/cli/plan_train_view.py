"""How a training plan prints: ways to use the budget, intervals, means, and the same under other constants.

Imported by the command once it runs, so it may import what it shows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from understudy.cli.plan_view import brief, print_table, print_words
from understudy.economics.scaling.estimate import Estimate
from understudy.economics.transformer.parameters import count_parameters
from understudy.planning.train_plan import TrainPlan
from understudy.planning.train_runs import RunsFit
from understudy.units import format_bytes, format_cny, format_usd

__all__ = ["show_plan"]


def show_plan(plan: TrainPlan, fitted: RunsFit | None, sources: dict[str, str]) -> None:
    """The answer, what it rests on, its intervals, its means, and the same under other constants."""
    print_words(plan.sentence, style="bold")
    rows = [
        [
            one.kind,
            brief(one.parameters),
            brief(one.tokens),
            f"{one.tokens / one.parameters:.3g}",
            brief(one.training_flops),
            f"{one.loss:.3f}",
            "-" if one.epochs is None else f"{one.epochs:.2g}",
            "-" if one.life_flops is None else brief(one.life_flops),
        ]
        for one in plan.variants
    ]
    heads = ["plan", "parameters", "tokens", "per param.", "FLOP", "loss", "passes", "life FLOP"]
    print_table(heads, rows, right=range(1, 8))
    for words in plan.chosen.warnings:
        print_words(f"note: {words}", style="dim")
    if fitted is not None:
        _show_fit(fitted)
    _show_intervals(plan)
    _show_means(plan)
    _show_mixture(plan)
    print_table(
        ["constants", "parameters", "tokens", "FLOP", "cost", "in yuan", "source"],
        [
            [
                row.constants,
                brief(row.parameters),
                brief(row.tokens),
                brief(row.training_flops),
                format_usd(row.usd),
                plan.exchange.yuan(row.usd),
                row.reason or (row.source if row.year is None else f"{row.source}, {row.year}"),
            ]
            for row in plan.sensitivity
        ],
        right=range(1, 6),
        title="The same question under each set of constants",
    )
    for name, words in {**sources, "¥": plan.exchange.words}.items():
        print_words(f"{name}: {words}", style="dim")


def _show_fit(fitted: RunsFit) -> None:
    """The constants with their intervals, which runs were left out, and what speaks against the fit."""
    fit, draws = fitted.fit, fitted.draws
    figures = {**draws.constants(), **draws.exponents()}
    names = {"parameters_exponent": "a, size by FLOP**a", "tokens_exponent": "b, data by FLOP**b"}
    print_table(
        ["law", "value", "standard error", "from", "to"],
        [[names.get(name, name), *_interval_cells(one, has_error=True)] for name, one in figures.items()],
        right=range(1, 5),
        title=f"Fitted to {fit.n_runs} runs of {fitted.path}, {_share(draws.confidence)} intervals",
    )
    n_sizes = f"{len(draws):,} resamples, {fit.n_starts_at_optimum} of {fit.n_starts} starts at the optimum"
    print_words(f"bootstrap: {n_sizes}", style="dim")
    rows = fit.dropped.rows
    words = "no run"
    if rows:
        words = f"{len(rows)} of {len(fitted.runs)}, {_places(rows)} of the file: {fit.dropped.meaning}"
    print_words(f"left out: {words}", style="dim")
    if not fitted.law.warnings:
        print_words("identified: no rule of `fit_warnings` speaks against the fit", style="dim")
    for words in fitted.law.warnings:
        print_words(f"doubt: {words}", style="yellow")


def _places(rows: Sequence[int]) -> str:
    """Rows counted from 0 as places counted from 1."""
    places = [str(row + 1) for row in rows]
    return f"row {places[0]}" if len(places) == 1 else f"rows {', '.join(places[:-1])} and {places[-1]}"


def _show_intervals(plan: TrainPlan) -> None:
    """Figures of the plan with their intervals, or why there are none."""
    if plan.law.draws is None:
        words = f"no intervals: {plan.interval_reason} ({plan.law.name}); --runs fits a law that has them"
        print_words(words, style="dim")
        return
    names = {
        "parameters": "parameters", "tokens": "tokens", "tokens_per_parameter": "per parameter",
        "training_flops": "FLOP", "loss": "loss",
    }  # fmt: skip
    rows = [[words, *_interval_cells(plan.chosen.estimates[key])] for key, words in names.items()]
    costs: dict[str, tuple[str, Callable[[float], str]]] = {
        "device_hours": ("accelerator hours", _one_decimal),
        "usd": ("rent", format_usd),
        "cny": ("rent in yuan", format_cny),
        "kwh": ("kWh", _one_decimal),
    }
    known = plan.cost_estimates
    rows += [
        [words, *_interval_cells(known[key], tell)] for key, (words, tell) in costs.items() if key in known
    ]
    print_table(
        [plan.chosen.kind, "value", "from", "to"],
        rows,
        right=range(1, 4),
        title=f"This plan, {_share(plan.law.draws.confidence)} intervals",
    )
    fixed = "prices and MFU" if plan.chosen.epochs is None else "prices, MFU and the worth of repeated data"
    print_words(f"intervals: of the fitted law alone; {fixed} are taken as given", style="dim")


def _interval_cells(
    one: Estimate, tell: Callable[[float], str] = brief, *, has_error: bool = False
) -> list[str]:
    """Value, standard error if wanted, both ends; what the question fixes has no ends."""
    error = [] if not has_error else ["unknown" if one.standard_error is None else tell(one.standard_error)]
    if one.lower is None or one.upper is None:
        return [tell(one.value), *error, "unknown:", one.reason or ""]
    if math.isclose(one.lower, one.upper, rel_tol=1e-9):
        return [tell(one.value), *error, "as asked", ""]
    return [tell(one.value), *error, tell(one.lower), tell(one.upper)]


def _one_decimal(value: float) -> str:
    return f"{value:,.1f}"


def _share(confidence: float) -> str:
    return f"{100 * confidence:g} %"


def _show_means(plan: TrainPlan) -> None:
    shape, cost = plan.shape, plan.cost
    heads = f"{shape.n_heads} heads ({shape.n_kv_heads} key-value)"
    length = plan.means.batch.sequence_length
    attention = f"{100 * plan.attention_share:.1f} % of FLOP at {length:,} tokens, not in the figures below"
    rows = [
        ["shape", f"{shape.n_layers} layers, width {shape.d_model:,}, {heads}, feed-forward {shape.d_ff:,}"],
        ["its parameters", f"{count_parameters(shape).total:,}"],
        ["attention adds", attention],
        ["accelerator hours", f"{cost.device_hours:,.1f} at {100 * cost.mfu:g} % MFU"],
        ["devices", "unknown" if cost.devices is None else f"{cost.devices:,}"],
        ["wall time", "unknown" if cost.wall_hours is None else f"{cost.wall_hours:,.1f} hours"],
        ["rent", plan.exchange.both(cost.usd)],
        ["energy", f"{brief(cost.kwh, 'kWh')} at PUE {cost.pue:g}"],
    ]
    if plan.sharding is None or plan.memory is None:
        rows.append(["fewest devices", "unknown: no memory is known, or a layer is too large for one device"])
    else:
        one, memory = plan.sharding, plan.memory
        parallel = f"data {one.data}, tensor {one.tensor}, pipeline {one.pipeline}, ZeRO {one.zero_stage}"
        states = format_bytes(memory.total_bytes - memory.activation_bytes)
        activations = f"{format_bytes(memory.activation_bytes)} ({plan.means.batch.recompute} recomputation)"
        total = format_bytes(memory.total_bytes)
        rows += [
            ["fewest devices", f"{one.devices:,} ({parallel})"],
            ["memory a device", f"{total}: states {states}, activations {activations}"],
        ]
    print_table(["", ""], rows)


def _show_mixture(plan: TrainPlan) -> None:
    mixture = plan.mixture
    if mixture is None:
        return
    print_table(
        ["same FLOP", "active", "total", "tokens", "loss", "16-bit weights"],
        [
            ["dense", brief(mixture.dense_parameters), brief(mixture.dense_parameters),
             brief(mixture.dense_tokens), f"{mixture.dense_loss:.3f}",
             format_bytes(mixture.dense_serving_bytes)],
            [f"{mixture.n_experts} experts", brief(mixture.active_parameters), brief(mixture.total_parameters),
             brief(mixture.tokens), f"{mixture.loss:.3f}", format_bytes(mixture.serving_bytes)],
        ],
        right=range(1, 6),
        title="A mixture of experts (law of Ludziejewski et al. 2025: one expert a token)",
    )  # fmt: skip
    if mixture.equal_loss_flops_share is not None:
        share = 100 * mixture.equal_loss_flops_share
        print_words(f"The mixture needs {share:.0f} % of the dense model's FLOP for the dense model's loss.")
    for words in mixture.warnings:
        print_words(f"note: {words}", style="dim")
