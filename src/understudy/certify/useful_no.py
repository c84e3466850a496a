"""The useful no: why nothing was certified, and what the cheapest ways out would cost.

It turns what is already known (the failed certification, the select split, the ceiling, the learning curve)
into reasons and priced remedies. Forecasts among them are marked as such; the only certified statement here
is the bound of the failed certification itself. It trains and asks nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from understudy.certify.bounds import calls_needed, smallest_testable_count
from understudy.certify.ceiling import NoiseCeiling
from understudy.certify.certification import Certification, percent, percent_at_least
from understudy.economics.curve import LearningCurve
from understudy.units import format_count, format_usd

__all__ = ["Reason", "Remedy", "UsefulNo", "explain_failure"]

ReasonKind = Literal[
    "too few calls", "too many errors", "noise ceiling", "off-schema", "not learnable", "other"
]
RemedyKind = Literal["certify on more calls", "label more", "lower target", "another rung", "fix the schema"]

_CHANCE_MARGIN = 0.05
_OFF_SCHEMA_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason, by kind and in words."""

    kind: ReasonKind
    text: str


@dataclass(frozen=True, slots=True)
class Remedy:
    """One way out.

    Attributes
    ----------
    kind, text
        What to do.
    n_calls
        Additional teacher calls it takes, where it takes any and their number is known.
    cost_usd
        Its price; ``None`` with `cost_reason` where unknown.
    is_forecast
        Whether the promise is predicted from a fit or an estimate. ``False`` for certified statements.
    """

    kind: RemedyKind
    text: str
    n_calls: int | None
    cost_usd: float | None
    cost_reason: str | None
    is_forecast: bool


@dataclass(frozen=True, slots=True)
class UsefulNo:
    """Reasons, the weightiest first, and remedies, the cheapest first and unpriced ones last."""

    target: float
    reasons: tuple[Reason, ...]
    remedies: tuple[Remedy, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)

    def lines(self) -> list[str]:
        """In plain words, for the console."""
        out = [f"Nothing meets the target {self.target:g}."]
        out += [f"why: {reason.text}" for reason in self.reasons]
        for remedy in self.remedies:
            price = format_usd(remedy.cost_usd) if remedy.cost_usd is not None else remedy.cost_reason
            out.append(f"what next: {remedy.text} [cost: {price}]")
        return out


def explain_failure(
    failed: Certification,
    *,
    select_errors: int | None = None,
    select_answered: int | None = None,
    select_n: int | None = None,
    n_off_schema: int = 0,
    n_calls: int | None = None,
    chance_error: float | None = None,
    student_error: float | None = None,
    ceiling: NoiseCeiling | None = None,
    curve: LearningCurve | None = None,
    n_train: int | None = None,
    teacher_usd_per_call: float | None = None,
    other_rungs: Sequence[str] = (),
) -> UsefulNo:
    """Structured reasons and priced remedies for a failed certification.

    Parameters
    ----------
    failed
        A :class:`Certification` that is not certified.
    select_errors, select_answered, select_n
        On the select split at the failed threshold: errors, answered calls and all calls. They say how many
        calls a certificate would take; without them the certify split's own counts do (a worse estimate, as
        they are known to have failed).
    n_off_schema, n_calls
        Off-schema answers among all recorded calls.
    chance_error, student_error
        Error of always giving the most frequent answer, and of the student without deferral.
    ceiling, curve, n_train
        The noise ceiling, the learning curve of the best rung, and the training calls it has now.
    teacher_usd_per_call
        Price of one more labelled call; ``None`` if unknown.
    other_rungs
        Rungs that were not tried.
    """
    if failed.is_certified:
        raise ValueError("a certified threshold needs no explanation")
    reasons = _reasons(failed, n_off_schema, n_calls, chance_error, student_error, ceiling)
    remedies = [
        _more_certify_calls(failed, select_errors, select_answered, select_n, teacher_usd_per_call),
        _more_labels(failed, curve, n_train, teacher_usd_per_call),
        _lower_target(failed),
    ]
    if n_calls and n_off_schema > _OFF_SCHEMA_SHARE * n_calls:
        text = "tell the teacher the allowed answers, or widen the schema, and record again"
        remedies.append(
            Remedy("fix the schema", text, None, None, "unknown: depends on how", is_forecast=True)
        )
    remedies += [
        Remedy(
            "another rung",
            f"try the rung {rung}, which was not tried",
            None,
            None,
            "machine time only: no teacher call",
            is_forecast=True,
        )
        for rung in other_rungs
    ]
    found = [remedy for remedy in remedies if remedy is not None]
    found.sort(key=lambda remedy: math.inf if remedy.cost_usd is None else remedy.cost_usd)
    return UsefulNo(failed.target, tuple(reasons), tuple(found))


