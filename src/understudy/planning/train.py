"""From a budget to a model: parameters, tokens, shape, accelerators, time, money, energy.

Chains a scaling law, a shape, and the price of arithmetic. The law says what size and data reach which loss; it
does not know whether a loss is good enough for a task, and constants differ by a factor of two in what they call
optimal: the sensitivity table is part of the answer.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from understudy.economics.scaling.constants import (
    DEFAULT_CONSTANTS,
    constants,
    constants_names,
    scaling_law,
)
from understudy.economics.scaling.data_constrained import data_constrained_law
from understudy.economics.scaling.inference_aware import inference_optimum
from understudy.economics.scaling.law import Allocation, ScalingLaw
from understudy.economics.training_cost import (
    TrainingCost,
    flops_within,
    shape_training_flops,
    training_cost,
)
from understudy.economics.training_memory import Sharding, TrainingMemory, fewest_devices
from understudy.economics.transformer.parameters import count_parameters
from understudy.economics.transformer.proposal import shape_for
from understudy.economics.transformer.shape import ModelShape
from understudy.errors import ConfigError
from understudy.planning.train_aim import Aim, Means
from understudy.planning.train_mixture import MixturePlan, plan_mixture

__all__ = ["SensitivityRow", "TrainPlan", "Variant", "plan_training"]

_ARXIV = re.compile(r"arXiv:? ?(\d{4}\.\d{4,5})")
Kind = Literal["compute-optimal", "inference-aware", "data-constrained", "as given"]


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to use the budget.

    Attributes
    ----------
    kind
        ``compute-optimal``, ``inference-aware`` (least FLOP over training and answering at the same loss),
        ``data-constrained`` (repeats a limited corpus) or ``as given``.
    parameters, tokens, training_flops, loss
        What comes out.
    epochs
        Passes over the corpus, where it is limited.
    life_flops
        Training and answering together, where the volume of answering is known.
    warnings
        Why not to lean on it.
    """

    kind: Kind
    parameters: float
    tokens: float
    training_flops: float
    loss: float
    epochs: float | None = None
    life_flops: float | None = None
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {**asdict(self), "tokens_per_parameter": self.tokens / self.parameters}


@dataclass(frozen=True, slots=True)
class SensitivityRow:
    """The same question under one published set of constants; ``None`` where it has no answer there."""

    constants: str
    source: str
    year: int
    parameters: float | None
    tokens: float | None
    training_flops: float | None
    usd: float | None
    reason: str | None

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainPlan:
    """A plan.

    Attributes
    ----------
    aim, means, constants
        As given.
    variants
        All ways that the aim allows; the last one is the one planned for.
    shape
        An architecture of about that size.
    cost
        Of the chosen variant by ``6 N D``.
    attention_share
        How much FLOP attention over the context adds for this shape, as a share of ``6 N D`` (its own N).
    sharding, memory
        How training is spread over the fewest devices on which it fits; ``None`` if it fits on none.
    fewest_devices
        Their number.
    mixture
        The same training compute as a mixture of experts; ``None`` if not asked for.
    sensitivity
        The compute-optimal answer under every published set of constants.
    """

    aim: Aim
    means: Means
    constants: str
    variants: tuple[Variant, ...]
    shape: ModelShape
    cost: TrainingCost
    attention_share: float
    sharding: Sharding | None
    memory: TrainingMemory | None
    fewest_devices: int | None
    mixture: MixturePlan | None
    sensitivity: tuple[SensitivityRow, ...]

    @property
    def chosen(self) -> Variant:
        """The variant that cost, shape and memory are for."""
        return self.variants[-1]

    @property
    def sentence(self) -> str:
        """The answer in a line."""
        best, cost = self.chosen, self.cost
        words = f"Train {_short(best.parameters)} parameters on {_short(best.tokens)} tokens ({best.kind})"
        words += f", loss {best.loss:.3f}: {cost.device_hours:,.4g} hours of {self.means.accelerator.name}"
        if cost.wall_hours is not None and cost.devices is not None:
            days = cost.wall_hours / 24
            words += f", {days:,.3g} days" if days >= 2 else f", {cost.wall_hours:,.3g} hours"
            words += f" on {cost.devices:,}"
        if cost.usd is not None:
            words += f", ${cost.usd:,.0f}" if cost.usd >= 10 else f", ${cost.usd:.2f}"
        return words + "."

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "sentence": self.sentence,
            "aim": {name: value for name, value in asdict(self.aim).items() if value is not None},
            "constants": constants(self.constants).to_dict(),
            "accelerator": asdict(self.means.accelerator),
            "variants": [one.to_dict() for one in self.variants],
            "shape": self.shape.to_dict(),
            "shape_parameters": count_parameters(self.shape).total,
            "cost": self.cost.to_dict(),
            "attention_share": self.attention_share,
            "sharding": None if self.sharding is None else asdict(self.sharding),
            "memory": None if self.memory is None else self.memory.to_dict(),
            "fewest_devices": self.fewest_devices,
            "mixture": None if self.mixture is None else self.mixture.to_dict(),
            "sensitivity": [row.to_dict() for row in self.sensitivity],
        }


def _short(count: float) -> str:
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if count >= size * 0.9995:
            return f"{count / size:.3g}{unit}"
    return f"{count:,.0f}"


