"""Intervals of a training plan: the question asked again of every bootstrap draw of the law.

They hold the sampling of the runs behind a fit. They hold no error of the law's form, of prices or of utilisation;
published constants carry no covariance, so there the reason stands in the interval's place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from understudy.economics.scaling.estimate import NO_COVARIANCE, Estimate, estimate_from_draws
from understudy.economics.scaling.law import ScalingLaw
from understudy.economics.scaling.optimum import PlanLaw
from understudy.errors import ConfigError
from understudy.planning.train_plan import Variant

__all__ = ["ESTIMATED", "with_estimates"]

ESTIMATED = ("parameters", "tokens", "tokens_per_parameter", "training_flops", "loss")
"""Figures of a variant that get an interval."""

Answer = Callable[[ScalingLaw], Sequence[Variant]]


def with_estimates(variants: Sequence[Variant], law: PlanLaw, answer: Answer) -> tuple[Variant, ...]:
    """The variants with intervals, or the reason why there are none.

    Parameters
    ----------
    variants
        What `answer` found for the law itself.
    law
        With or without draws.
    answer
        How one law answers the question. A draw that has no answer (it does not reach the loss, say) counts as
        beyond the upper end; one that has no such variant (the corpus suffices it, say) counts with its last one.
    """
    if law.draws is None:
        why = NO_COVARIANCE if law.name != "fit" else "no bootstrap of the fit was given"
        return tuple(
            replace(one, estimates={name: Estimate(getattr(one, name), reason=why) for name in ESTIMATED})
            for one in variants
        )
    drawn = [_answered(answer, one) for one in law.draws.laws]
    n_missing = len(law.draws) - len(drawn)
    out = []
    for variant in variants:
        found = [_of_kind(one, variant) for one in drawn]
        estimates = {}
        for name in ESTIMATED:
            values = [np.nan if one is None else getattr(one, name) for one in found]
            estimates[name] = estimate_from_draws(
                getattr(variant, name), np.array(values + [np.nan] * n_missing), law.draws.confidence
            )
        out.append(replace(variant, estimates=estimates))
    return tuple(out)


def _answered(answer: Answer, law: ScalingLaw) -> Sequence[Variant]:
    """What a draw answers; nothing where it cannot."""
    try:
        return answer(law)
    except (ConfigError, OverflowError):
        return ()


def _of_kind(found: Sequence[Variant], wanted: Variant) -> Variant | None:
    if not found:
        return None
    return next((one for one in found if one.kind == wanted.kind), found[-1])