def _reasons(
    failed: Certification,
    n_off_schema: int,
    n_calls: int | None,
    chance_error: float | None,
    student_error: float | None,
    ceiling: NoiseCeiling | None,
) -> list[Reason]:
    out: list[Reason] = []
    if ceiling is not None and (refusal := ceiling.refusal(failed.target)):
        out.append(Reason("noise ceiling", refusal))
    if (
        chance_error is not None
        and student_error is not None
        and student_error > chance_error - _CHANCE_MARGIN
    ):
        text = (
            f"the input hardly tells the answer: the student errs on {100 * student_error:.1f} % of calls,"
            f" always giving the most frequent answer would on {100 * chance_error:.1f} %"
        )
        out.append(Reason("not learnable", text))
    if n_calls and n_off_schema > _OFF_SCHEMA_SHARE * n_calls:
        text = (
            f"{n_off_schema} of {n_calls} recorded answers ({percent(n_off_schema, n_calls)}) are off-schema"
        )
        out.append(Reason("off-schema", text))
    least = smallest_testable_count(failed.target, failed.delta)
    trials = failed.n if failed.of == "all" else failed.n_answered
    text = failed.reason or "unknown"
    if trials < least:
        out.append(Reason("too few calls", text))
    else:
        out.append(Reason("too many errors" if failed.n_errors else "other", text))
    return out


def _cost(n_calls: int, usd_per_call: float | None) -> tuple[float | None, str | None]:
    if usd_per_call is None:
        return None, "unknown: the teacher's price is not known"
    return n_calls * usd_per_call, None


def _more_certify_calls(
    failed: Certification,
    errors: int | None,
    answered: int | None,
    n: int | None,
    usd_per_call: float | None,
) -> Remedy | None:
    if errors is None or answered is None or n is None:
        errors, answered, n = failed.n_errors, failed.n_answered, failed.n
    trials = n if failed.of == "all" else answered
    if trials == 0:
        return None
    # Half an error more than seen: no error in few calls is no promise of none.
    rate = (errors + 0.5) / (trials + 1)
    needed = calls_needed(rate, failed.target, failed.delta)
    if needed is None:
        return None
    share = 1.0 if failed.of == "all" else answered / n
    more = math.ceil(needed / share) - failed.n
    if more <= 0:
        return None
    text = (
        f"certify on about {format_count(more)} more calls, {format_count(more + failed.n)} in all: with"
        f" {100 * rate:.1f} % errors that certifies {failed.target:g} four times in five"
    )
    return Remedy("certify on more calls", text, more, *_cost(more, usd_per_call), is_forecast=True)


def _more_labels(
    failed: Certification, curve: LearningCurve | None, n_train: int | None, usd_per_call: float | None
) -> Remedy | None:
    if curve is None:
        return None
    wanted = curve.n_for(1 - failed.target)
    if wanted.n_train is None:
        return None
    have = n_train if n_train is not None else curve.points[-1].n_train
    more = math.ceil(wanted.n_train) - have
    if more <= 0:
        return None
    span = "" if wanted.upper is None else f", at most {format_count(wanted.upper)} at the interval's end"
    text = (
        f"label about {format_count(more)} more calls to train on: the learning curve then predicts"
        f" {failed.target:g} without deferring ({format_count(wanted.n_train)} in all{span}); with deferral"
        " fewer will do"
    )
    return Remedy("label more", text, more, *_cost(more, usd_per_call), is_forecast=True)


def _lower_target(failed: Certification) -> Remedy | None:
    """The bound at the first threshold is certified: its failure at the target and it share one delta."""
    bound = failed.agreement_lower
    if bound is None or not 0.5 <= bound < failed.target or failed.tested_threshold is None:
        return None
    what = "of answers" if failed.of == "answered" else "of calls without a differing answer"
    text = (
        f"lower the target: at least {percent_at_least(bound)} {what} is certified as it stands, answering"
        f" {percent(failed.n_answered, failed.n)} of calls ({failed.n_answered} of {failed.n})"
    )
    return Remedy("lower target", text, 0, 0.0, None, is_forecast=False)
