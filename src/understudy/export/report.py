"""How far an exported model is from the float model that it was made of, and what it costs to run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from understudy.calls.call import InputParts
from understudy.runtime.component import load_component
from understudy.runtime.prediction import FieldPrediction
from understudy.task.field import values_equal

__all__ = ["ExportReport", "report_export"]


@dataclass(frozen=True, slots=True)
class ExportReport:
    """Agreement of an export with its float model.

    Attributes
    ----------
    sample_size
        Inputs compared.
    agreement
        Share of answers (over all fields) that are equal; ``None`` without a sample.
    agreement_per_field
        The same by field name.
    largest_confidence_change
        Largest absolute difference of a confidence, or ``None``.
    size_bytes
        Of all files of the component.
    ms_per_answer
        Median time of one input at a time, in milliseconds, on this machine; ``None`` without a sample.
    """

    sample_size: int
    agreement: float | None
    agreement_per_field: dict[str, float]
    largest_confidence_change: float | None
    size_bytes: int
    ms_per_answer: float | None

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def report_export(
    folder: Path, float_predictions: Sequence[FieldPrediction], sample: Sequence[InputParts]
) -> ExportReport:
    """Compare the component in `folder`, through the serving runtime, with the float model's predictions.

    Parameters
    ----------
    folder
        An exported component.
    float_predictions
        The float model's predictions for `sample`, one per problem.
    sample
        Inputs.
    """
    component = load_component(folder)
    size_bytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    if not sample:
        return ExportReport(0, None, {}, None, size_bytes, None)
    exported = component.predict(sample)
    per_field: dict[str, float] = {}
    change = 0.0
    for problem, ours, theirs in zip(component.problems, exported, float_predictions, strict=True):
        pairs = zip(ours.values, theirs.values, strict=True)
        per_field[problem.field.name] = float(
            np.mean([values_equal(problem.field, left, right) for left, right in pairs])
        )
        change = max(change, float(np.abs(ours.confidence - theirs.confidence).max(initial=0.0)))
    times_ms = []
    for parts in sample[:64]:
        began = time.perf_counter()
        component.predict([parts])
        times_ms.append(1e3 * (time.perf_counter() - began))
    return ExportReport(
        sample_size=len(sample),
        agreement=float(np.mean(list(per_field.values()))),
        agreement_per_field=per_field,
        largest_confidence_change=change,
        size_bytes=size_bytes,
        ms_per_answer=float(np.median(times_ms)),
    )
