"""From a budget to a model: parameters, tokens, shape, accelerators, time, money, energy.

Chains a scaling law, a shape, and the price of arithmetic. Where the law is a fit with its bootstrap, every draw is
planned anew, and the plan has intervals. The law says what size and data reach which loss; it
does not know whether a loss is good enough for a task, and constants differ by a factor of two in what they call
optimal: the sensitivity table is part of the answer.
"""

from __future__ import annotations

import re
from dataclasses import replace

from understudy.economics.scaling.constants import constants, constants_names, outside_range, scaling_law
from understudy.economics.scaling.data_constrained import data_constrained_law, with_published_decays
from understudy.economics.scaling.inference_aware import fixed_training_optimum, inference_optimum
from understudy.economics.scaling.law import Allocation, ScalingLaw
from understudy.economics.scaling.optimum import PlanLaw, published_law
from understudy.economics.training_cost import flops_within, shape_training_flops, training_cost
from understudy.economics.training_memory import fewest_devices
from understudy.economics.transformer.parameters import count_parameters
from understudy.economics.transformer.proposal import shape_for
from understudy.errors import ConfigError
from understudy.planning.money import exchange_rate
from understudy.planning.train_aim import Aim, Means
from understudy.planning.train_interval import with_estimates
from understudy.planning.train_mixture import plan_mixture
from understudy.planning.train_plan import Kind, SensitivityRow, TrainPlan, Variant
from understudy.units import format_usd

__all__ = ["plan_training"]

_ARXIV = re.compile(r"arXiv:? ?(\d{4}\.\d{4,5})")


def plan_training(
    aim: Aim,
    means: Means,
    *,
    law: PlanLaw | None = None,
    n_experts: int | None = None,
    cny_per_usd: float | None = None,
) -> TrainPlan:
    """Plan a training run.

    Parameters
    ----------
    law
        From :func:`~understudy.economics.scaling.optimum.published_law`, or a fit to one's own runs
        (:func:`~understudy.planning.train_runs.fit_runs`); ``None``: the default published constants.
    n_experts
        Also plan a mixture of so many experts for the same compute.
    cny_per_usd
        Exchange rate; ``None``: the catalogue's.

    Raises
    ------
    ConfigError
        If something is out of range, unknown, or given twice.
    """
    law = law or published_law()
    exchange = exchange_rate(cny_per_usd)
    plain = _variants(aim, means, law.law)
    variants = with_estimates(
        tuple(_inside(one, law) for one in plain), law, lambda drawn: _variants(aim, means, drawn)
    )
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
        law=law,
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
        else plan_mixture(best.training_flops, n_experts, means.accelerator, unique_tokens=aim.unique_tokens),
        sensitivity=_sensitivity(aim, means, law),
        exchange=exchange,
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
    if aim.like_parameters is not None:
        return "compute-optimal", law.allocation(aim.like_parameters, law.optimal_tokens(aim.like_parameters))
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


def _variants(aim: Aim, means: Means, law: ScalingLaw) -> tuple[Variant, ...]:
    """The ways that the aim allows, by one law; the last one is the one to plan for."""
    kind, first = _first(aim, means, law)
    found = [_variant(kind, first, aim)]
    if aim.inference_tokens is not None:
        found += _answering(aim, means, law, first)
    chosen = found[-1]
    if aim.unique_tokens is not None and chosen.tokens > aim.unique_tokens:
        found.append(_constrained(aim, chosen, law))
    return tuple(found)


