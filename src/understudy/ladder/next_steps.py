"""What to do after a run: after a yes more calls or a higher target, after a no its reasons and their remedies.

Every remedy carries its price, or says why that is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from understudy.certify.ceiling import NoiseCeiling
from understudy.certify.useful_no import explain_failure
from understudy.dataset.dataset import Dataset
from understudy.dataset.facts import RECORD
from understudy.dataset.inspection import InspectReport
from understudy.economics.curve import LearningCurve
from understudy.ladder.build import Built
from understudy.ladder.candidates import Candidate
from understudy.ladder.climb import Climb
from understudy.ladder.facts import learning_curve
from understudy.ladder.options import LearnOptions
from understudy.ladder.rungs import writing_rungs
from understudy.ladder.texts import deferred_reasons
from understudy.units import format_count, format_share

__all__ = ["next_steps"]


def _best_curve(state: Climb) -> tuple[str | None, LearningCurve | None]:
    best = state.best
    if best is None:
        return None, None
    for record in reversed(state.records):
        if (
            record.fitted is not None
            and record.plan.name in best.members
            and record.fitted.facts.get("curve")
        ):
            return record.plan.name, learning_curve(record.fitted.facts["curve"])
    return None, None


def next_steps(
    data: Dataset,
    state: Climb,
    built: Built,
    best: Candidate,
    inspected: InspectReport,
    options: LearnOptions,
    teacher_usd: float | None,
) -> list[dict[str, Any]]:
    """What could be done next, cheapest to say first: after a no its reasons, and remedies with their prices."""
    untried = [
        record.plan.name
        for record in state.records
        if record.fitted is None and record.plan.name != "lookup" and "max-minutes" in (record.reason or "")
    ]
    name, curve = _best_curve(state)
    if not built.record.is_certified:
        return _remedies(data, state, built, best, inspected, options, teacher_usd, curve, untried)
    out: list[dict[str, Any]] = []
    if curve is not None and name is not None:
        now, later = curve.predict(len(state.train)), curve.predict(2 * len(state.train))
        if now is not None and later is not None:
            more = len(data)
            text = (
                f"label {format_count(more)} more calls: the {name} rung is predicted to err on "
                f"{format_share(later.error)} of calls instead of {format_share(now.error)} "
                f"({format_share(later.lower)} to {format_share(later.upper)})"
            )
            cost = None if teacher_usd is None else more * teacher_usd
            out.append({"kind": "label more", "text": text, "usd": cost})
    for rung in untried:
        plan = next(record.plan for record in state.records if record.plan.name == rung)
        cost = plan.fit_seconds / 3600 * options.core_hour_usd * options.cores
        text = f"try the {rung} rung: about {plan.fit_seconds / 60:.0f} minutes (--max-minutes)"
        out.append({"kind": "another rung", "text": text, "usd": cost})
    if (built.record.coverage or 0) > 0.98:
        out.append(
            {
                "kind": "higher target",
                "text": "nearly every call is answered: a higher --target may hold",
                "usd": 0.0,
            }
        )
    return out


def _remedies(
    data: Dataset,
    state: Climb,
    built: Built,
    best: Candidate,
    inspected: InspectReport,
    options: LearnOptions,
    teacher_usd: float | None,
    curve: LearningCurve | None,
    untried: Sequence[str],
) -> list[dict[str, Any]]:
    tested = built.record.tested_threshold
    answered = best.confidence >= tested if tested is not None else np.zeros(len(best.confidence), dtype=bool)
    useful = explain_failure(
        built.record,
        select_errors=int((~best.is_right[answered]).sum()),
        select_answered=int(answered.sum()),
        select_n=len(best.confidence),
        n_off_schema=int(data.off_schema.sum()),
        n_calls=len(data),
        chance_error=_chance_error(state),
        student_error=float(1 - best.is_right.mean()),
        ceiling=_ceiling(inspected),
        curve=curve,
        n_train=len(state.train),
        teacher_usd_per_call=teacher_usd,
        other_rungs=untried,
    )
    reasons = [{"kind": f"why: {reason.kind}", "text": reason.text, "usd": None} for reason in useful.reasons]
    remedies = [
        {"kind": remedy.kind, "text": remedy.text, "usd": remedy.cost_usd, "usd_reason": remedy.cost_reason}
        for remedy in useful.remedies
    ]
    return [
        *_text_reasons(data, state, options),
        *reasons,
        *_text_remedies(state, inspected, options),
        *remedies,
    ]


def _text_reasons(data: Dataset, state: Climb, options: LearnOptions) -> list[dict[str, Any]]:
    """Required fields that no rung of the run answers: with any of them no record can be answered."""
    why = deferred_reasons([field for field in data.task.fields if field.required], state, options)
    return [
        {"kind": "why: text", "text": f"{name} is left to the teacher: {reason}", "usd": None}
        for name, reason in why.items()
    ]


def _text_remedies(state: Climb, inspected: InspectReport, options: LearnOptions) -> list[dict[str, Any]]:
    """For texts that were written, and not well enough: say when two count as equal; start from a base."""
    asked = [one.problem.field for one in state.select.targets if one.problem.mode == "write"]
    written = {field.name for field in asked if field.required}
    found: list[dict[str, Any]] = []
    for item in inspected.fields:
        suggested = None if item.texts is None else item.texts.suggested_metric
        if item.field.name in written and suggested is not None:
            how = f'metric = "{suggested}"' + (", at_least = 0.6" if suggested == "rouge_l" else "")
            text = f"say in a task file when two texts of {item.field.name} count as equal, for example {how}"
            found.append({"kind": "metric", "text": text, "usd": 0.0})
    if written and options.writer_base is None and writing_rungs(list(state.fitted)):
        text = "let the writer start from a language model that can read already: --writer-base"
        reason = "it takes machine time by the size of the base"
        found.append({"kind": "another base", "text": text, "usd": None, "usd_reason": reason})
    return found


def _ceiling(inspected: InspectReport) -> NoiseCeiling | None:
    found = inspected.facts.self_agreement.get(RECORD)
    if found is None:
        return None
    most = inspected.facts.ceiling[RECORD]
    return NoiseCeiling(found.n, found.value, (found.low, found.high), min(1.0, found.value**0.5), most)


def _chance_error(state: Climb) -> float | None:
    """Error of always giving the commonest answer, for a single field; ``None`` for records."""
    targets = state.select.answering(state.problems).targets
    required = [target for target in targets if target.problem.field.required]
    if len(required) != 1 or not len(state.select):
        return None
    values = [repr(value) for value in required[0].values]
    return 1.0 - max(values.count(value) for value in set(values)) / len(values)
