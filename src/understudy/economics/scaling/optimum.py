"""One answer for a plan: from a budget, a quality or an inference volume to size, data and loss with intervals.

The law comes from published constants (no covariance, so no intervals) or from a fit with its bootstrap (each
draw is planned anew). An interval holds the sampling of the runs behind the fit; it does not hold a law that is
wrong outside their range, so a plan outside it carries a warning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from understudy.economics.scaling.bootstrap import LawDraws
from understudy.economics.scaling.constants import DEFAULT_CONSTANTS, constants, outside_range, scaling_law
from understudy.economics.scaling.estimate import NO_COVARIANCE, Estimate, estimate_from_draws
from understudy.economics.scaling.flop import INFERENCE_FLOP, check_positive
from understudy.economics.scaling.identify import fit_warnings
from understudy.economics.scaling.inference_aware import (
    inference_optimum,
    reference_loss,
    total_budget_optimum,
)
from understudy.economics.scaling.law import Allocation, ScalingLaw
from understudy.economics.scaling.parametric import ParametricFit
from understudy.errors import ConfigError

__all__ = ["PlanLaw", "TrainingPlan", "fitted_law", "plan_training", "published_law"]


@dataclass(frozen=True, slots=True)
class PlanLaw:
    """A law to plan by.

    Attributes
    ----------
    law
        The constants.
    name
        Where they come from: the name of a published set, or ``fit``.
    source
        The same in words.
    range_parameters, range_tokens
        Of the runs behind it.
    draws
        Bootstrap draws, or ``None``.
    warnings
        What speaks against the law itself.
    """

    law: ScalingLaw
    name: str
    source: str
    range_parameters: tuple[float, float]
    range_tokens: tuple[float, float]
    draws: LawDraws | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """A size and an amount of data for a question.

    Attributes
    ----------
    question
        In words, with its numbers.
    law, source
        Name and source of the constants.
    parameters, tokens, loss, tokens_per_parameter, training_flops
        Each with interval, or the reason why there is none.
    inference_tokens, inference_flops
        Over the model's life; ``None`` where no volume was given.
    warnings
        Extrapolation and doubts about the law.
    """

    question: str
    law: str
    source: str
    parameters: Estimate
    tokens: Estimate
    loss: Estimate
    tokens_per_parameter: Estimate
    training_flops: Estimate
    inference_tokens: float | None
    inference_flops: Estimate | None
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        figures = ("parameters", "tokens", "loss", "tokens_per_parameter", "training_flops")
        return {
            "question": self.question, "law": self.law, "source": self.source,
            **{name: getattr(self, name).to_dict() for name in figures},
            "inference_tokens": self.inference_tokens,
            "inference_flops": None if self.inference_flops is None else self.inference_flops.to_dict(),
            "warnings": list(self.warnings),
        }  # fmt: skip


def published_law(name: str = DEFAULT_CONSTANTS) -> PlanLaw:
    """A published set of constants, without intervals.

    Raises
    ------
    ConfigError
        If there is no such set, or its law has another form.
    """
    row = constants(name)
    return PlanLaw(scaling_law(name), name, row.source, row.range_parameters, row.range_tokens)


def fitted_law(fit: ParametricFit, draws: LawDraws | None = None) -> PlanLaw:
    """A fit to one's own runs, with intervals if its bootstrap is given."""
    runs = fit.runs
    return PlanLaw(
        fit.law, "fit", f"fitted to {fit.n_runs} runs, {fit.dropped.meaning}",
        (float(runs.parameters.min()), float(runs.parameters.max())),
        (float(runs.tokens.min()), float(runs.tokens.max())), draws, fit_warnings(fit),
    )  # fmt: skip


