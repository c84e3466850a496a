"""What a plan of training holds: ways to use a budget, each with intervals or why there are none, and their cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from understudy.economics.scaling.estimate import Estimate
from understudy.economics.scaling.optimum import PlanLaw
from understudy.economics.training_cost import TrainingCost
from understudy.economics.training_memory import Sharding, TrainingMemory
from understudy.economics.transformer.parameters import count_parameters
from understudy.economics.transformer.shape import ModelShape
from understudy.planning.money import ExchangeRate, with_yuan
from understudy.planning.train_aim import Aim, Means
from understudy.planning.train_mixture import MixturePlan

__all__ = ["Kind", "SensitivityRow", "TrainPlan", "Variant"]

Kind = Literal["compute-optimal", "same loss, dearer", "inference-aware", "data-constrained", "as given"]


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to use the budget.

    Attributes
    ----------
    kind
        ``compute-optimal``, ``inference-aware`` (no model of its loss takes fewer FLOP over training and answering;
        inside a budget where one is given, else at the first plan's loss), ``same loss, dearer`` (the first plan's
        loss where that breaks the budget: never planned for), ``data-constrained`` (repeats a limited corpus) or
        ``as given``.
    parameters, tokens, training_flops, loss
        What comes out.
    epochs
        Passes over the corpus, where it is limited.
    life_flops
        Training and answering together, where the volume of answering is known.
    warnings
        Why not to lean on it.
    estimates
        ``parameters``, ``tokens``, ``tokens_per_parameter``, ``training_flops`` and ``loss`` with intervals, or the
        reason why there are none.
    """

    kind: Kind
    parameters: float
    tokens: float
    training_flops: float
    loss: float
    epochs: float | None = None
    life_flops: float | None = None
    warnings: tuple[str, ...] = ()
    estimates: Mapping[str, Estimate] = field(default_factory=dict)

    @property
    def tokens_per_parameter(self) -> float:
        """``D / N``."""
        return self.tokens / self.parameters

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {**asdict(self), "tokens_per_parameter": self.tokens_per_parameter}


@dataclass(frozen=True, slots=True)
class SensitivityRow:
    """The same question under one set of constants; ``None`` where it has no answer there."""

    constants: str
    source: str
    year: int | None
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
    aim, means, law
        As given; `law` with its bootstrap where it is fitted.
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
        The same question under every published set of constants, after the fitted law where there is one.
    exchange
        For yuan.
    """

    aim: Aim
    means: Means
    law: PlanLaw
    variants: tuple[Variant, ...]
    shape: ModelShape
    cost: TrainingCost
    attention_share: float
    sharding: Sharding | None
    memory: TrainingMemory | None
    fewest_devices: int | None
    mixture: MixturePlan | None
    sensitivity: tuple[SensitivityRow, ...]
    exchange: ExchangeRate

    @property
    def chosen(self) -> Variant:
        """The variant that cost, shape and memory are for."""
        return self.variants[-1]

    @property
    def interval_reason(self) -> str | None:
        """Why no figure of the plan has an interval; ``None`` where they have one, or each a reason of its own."""
        reasons = {one.reason for one in self.chosen.estimates.values()}
        return reasons.pop() if len(reasons) == 1 else None

    @property
    def cost_estimates(self) -> dict[str, Estimate]:
        """Accelerator hours, dollars, yuan and kWh with the interval of the training FLOP; unknown ones left out.

        Prices and utilisation are taken as given: the interval is that of the law alone.
        """
        flops = self.chosen.estimates["training_flops"]
        usd = self.cost.usd
        totals = {
            "device_hours": self.cost.device_hours,
            "usd": usd,
            "cny": None if usd is None else usd * self.exchange.cny_per_usd,
            "kwh": self.cost.kwh,
        }
        return {name: flops.times(total / flops.value) for name, total in totals.items() if total is not None}

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
            words += f", {self.exchange.both(cost.usd)}"
        return words + "."

    def to_dict(self) -> dict[str, Any]:
        """JSON form; money in dollars and in yuan."""
        law = self.law
        found = {
            "sentence": self.sentence,
            "aim": {name: value for name, value in asdict(self.aim).items() if value is not None},
            "constants": {
                "name": law.name,
                "values": law.law.to_dict(),
                "source": law.source,
                "range_parameters": list(law.range_parameters),
                "range_tokens": list(law.range_tokens),
                "interval_reason": self.interval_reason,
            },
            "accelerator": asdict(self.means.accelerator),
            "variants": [one.to_dict() for one in self.variants],
            "shape": self.shape.to_dict(),
            "shape_parameters": count_parameters(self.shape).total,
            "cost": self.cost.to_dict(),
            "cost_estimates": {name: one.to_dict() for name, one in self.cost_estimates.items()},
            "attention_share": self.attention_share,
            "sharding": None if self.sharding is None else asdict(self.sharding),
            "memory": None if self.memory is None else self.memory.to_dict(),
            "fewest_devices": self.fewest_devices,
            "mixture": None if self.mixture is None else self.mixture.to_dict(),
            "sensitivity": [row.to_dict() for row in self.sensitivity],
            "exchange": asdict(self.exchange),
        }
        return dict(with_yuan(found, self.exchange))


def _short(count: float) -> str:
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if count >= size * 0.9995:
            return f"{count / size:.3g}{unit}"
    return f"{count:,.0f}"