def plan_training(
    aim: Aim, means: Means, *, constants_name: str = DEFAULT_CONSTANTS, n_experts: int | None = None
) -> TrainPlan:
    """Plan a training run.

    Parameters
    ----------
    constants_name
        A published set of an additive law, see :mod:`understudy.economics.scaling.constants`.
    n_experts
        Also plan a mixture of so many experts for the same compute.

    Raises
    ------
    ConfigError
        If something is out of range, unknown, or given twice.
    """
    law = scaling_law(constants_name)
    variants = _variants(aim, means, law, constants_name)
    best = variants[-1]
    shape = shape_for(best.parameters, n_vocab=means.n_vocab)
    own = count_parameters(shape)
    with_attention = shape_training_flops(shape, 1.0, means.batch.sequence_length)
    fits = None
    if means.accelerator.memory_bytes is not None:
        fits = fewest_devices(shape, means.accelerator.memory_bytes, means.batch, zero_stage=means.zero_stage)
    fewest = None if fits is None else fits[0].devices
    return TrainPlan(
        aim=aim,
        means=means,
        constants=constants_name,
        variants=variants,
        shape=shape,
        cost=training_cost(
            best.training_flops,
            means.accelerator,
            devices=means.devices or fewest,
            mfu=means.mfu,
            pue=means.pue,
        ),
        attention_share=with_attention / (6 * own.multiplied) - 1,
        sharding=None if fits is None else fits[0],
        memory=None if fits is None else fits[1],
        fewest_devices=fewest,
        mixture=None
        if n_experts is None
        else plan_mixture(best.training_flops, n_experts, means.accelerator),
        sensitivity=_sensitivity(aim, means),
    )


def _budget(aim: Aim, means: Means) -> float | None:
    """FLOP that FLOP, money or hours allow; ``None`` where the aim is a loss or a size."""
    if aim.flops is not None:
        return aim.flops
    if aim.usd is None and aim.hours is None:
        return None
    return flops_within(means.accelerator, usd=aim.usd, hours=aim.hours, devices=means.devices, mfu=means.mfu)


def _first(aim: Aim, means: Means, law: ScalingLaw) -> tuple[Kind, Allocation]:
    """The compute-optimal answer, or the one that was given."""
    budget = _budget(aim, means)
    if budget is not None:
        return "compute-optimal", law.compute_optimal(budget)
    if aim.parameters is not None:
        if aim.tokens is not None:
            return "as given", law.allocation(aim.parameters, aim.tokens)
        return "compute-optimal", law.allocation(aim.parameters, law.optimal_tokens(aim.parameters))
    assert aim.loss is not None, "an aim has one start"
    found = law.cheapest_for_loss(aim.loss)
    if found is None:
        raise ConfigError(
            "no model reaches this loss", given=f"{aim.loss:.4g}", todo=f"ask for more than E = {law.e:.4g}"
        )
    return "compute-optimal", found


def _variants(aim: Aim, means: Means, law: ScalingLaw, name: str) -> tuple[Variant, ...]:
    kind, first = _first(aim, means, law)
    found = [_variant(kind, first, name, aim)]
    if aim.inference_tokens is not None:
        best = inference_optimum(law, first.loss, aim.inference_tokens)
        allocation = law.allocation(best.parameters, best.tokens)
        found.append(_variant("inference-aware", allocation, name, aim))
        if best.training_flops > 1.001 * first.training_flops:
            words = (
                f"it trains for {best.training_flops / first.training_flops:.3g} times the FLOP of the first plan, to "
                f"save {100 * best.saved_share:.0f} % of training and answering together"
            )
            found[-1] = replace(found[-1], warnings=(words, *found[-1].warnings))
    chosen = found[-1]
    if aim.unique_tokens is not None and chosen.tokens > aim.unique_tokens:
        found.append(_constrained(aim, chosen, name))
    return tuple(found)


def _variant(kind: Kind, one: Allocation, name: str, aim: Aim) -> Variant:
    life = None
    if aim.inference_tokens is not None:
        life = one.training_flops + 2 * one.parameters * aim.inference_tokens
    warnings = constants(name).range_warnings(one.parameters, one.tokens)
    return Variant(kind, one.parameters, one.tokens, one.training_flops, one.loss, None, life, warnings)


def _constrained(aim: Aim, before: Variant, name: str) -> Variant:
    """The same training FLOP on a limited corpus."""
    assert aim.unique_tokens is not None, "called where the corpus is limited"
    law = data_constrained_law(name)
    best = law.optimum(before.training_flops, aim.unique_tokens)
    life = None
    if aim.inference_tokens is not None:
        life = best.training_flops + 2 * best.parameters * aim.inference_tokens
    warnings = [*constants(name).range_warnings(best.parameters, best.tokens), *best.warnings]
    if best.loss > before.loss:
        warnings.append(
            f"with {aim.unique_tokens:.3g} tokens this compute reaches {best.loss:.3f}, not {before.loss:.3f}"
        )
    return Variant(
        "data-constrained", best.parameters, best.tokens, best.training_flops, best.loss, best.epochs, life,
        tuple(warnings),
    )  # fmt: skip


def _sensitivity(aim: Aim, means: Means) -> tuple[SensitivityRow, ...]:
    """The first step of the plan, and answering where it is given, under every additive set of constants."""
    rows = []
    # A corpus limit is left out: it has one set of constants of its own.
    plain = replace(aim, unique_tokens=None)
    for name in (*constants_names("additive"), *constants_names("data-constrained")):
        row = constants(name)
        source = f"arXiv {number[1]}" if (number := _ARXIV.search(row.source)) else row.source
        try:
            best = _variants(plain, means, scaling_law(name), name)[-1]
        except ConfigError as error:
            rows.append(SensitivityRow(name, source, row.year, None, None, None, None, error.what))
            continue
        cost = training_cost(best.training_flops, means.accelerator, mfu=means.mfu)
        rows.append(
            SensitivityRow(
                name,
                source,
                row.year,
                best.parameters,
                best.tokens,
                best.training_flops,
                cost.usd,
                cost.usd_reason,
            )
        )
    return tuple(rows)
