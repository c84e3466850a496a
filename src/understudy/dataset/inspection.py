"""What ``inspect`` reports: facts about a log before anything is trained. Counts and label names, no input
texts.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from understudy.calls.call import ABSENT, UNKNOWN
from understudy.calls.report import ReadReport
from understudy.dataset.facts import TeacherFacts
from understudy.dataset.splits import SplitPlan
from understudy.dataset.text_facts import TextFacts, text_facts
from understudy.economics.prices import CallCosts
from understudy.task.field import Field
from understudy.task.problem import Problem, encode_value
from understudy.task.task import Task

__all__ = ["FieldReport", "InspectReport", "field_reports", "rows_for_certificate"]

_TOP = 12
_MAX_COUNTED = 20_000


@dataclass(frozen=True, slots=True)
class FieldReport:
    """One field.

    Attributes
    ----------
    field
        The field.
    why
        Why it was taken for that kind.
    mode
        How it would be learnt, or ``None``: always deferred.
    n_known, n_null, n_absent
        Rows with a usable answer (null and absent among them); with null; with the key absent.
    n_distinct
        Different values that are neither null nor absent; ``None`` where there are too many to count.
    top
        The commonest values of choice, boolean and choices (their labels), with counts.
    rarest
        The rarest label's count (choice), or ``None``.
    source
        ``teacher`` or ``gold``: whose answers were counted.
    texts
        Of free text, what the texts are like; else ``None``.
    """

    field: Field
    why: str
    mode: str | None
    n_known: int
    n_null: int
    n_absent: int
    n_distinct: int | None
    top: tuple[tuple[Any, int], ...]
    rarest: int | None
    source: str
    texts: TextFacts | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "name": self.field.name,
            "kind": self.field.kind,
            "why": self.why,
            "learnt_as": self.mode,
            "labels": len(self.field.labels) or None,
            "known": self.n_known,
            "null": self.n_null,
            "absent": self.n_absent,
            "distinct": self.n_distinct,
            "top": [[encode_value(value), count] for value, count in self.top],
            "rarest_label_count": self.rarest,
            "counted_from": self.source,
            "texts": None if self.texts is None else self.texts.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class InspectReport:
    """All that ``inspect`` shows.

    Attributes
    ----------
    read
        Lines read and refused.
    task
        The task found or given.
    is_task_given
        Whether the user gave it.
    n_rows
        Calls in the dataset.
    n_bad_inputs
        Calls left out because their input does not have the task's shape.
    input_chars
        Median, 95th percentile and maximum length of an input in characters.
    fields
        One report each.
    n_off_schema, off_schema
        Rows with a misfit; misfits per reason.
    n_without_answer
        Rows without any recorded answer of the teacher.
    n_extra_keys, n_rare_keys
        Rows with keys that no field reads; keys too rare to be fields.
    n_same_input, n_same_call
        Rows whose input (or input and answer) came before, after normalisation.
    n_near_groups, n_near_rows, largest_group
        Near-duplicate groups of two and more different inputs; rows in them; rows in the largest group.
    splits
        The plan.
    facts
        About the teacher.
    n_gold, n_gold_off_schema, n_gold_read_as_null
        Rows with gold; of these with a misfit; keys that gold omits, read as null.
    n_votes, n_soft
        Rows with further answers; with label probabilities.
    n_rationales
        Rows with the teacher's reasons.
    costs
        What the calls cost.
    tokens
        Mean input and output tokens of the calls that carry them, or ``None``.
    models
        Calls per teacher name.
    learns, defers
        Field names.
    certify_rows_needed
        Rows that a 95 % certificate takes at least, and those it takes if the true error is half of what it
        allows.
    warnings
        Sentences.
    """

    read: ReadReport
    task: Task
    is_task_given: bool
    n_rows: int
    n_bad_inputs: int
    input_chars: tuple[int, int, int]
    fields: tuple[FieldReport, ...]
    n_off_schema: int
    off_schema: Mapping[str, int]
    n_without_answer: int
    n_extra_keys: int
    n_rare_keys: int
    n_same_input: int
    n_same_call: int
    n_near_groups: int
    n_near_rows: int
    largest_group: int
    splits: SplitPlan
    facts: TeacherFacts
    n_gold: int
    n_gold_off_schema: int
    n_gold_read_as_null: int
    n_votes: int
    n_soft: int
    n_rationales: int
    costs: CallCosts
    tokens: tuple[float | None, float | None]
    models: Mapping[str, int]
    learns: tuple[str, ...]
    defers: tuple[str, ...]
    certify_rows_needed: tuple[int, int]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        low, high = self.certify_rows_needed
        return {
            "read": self.read.to_dict(),
            "task": self.task.to_dict(),
            "task_given": self.is_task_given,
            "rows": self.n_rows,
            "bad_inputs": self.n_bad_inputs,
            "input": {
                "names": list(self.task.input_names),
                "line_labels": list(self.task.line_labels),
                "chars": dict(zip(("median", "p95", "max"), self.input_chars, strict=True)),
            },
            "fields": [report.to_dict() for report in self.fields],
            "off_schema": {"rows": self.n_off_schema, "reasons": dict(self.off_schema)},
            "without_answer": self.n_without_answer,
            "extra_keys": {"rows": self.n_extra_keys, "rare_keys": self.n_rare_keys},
            "duplicates": {
                "same_input": self.n_same_input,
                "same_input_and_answer": self.n_same_call,
                "near_groups": self.n_near_groups,
                "near_rows": self.n_near_rows,
                "largest_group": self.largest_group,
            },
            "splits": self.splits.to_dict(),
            "teacher": {
                **self.facts.to_dict(),
                "models": dict(self.models),
                "votes": self.n_votes,
                "label_probabilities": self.n_soft,
                "rationales": self.n_rationales,
            },
            "gold": {
                "rows": self.n_gold,
                "off_schema": self.n_gold_off_schema,
                "omitted_keys_read_as_null": self.n_gold_read_as_null,
            },
            "cost": {**self.costs.to_dict(), "input_tokens": self.tokens[0], "output_tokens": self.tokens[1]},
            "learns": list(self.learns),
            "defers": list(self.defers),
            "certify_rows_needed": {"without_an_error": low, "at_half_the_allowed_error": high},
            "warnings": list(self.warnings),
        }


def rows_for_certificate(target: float = 0.95, confidence: float = 0.95) -> tuple[int, int]:
    """Rows that certify an error of at most ``1 - target`` with exact binomial tests.

    Returns
    -------
    without_an_error, at_half_the_error
        The smallest n with target**n <= 1 - confidence; and the smallest n from which on
        floor(n * (1 - target) / 2) errors still reject, P(Binomial(n, 1 - target) <= errors) <= 1 - confidence.
    """
    from scipy.stats import binom

    error, delta = 1 - target, 1 - confidence
    first = math.ceil(math.log(delta) / math.log(target))
    n = np.arange(first, first + 5000)
    rejects = binom.cdf(np.floor(n * error / 2), n, error) <= delta
    failing = np.flatnonzero(~rejects)
    last_failing = int(failing[-1]) + 1 if len(failing) else 0
    return first, int(n[min(last_failing, len(n) - 1)])


def field_reports(
    task: Task,
    problems: Sequence[Problem],
    why: Mapping[str, str],
    teacher: Mapping[str, Sequence[Any]],
    gold: Mapping[str, Sequence[Any]],
) -> tuple[FieldReport, ...]:
    """A report per field, from the teacher's answers, or gold where there are none."""
    modes = {problem.field.name: problem.mode for problem in problems}
    reports = []
    for item in task.fields:
        source, values = "teacher", teacher[item.name]
        if all(value is UNKNOWN for value in values):
            source, values = "gold", gold[item.name]
        reports.append(_field_report(item, why.get(item.name, "given"), modes.get(item.name), values, source))
    return tuple(reports)


def _field_report(item: Field, why: str, mode: str | None, values: Sequence[Any], source: str) -> FieldReport:
    n_null = sum(value is None for value in values)
    n_absent = sum(value is ABSENT for value in values)
    n_known = sum(value is not UNKNOWN for value in values)
    counts: Counter[Any] = Counter()
    is_overfull = False
    for value in values:
        if value is UNKNOWN or value is None or value is ABSENT:
            continue
        for one in value if isinstance(value, tuple) else (value,):
            if one in counts or len(counts) < _MAX_COUNTED:
                counts[one] += 1
            else:
                is_overfull = True
    shows_values = item.kind in ("choice", "boolean", "choices")
    top = (
        tuple(sorted(counts.items(), key=lambda pair: (-pair[1], str(pair[0])))[:_TOP])
        if shows_values
        else ()
    )
    rarest = (
        min((counts.get(label, 0) for label in item.labels), default=None) if item.kind == "choice" else None
    )
    n_distinct = None if is_overfull else len(counts)
    return FieldReport(
        item, why, mode, n_known, n_null, n_absent, n_distinct, top, rarest, source, text_facts(item, values)
    )