def _answering(aim: Aim, means: Means, law: ScalingLaw, first: Allocation) -> list[Variant]:
    """Smaller models trained for longer: at the first plan's loss, or inside the budget where there is one."""
    assert aim.inference_tokens is not None, "called where the volume is known"
    best = inference_optimum(law, first.loss, aim.inference_tokens)
    same = _variant("inference-aware", law.allocation(best.parameters, best.tokens), aim)
    more = best.training_flops / first.training_flops
    saved = f"{100 * best.saved_share:.0f} % of training and answering together"
    if more <= 1.001:
        return [same]
    if _budget(aim, means) is None:
        words = f"it trains for {more:.3g} times the FLOP of the first plan, to save {saved}"
        return [replace(same, warnings=(words,))]
    inside = fixed_training_optimum(law, first.training_flops, aim.inference_tokens)
    usd = training_cost(best.training_flops, means.accelerator, mfu=means.mfu).usd
    price = "" if usd is None else f" ({format_usd(usd)})"
    words = (
        f"inside the budget, smaller models lose {inside.loss - first.loss:.3f} against the first plan; its loss would "
        f"take {more:.3g} times the budget{price} and save {saved}"
    )
    return [
        replace(same, kind="same loss, dearer"),
        replace(_variant("inference-aware", inside, aim), warnings=(words,)),
    ]


def _variant(kind: Kind, one: Allocation, aim: Aim) -> Variant:
    return Variant(
        kind, one.parameters, one.tokens, one.training_flops, one.loss, None, _life_flops(one.training_flops, one.parameters, aim)
    )  # fmt: skip


def _life_flops(training_flops: float, parameters: float, aim: Aim) -> float | None:
    """Training and answering together, at ``2 N`` FLOP a token."""
    return None if aim.inference_tokens is None else training_flops + 2 * parameters * aim.inference_tokens


def _constrained(aim: Aim, before: Variant, law: ScalingLaw) -> Variant:
    """The same training FLOP on a limited corpus, with answering in mind where its volume is given."""
    assert aim.unique_tokens is not None, "called where the corpus is limited"
    best = with_published_decays(law).optimum(
        before.training_flops, aim.unique_tokens, aim.inference_tokens or 0.0
    )
    warnings = list(best.warnings)
    if law != data_constrained_law().one_pass:
        warnings.append(
            "what repeated tokens are worth is Muennighoff et al.'s, fitted with their own constants and not with "
            "these; --constants muennighoff2023 takes both from one fit"
        )
    if best.loss > before.loss:
        warnings.append(
            f"with {aim.unique_tokens:.3g} tokens this compute reaches {best.loss:.3f}, not {before.loss:.3f}"
        )
    return Variant(
        "data-constrained", best.parameters, best.tokens, best.training_flops, best.loss, best.epochs,
        _life_flops(best.training_flops, best.parameters, aim), tuple(warnings),
    )  # fmt: skip


def _inside(one: Variant, law: PlanLaw) -> Variant:
    """With a warning where it lies outside the runs behind the law."""
    what = "the fit" if law.name == "fit" else law.name
    outside = outside_range(what, one.parameters, one.tokens, law.range_parameters, law.range_tokens)
    return replace(one, warnings=(*one.warnings, *outside))


def _sensitivity(aim: Aim, means: Means, law: PlanLaw) -> tuple[SensitivityRow, ...]:
    """The same aim under every additive set of constants; with a limited corpus all take the published decays."""
    rows = [] if law.name != "fit" else [_sensitivity_row(aim, means, "fit", law.law, "your runs", None)]
    for name in (*constants_names("additive"), *constants_names("data-constrained")):
        row = constants(name)
        source = f"arXiv {number[1]}" if (number := _ARXIV.search(row.source)) else row.source
        rows.append(_sensitivity_row(aim, means, name, scaling_law(name), source, row.year))
    return tuple(rows)


def _sensitivity_row(
    aim: Aim, means: Means, name: str, law: ScalingLaw, source: str, year: int | None
) -> SensitivityRow:
    try:
        best = _variants(aim, means, law)[-1]
    except ConfigError as error:
        return SensitivityRow(name, source, year, None, None, None, None, error.what)
    cost = training_cost(best.training_flops, means.accelerator, mfu=means.mfu)
    return SensitivityRow(
        name, source, year, best.parameters, best.tokens, best.training_flops, cost.usd, cost.usd_reason
    )
