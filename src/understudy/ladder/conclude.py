"""From a built system to the facts of the result: gold certificates, money, what next.

Spends nothing and trains nothing; all it knows comes from the climb, the certify evidence and the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from understudy.calls.call import UNKNOWN
from understudy.certify.gold import GoldCertification, certify_gold
from understudy.certify.sequence import grid_from_select
from understudy.dataset.dataset import Dataset
from understudy.dataset.facts import RECORD
from understudy.dataset.inspection import InspectReport
from understudy.economics.breakeven import BreakEven, break_even
from understudy.ladder.build import Built, deferred_fields
from understudy.ladder.candidates import Candidate
from understudy.ladder.climb import Climb
from understudy.ladder.facts import candidate_facts, data_facts, evidence_facts, rung_facts
from understudy.ladder.next_steps import next_steps
from understudy.ladder.options import LearnOptions
from understudy.ladder.repeats import RepeatEvidence
from understudy.ladder.rungs import writing_rungs
from understudy.ladder.suspects import suspects
from understudy.ladder.texts import deferred_reasons

__all__ = ["conclude", "never_answered"]

_MARGIN = 0.02


def conclude(
    data: Dataset,
    inspected: InspectReport,
    options: LearnOptions,
    state: Climb,
    built: Built,
    lookup: RepeatEvidence,
    teacher_usd: float | None,
    delta: float,
    seconds: float,
) -> dict[str, Any]:
    """Everything that ``ladder.result`` documents."""
    best = state.best
    assert best is not None
    gold = _gold(built, best, options, delta)
    machine_usd = seconds / 3600 * options.core_hour_usd * options.cores
    money = _money(built, best, teacher_usd, machine_usd)
    warnings = [*inspected.warnings, *_warnings(data, built, state, options)]
    return {
        "name": data.task.name,
        "options": options.to_dict(),
        "chosen": best.name if lookup.student is None else f"lookup → {best.name}",
        "stop_reason": state.stop_reason,
        "warnings": warnings,
        "deferred_fields": deferred_fields(data),
        "deferred_reasons": deferred_reasons(data.task.fields, state, options),
        "never_answered": _never(data),
        "data": data_facts(data, state, len(built.evidence.fold)),
        "teacher": _teacher(inspected),
        "rungs": [_with_lookup(rung, lookup) for rung in rung_facts(state, options)],
        "candidates": candidate_facts(state),
        **evidence_facts(built, data, options),
        "gold_certificate": None
        if gold is None
        else {**gold.to_dict(), "sentence": " ".join(gold.sentences())},
        "non_inferiority": None
        if gold is None or gold.noninferiority is None
        else gold.to_dict()["noninferiority"],
        "lookup": {
            "share": lookup.share,
            "n_pairs": lookup.n_pairs,
            "n_equal": lookup.n_equal,
            "reason": lookup.reason,
        },
        "suspects": suspects(state, data, options),
        "measured": {"student_seconds": best.student_seconds, "student_usd": best.student_usd},
        "receipt": _receipt(data, state, options, seconds, machine_usd, teacher_usd),
        "breakeven": {
            "calls": money.volume,
            "reason": money.reason,
            "system_usd_per_call": money.system_usd_per_call,
            "series": [[at.volume, at.teacher_usd, at.student_usd] for at in money.series()],
        },
        "next_steps": next_steps(data, state, built, best, inspected, options, teacher_usd),
        "base_models": built.manifest["base_models"],
        "data_fingerprint": built.manifest["data_fingerprint"],
        "packages": built.manifest["packages"],
    }


def _with_lookup(rung: dict[str, Any], lookup: RepeatEvidence) -> dict[str, Any]:
    """The lookup's entry tells what its own evidence says, as it is not part of the climb."""
    if rung["name"] != "lookup" or lookup.student is None:
        return rung
    return {**rung, "status": "fitted", "reason": None, "coverage": lookup.share}


def never_answered(facts: Mapping[str, Any]) -> list[str]:
    """Required fields that no rung writes; with any of them every whole record is deferred."""
    return list(facts["never_answered"])


