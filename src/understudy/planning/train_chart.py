"""The charts of a training plan: loss against size at the plan's compute, and runs with the law fitted to them."""

from __future__ import annotations

import math

import numpy as np

from understudy.drawing.svg import compact
from understudy.drawing.xy import Axis, Chart, Mark, Series
from understudy.economics.scaling.constants import constants_names, scaling_law
from understudy.economics.scaling.estimate import Estimate
from understudy.planning.train_plan import TrainPlan
from understudy.planning.train_runs import RunsFit

__all__ = ["runs_chart", "train_chart"]

_DECADES = 1.2
_N_STEPS = 41


def train_chart(plan: TrainPlan) -> Chart:
    """Loss over parameters at the training FLOP of the plan: the plan's constants, and those that differ most.

    Each set of constants has a loss of its own (texts and tokenisers differ), so what is drawn is the loss above
    each set's own optimum: how much a wrong size costs.
    """
    flops = plan.chosen.training_flops
    laws = {name: scaling_law(name) for name in constants_names("additive")}
    laws[plan.law.name] = plan.law.law
    sizes_at = {name: law.compute_optimal(flops).parameters for name, law in laws.items()}
    ends = {min(sizes_at, key=lambda name: sizes_at[name]), max(sizes_at, key=lambda name: sizes_at[name])}
    series = []
    for at, name in enumerate(dict.fromkeys([*sorted(ends), plan.law.name])):
        law = laws[name]
        best = law.compute_optimal(flops)
        middle = math.log10(best.parameters)
        sizes = [10 ** (middle + _DECADES * (step / 40 - 1)) for step in range(81)]
        losses = [float(law.loss(size, flops / (6 * size))) - best.loss for size in sizes]
        series.append(Series(name, sizes, losses, colour="accent" if name == plan.law.name else at))
    marks = [Mark(f"{plan.chosen.kind}: {compact(plan.chosen.parameters)}", x=plan.chosen.parameters)]
    return Chart(
        f"What a wrong size costs at {flops:.3g} FLOP",
        Axis("parameters", is_log=True, tick=compact),
        Axis("loss above each law's optimum, nats a token", low=0.0),
        series,
        marks,
    )


def runs_chart(plan: TrainPlan, fitted: RunsFit) -> Chart:
    """Loss over training FLOP: the runs, and the least loss that the fitted law gives, with its band.

    A run lies above the line where its size is not the best for its FLOP. The line goes on to the plan.
    """
    runs, planned = fitted.runs, plan.chosen
    flops = np.append(runs.flops, planned.training_flops)
    budgets = np.geomspace(flops.min(), flops.max(), _N_STEPS).tolist()
    frontier = [_least_loss(fitted, budget) for budget in budgets]
    is_out = np.zeros(len(runs), dtype=bool)
    is_out[list(fitted.fit.dropped.rows)] = True
    confidence = f"{100 * fitted.draws.confidence:g} %"
    series = [
        Series(
            "compute-optimal",
            budgets,
            [one.value for one in frontier],
            low=[math.nan if one.lower is None else one.lower for one in frontier],
            high=[math.nan if one.upper is None else one.upper for one in frontier],
            colour="accent",
        )
    ]
    for name, mask, colour in (("runs", ~is_out, 0), ("left out", is_out, 2)):
        if mask.any():
            part = runs.take(mask)
            series.append(Series(name, part.flops.tolist(), part.loss.tolist(), kind="points", colour=colour))
    return Chart(
        f"{len(runs)} runs, and the least loss by the law fitted to them ({confidence} band)",
        Axis("training FLOP", is_log=True),
        Axis("loss, nats a token"),
        series,
        [Mark(f"this plan: {planned.training_flops:.3g} FLOP", x=planned.training_flops)],
    )


def _least_loss(fitted: RunsFit, flops: float) -> Estimate:
    found = fitted.draws.derive(lambda law: law.compute_optimal(flops).loss)
    assert found is not None, "every law has an optimum"
    return found