def plan_training(
    law: PlanLaw,
    *,
    flops: float | None = None,
    loss: float | None = None,
    like_parameters: float | None = None,
    total_flops: float | None = None,
    inference_tokens: float | None = None,
) -> TrainingPlan:
    """Size and data for exactly one of four questions.

    Parameters
    ----------
    law
        From :func:`published_law` or :func:`fitted_law`.
    flops
        Training compute: least loss for it. `inference_tokens` then only adds its cost.
    loss
        Quality as a loss: least FLOP for it, over training and `inference_tokens` (none: training alone).
    like_parameters
        Quality as that of a compute-optimal model of this size: the same.
    total_flops
        Training and `inference_tokens` together: least loss for it.
    inference_tokens
        Read and written over the model's life.

    Raises
    ------
    ConfigError
        If not exactly one question is given, a number is out of range, or the law does not reach the loss.
    """
    given = {"flops": flops, "loss": loss, "like_parameters": like_parameters, "total_flops": total_flops}
    name, value = _the_question(given, inference_tokens)
    served = inference_tokens or 0.0
    answer, question = _questions(name, value, served)
    found = answer(law.law)
    drawn = None if law.draws is None else _answers(answer, law.draws)
    what = "the fit" if law.name == "fit" else law.name
    outside = outside_range(what, found.parameters, found.tokens, law.range_parameters, law.range_tokens)

    def estimate(figure: Callable[[Allocation], float]) -> Estimate:
        return _estimate(law, found, drawn, figure)

    return TrainingPlan(
        question, law.name, law.source,
        estimate(lambda at: at.parameters), estimate(lambda at: at.tokens), estimate(lambda at: at.loss),
        estimate(lambda at: at.tokens_per_parameter), estimate(lambda at: at.training_flops),
        inference_tokens,
        None if inference_tokens is None
        else estimate(lambda at: INFERENCE_FLOP * at.parameters * served),
        outside + law.warnings,
    )  # fmt: skip


def _estimate(
    law: PlanLaw,
    found: Allocation,
    drawn: list[Allocation | None] | None,
    figure: Callable[[Allocation], float],
) -> Estimate:
    """A figure of the plan with its interval, or why there is none."""
    if drawn is None or law.draws is None:
        why = NO_COVARIANCE if law.name != "fit" else "no bootstrap of the fit was given"
        return Estimate(figure(found), reason=why)
    values = np.array([np.nan if one is None else figure(one) for one in drawn], dtype=np.float64)
    return estimate_from_draws(figure(found), values, law.draws.confidence)


def _the_question(given: dict[str, float | None], inference_tokens: float | None) -> tuple[str, float]:
    """The one question that was given, after checks."""
    named = {name: value for name, value in given.items() if value is not None}
    if len(named) != 1:
        raise ConfigError(
            "a plan answers exactly one question",
            given=", ".join(named) or "none" + (" beside inference_tokens" if inference_tokens else ""),
            todo=f"give one of {', '.join(given)}",
        )
    ((name, value),) = named.items()
    check_positive(name, value)
    if inference_tokens is not None:
        check_positive("inference_tokens", inference_tokens, is_zero_allowed=True)
    elif name == "total_flops":
        raise ConfigError("total_flops needs inference_tokens", todo="or give flops, for training alone")
    return name, value


def _questions(name: str, value: float, served: float) -> tuple[Callable[[ScalingLaw], Allocation], str]:
    """How one law answers the question, and the question in words."""

    def for_loss(law: ScalingLaw, target: float) -> Allocation:
        best = inference_optimum(law, target, served)
        return Allocation(best.parameters, best.tokens, best.training_flops, best.loss)

    over = f" over training and {served:.3g} tokens of inference" if served else " of training"
    if name == "flops":
        return (lambda law: law.compute_optimal(value)), f"least loss for {value:.3g} FLOP of training"
    if name == "loss":
        return (lambda law: for_loss(law, value)), f"least FLOP{over} for a loss of {value:.4g}"
    if name == "like_parameters":
        return (
            lambda law: for_loss(law, reference_loss(law, value)),
            f"least FLOP{over} for the quality of a compute-optimal model of {value:.3g} parameters",
        )
    return (
        lambda law: total_budget_optimum(law, value, served),
        f"least loss for {value:.3g} FLOP{over}",
    )


def _answers(answer: Callable[[ScalingLaw], Allocation], draws: LawDraws) -> list[Allocation | None]:
    """The answer of each draw; ``None`` where it is no law, or its law does not reach what is asked."""
    out: list[Allocation | None] = [None] * (len(draws) - len(draws.laws))
    for law in draws.laws:
        try:
            out.append(answer(law))
        except (ConfigError, OverflowError):
            out.append(None)
    return out