def _gold(built: Built, best: Candidate, options: LearnOptions, delta: float) -> GoldCertification | None:
    """Gold at the threshold that serves; what it certifies is never called agreement."""
    evidence = built.evidence
    has_gold = evidence.has_gold()
    if built.record.threshold is None or has_gold.sum() < 2:
        return None
    grid = grid_from_select(
        best.confidence,
        best.is_right,
        target=options.target,
        delta=delta,
        n_certify=len(evidence.fold),
        of=options.of,
    )
    has_teacher = all(value is not UNKNOWN for column in evidence.fold.teacher.values() for value in column)
    return certify_gold(
        evidence.result.confidence,
        evidence.is_right("gold"),
        evidence.teacher_is_right() if has_teacher else None,
        threshold=built.record.threshold,
        delta=delta,
        margin=_MARGIN,
        thresholds=grid,
        has_gold=has_gold,
    )


def _teacher(inspected: InspectReport) -> dict[str, Any]:
    facts = inspected.facts
    accuracy, ceiling = facts.accuracy.get(RECORD), facts.self_agreement.get(RECORD)
    return {
        "usd_per_call": inspected.costs.mean_usd,
        "usd_reason": inspected.costs.reason or inspected.costs.source,
        "models": list(inspected.models),
        "gold_accuracy": None if accuracy is None else {**accuracy.to_dict(), "share": accuracy.value},
        "ceiling": None if ceiling is None else {**ceiling.to_dict(), "share": ceiling.value},
    }


def _money(built: Built, best: Candidate, teacher_usd: float | None, machine_usd: float) -> BreakEven:
    return break_even(
        teacher_usd_per_call=teacher_usd,
        student_usd_per_call=best.student_usd,
        build_usd=machine_usd,
        coverage=built.record.coverage if built.record.is_certified else 0.0,
    )


def _receipt(
    data: Dataset,
    state: Climb,
    options: LearnOptions,
    seconds: float,
    machine_usd: float,
    teacher_usd: float | None,
) -> dict[str, Any]:
    recorded = data.cost_usd[~np.isnan(data.cost_usd)]
    tokens_in = data.input_tokens[~np.isnan(data.input_tokens)]
    tokens_out = data.output_tokens[~np.isnan(data.output_tokens)]
    spent = (
        float(recorded.sum()) if len(recorded) else (None if teacher_usd is None else teacher_usd * len(data))
    )
    return {
        "machine_seconds": seconds,
        "machine_usd": machine_usd,
        "teacher_usd": spent,
        "teacher_calls": len(data),
        "teacher_input_tokens": int(tokens_in.sum()) if len(tokens_in) else None,
        "teacher_output_tokens": int(tokens_out.sum()) if len(tokens_out) else None,
        "writer": _writer_settings(state, options),
        "rungs": [
            {
                "name": record.plan.name,
                "seconds": record.fitted.facts["fit_seconds"],
                "was_cached": record.fitted.was_cached,
                "is_used": state.best is not None and record.plan.name in state.best.members,
            }
            for record in state.records
            if record.fitted is not None
        ],
    }


def _writer_settings(state: Climb, options: LearnOptions) -> dict[str, Any] | None:
    """What the rungs that write were made of; ``None`` where none was tried."""
    tried = [record.plan.name for record in state.records if record.fitted is not None]
    if not writing_rungs(tried):
        return None
    return {"base": options.writer_base, "tuning": options.writer_tuning}


def _never(data: Dataset) -> list[str]:
    deferred = deferred_fields(data)
    return [field.name for field in data.task.fields if field.name in deferred and field.required]


def _warnings(data: Dataset, built: Built, state: Climb, options: LearnOptions) -> list[str]:
    out = []
    if never := _never(data):
        reasons = deferred_reasons(data.task.fields, state, options)
        why = "; ".join(f"{name}: {reasons[name]}" for name in never)
        out.append(
            f"{why}. So every whole record is deferred; fields can still be used one by one. If the application can do "
            "without it, set required = false in a task file"
        )
    exact = [one.field.name for one in data.problems if one.mode == "regress" and one.field.tolerance == 0]
    if exact:
        out.append(
            f"{', '.join(exact)}: predicted numbers that must equal the teacher's to the last digit; say how far off "
            "still counts as equal with tolerance = ... in a task file"
        )
    left_out = int(data.off_schema[data.rows("certify")].sum())
    if left_out:
        out.append(
            f"{left_out} calls of the certify split have an answer outside the schema and are left out: the "
            "certificate is about calls whose reference answer fits the schema"
        )
    if built.evidence.fold.n_repeats:
        out.append(
            f"{built.evidence.fold.n_repeats} near-duplicate calls of the certify split were left out, so that "
            "every input counts once"
        )
    if options.learn_from == "gold" and options.reference == "gold":
        out.append("learnt from gold and certified against gold: agreement with the teacher is not certified")
    return out
