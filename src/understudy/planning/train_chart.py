"""The chart of a training plan: loss against size at the plan's compute."""

from __future__ import annotations

import math

from understudy.drawing.svg import compact
from understudy.drawing.xy import Axis, Chart, Mark, Series
from understudy.economics.scaling.constants import constants_names, scaling_law
from understudy.planning.train import TrainPlan

__all__ = ["train_chart"]

_DECADES = 1.2


def train_chart(plan: TrainPlan) -> Chart:
    """Loss over parameters at the training FLOP of the plan: the plan's constants, and those that differ most.

    Each set of constants has a loss of its own (texts and tokenisers differ), so what is drawn is the loss above
    each set's own optimum: how much a wrong size costs.
    """
    flops = plan.chosen.training_flops
    sizes_at = {
        name: scaling_law(name).compute_optimal(flops).parameters for name in constants_names("additive")
    }
    ends = {min(sizes_at, key=lambda name: sizes_at[name]), max(sizes_at, key=lambda name: sizes_at[name])}
    series = []
    for at, name in enumerate(dict.fromkeys([*sorted(ends), plan.constants])):
        law = scaling_law(name)
        best = law.compute_optimal(flops)
        middle = math.log10(best.parameters)
        sizes = [10 ** (middle + _DECADES * (step / 40 - 1)) for step in range(81)]
        losses = [float(law.loss(size, flops / (6 * size))) - best.loss for size in sizes]
        series.append(Series(name, sizes, losses, colour="accent" if name == plan.constants else at))
    marks = [Mark(f"{plan.chosen.kind}: {compact(plan.chosen.parameters)}", x=plan.chosen.parameters)]
    return Chart(
        f"What a wrong size costs at {flops:.3g} FLOP",
        Axis("parameters", is_log=True, tick=compact),
        Axis("loss above each law's optimum, nats a token", low=0.0),
        series,
        marks,
    )
