"""Repeated inputs: whether a table of answers pays, and the certificate that it needs of its own.

Splits keep near-duplicates together, so `certify` never holds an input that was learnt: it says nothing about a
lookup. What does is how often the *same* input gets the *same* answer when it is asked again.
"""

from __future__ import annotations

from dataclasses import dataclass

from understudy.calls.call import UNKNOWN
from understudy.certify.bounds import binomial_p_value, clopper_pearson_lower
from understudy.dataset.dataset import Dataset
from understudy.ladder.folds import Fold
from understudy.ladder.options import LearnOptions
from understudy.runtime.lookup import lookup_key
from understudy.students.lookup import LookupStudent
from understudy.task.field import values_equal

__all__ = ["LOOKUP_DELTA_SHARE", "RepeatEvidence", "repeat_share", "study_repeats"]

LOOKUP_DELTA_SHARE = 0.1
"""Share of delta that the lookup's certificate takes; the rest is left to the students'."""
_LEAST_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class RepeatEvidence:
    """What repeated inputs show.

    Attributes
    ----------
    share
        Share of calls whose input stands earlier in the log.
    n_pairs, n_equal
        Distinct repeated inputs outside `train` and `select` (one pair of calls each), and how many of them got
        equal answers.
    student
        The table, or ``None`` if it does not pay or is not certified.
    reason
        Why there is none.
    """

    share: float
    n_pairs: int
    n_equal: int
    student: LookupStudent | None
    reason: str | None


def repeat_share(data: Dataset) -> float:
    """Share of calls whose input, folded, stands earlier in the log."""
    seen: set[str] = set()
    repeats = 0
    for parts in data.inputs:
        key = lookup_key(parts)
        repeats += key in seen
        seen.add(key)
    return repeats / max(len(data.inputs), 1)


def study_repeats(data: Dataset, options: LearnOptions, train: Fold, select: Fold) -> RepeatEvidence:
    """Certify the lookup on pairs of calls with the same input in the certify split; fit it if that holds."""
    share = repeat_share(data)
    if share < _LEAST_SHARE:
        return RepeatEvidence(share, 0, 0, None, f"only {100 * share:.1f} % of calls repeat an earlier input")
    pairs, equal = _pairs(data, options)
    delta = options.delta * LOOKUP_DELTA_SHARE
    if not pairs or binomial_p_value(pairs - equal, pairs, 1 - options.target) > delta:
        reason = (
            f"{equal} of {pairs} repeated inputs got the same answer again: too few to certify the lookup"
        )
        return RepeatEvidence(share, pairs, equal, None, reason)
    both = [
        type(one)(one.problem, [*one.values, *two.values])
        for one, two in zip(train.targets, select.targets, strict=True)
    ]
    lower = clopper_pearson_lower(equal, pairs, delta)
    student = LookupStudent(confidence=float(lower)).fit([*train.inputs, *select.inputs], both)
    return RepeatEvidence(share, pairs, equal, student, None)


def _pairs(data: Dataset, options: LearnOptions) -> tuple[int, int]:
    """Distinct inputs of the certify split with two usable calls, and how many pairs agree."""
    answers = data.teacher if options.reference == "teacher" else data.gold
    names = [problem.field.name for problem in data.problems]
    first: dict[str, int] = {}
    done: set[str] = set()
    pairs = equal = 0
    for row in data.rows("certify").tolist():
        if any(answers[name][row] is UNKNOWN for name in names):
            continue
        key = lookup_key(data.inputs[row])
        if key in done:
            continue
        if key not in first:
            first[key] = row
            continue
        done.add(key)
        pairs += 1
        equal += all(
            values_equal(
                problem.field, answers[problem.field.name][row], answers[problem.field.name][first[key]]
            )
            for problem in data.problems
        )
    return pairs, equal
