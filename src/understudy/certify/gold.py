"""Certificates against gold answers: how often right, and whether no worse than the teacher.

Matching the teacher is not being right; nothing here mentions agreement. Knows nothing of where gold comes
from: wrong gold makes a wrong certificate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.certify.bounds import (
    Interval,
    check_share,
    clopper_pearson_interval,
    clopper_pearson_lower,
)
from understudy.certify.certification import percent, percent_at_least
from understudy.certify.paired import difference_lower, noninferiority_p_value
from understudy.errors import DataError

__all__ = ["Accuracy", "GoldCertification", "NonInferiority", "bound_accuracy", "certify_gold"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Share of answers equal to gold.

    Attributes
    ----------
    n, n_right
        Answers, and right ones.
    share
        Estimate; ``None`` for ``n = 0``.
    lower
        Lower bound at ``1 - delta`` (one-sided Clopper-Pearson); ``None`` for ``n = 0``.
    interval
        Two-sided 95 % Clopper-Pearson at one threshold, for display.
    """

    n: int
    n_right: int
    share: float | None
    lower: float | None
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class NonInferiority:
    """The system (student, and the teacher where the student defers) against the teacher alone, paired.

    Attributes
    ----------
    margin
        Largest loss of accuracy that counts as none, fixed beforehand.
    losses, wins
        Calls where only the teacher, only the system, is right.
    difference
        Estimate of the system's accuracy minus the teacher's.
    difference_lower
        Its lower bound at ``1 - delta``.
    p_value
        Of "worse by `margin` or more", at the threshold certified.
    is_noninferior
        Whether the certificate holds at ``1 - delta``.
    """

    margin: float
    losses: int
    wins: int
    difference: float
    difference_lower: float
    p_value: float
    is_noninferior: bool


@dataclass(frozen=True, slots=True)
class GoldCertification:
    """What gold answers certify at one threshold; each of the statements holds at ``1 - delta`` by itself.

    Attributes
    ----------
    delta
        Each statement may be wrong with at most this probability.
    threshold
        The student answers where its confidence is at least this.
    n, n_without_gold
        Calls with gold; calls left out because they have none.
    answered, system, teacher
        Accuracy of the student's answers, of student and teacher together, of the teacher alone.
    noninferiority
        ``None`` where the teacher's answers are not known on these calls.
    n_candidates
        Thresholds that the choice was made among; the bounds are split over them (Bonferroni), while
        `noninferiority.is_noninferior` comes from a fixed sequence and needs no split.
    """

    delta: float
    threshold: float
    n: int
    n_without_gold: int
    answered: Accuracy
    system: Accuracy | None
    teacher: Accuracy | None
    noninferiority: NonInferiority | None
    n_candidates: int

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)

    def sentences(self) -> list[str]:
        """In plain words; bounds are rounded to the side that keeps them true."""
        confidence = percent_at_least(1 - self.delta, digits=3)
        out = []
        if self.answered.lower is not None:
            out.append(
                f"With {confidence} confidence, at least {percent_at_least(self.answered.lower)} of the"
                f" answers it gives are right by the gold answers ({self.answered.n_right} of"
                f" {self.answered.n} in the test, {percent(self.answered.n_right, self.answered.n)})."
            )
        if self.system is not None and self.system.lower is not None:
            out.append(
                f"With {confidence} confidence, student and teacher together are right on at least"
                f" {percent_at_least(self.system.lower)} of calls."
            )
        if self.noninferiority is not None:
            out.append(self._noninferiority_sentence(self.noninferiority, confidence))
        return out

    @staticmethod
    def _noninferiority_sentence(found: NonInferiority, confidence: str) -> str:
        counts = f"(better on {found.wins} calls of the test, worse on {found.losses})"
        points = f"{100 * found.margin:g} points"
        if found.is_noninferior:
            return (
                f"With {confidence} confidence, student and teacher together are less than {points} below the"
                f" teacher's own accuracy by the gold answers {counts}."
            )
        return (
            f"Not certified: that student and teacher together are less than {points} below the teacher's own"
            f" accuracy by the gold answers {counts}."
        )


def bound_accuracy(is_right: npt.ArrayLike, *, delta: float, n_candidates: int = 1) -> Accuracy:
    """Accuracy with an exact lower bound.

    Parameters
    ----------
    is_right
        Shape (n,), booleans.
    delta
        Highest probability that the bound is above the truth.
    n_candidates
        In how many ways the rows could have been picked with a look at these data; the level is split.
    """
    right = np.asarray(is_right, dtype=np.bool_)
    n, count = len(right), int(right.sum())
    if n == 0:
        return Accuracy(0, 0, None, None, None)
    lower = clopper_pearson_lower(count, n, check_share("delta", delta) / n_candidates)
    return Accuracy(n, count, count / n, lower, clopper_pearson_interval(count, n))


def certify_gold(
    confidence: npt.ArrayLike,
    student_is_right: npt.ArrayLike,
    teacher_is_right: npt.ArrayLike | None = None,
    *,
    threshold: float,
    delta: float,
    margin: float = 0.02,
    thresholds: Sequence[float] | FloatArray | None = None,
    has_gold: npt.ArrayLike | None = None,
) -> GoldCertification:
    """Certify against gold at `threshold`.

    Parameters
    ----------
    confidence, student_is_right, teacher_is_right
        Shape (n,), one per call of the certify split; NaN confidence means deferred. Without the teacher's
        column only the answered calls can be judged.
    threshold
        The threshold that will serve.
    delta
        Highest probability that a statement is false, for each statement.
    margin
        Fixed beforehand, as a share (0.02 is two points).
    thresholds
        Shape (m,): the sequence that `threshold` was chosen from with a look at the certify split. ``None``
        if it was fixed beforehand. Leaving it out after a choice on these data voids the guarantee.
    has_gold
        Shape (n,): calls without gold are left out; ``None`` if all have it.

    Raises
    ------
    DataError
        If shapes differ, or `threshold` is not among `thresholds`.
    """
    scores, right = np.asarray(confidence, dtype=np.float64), np.asarray(student_is_right, dtype=np.bool_)
    keep = np.ones(len(scores), dtype=np.bool_) if has_gold is None else np.asarray(has_gold, dtype=np.bool_)
    teacher = None if teacher_is_right is None else np.asarray(teacher_is_right, dtype=np.bool_)
    if not scores.shape == right.shape == keep.shape or (
        teacher is not None and teacher.shape != right.shape
    ):
        raise DataError(
            "confidence, answers and gold must have one length", given=f"{scores.shape}, {right.shape}"
        )
    sequence = np.asarray([threshold] if thresholds is None else thresholds, dtype=np.float64)
    if threshold not in sequence:
        raise DataError("the threshold is not in the sequence it was chosen from", given=repr(threshold))
    sequence = sequence[: int(np.flatnonzero(sequence == threshold)[0]) + 1]
    n_candidates = 1 if thresholds is None else len(thresholds)
    scores, right, n_left_out = scores[keep], right[keep], int((~keep).sum())
    answers = scores >= threshold  # NaN compares false: deferred
    system = compared = alone = None
    if teacher is not None:
        teacher = teacher[keep]
        together = np.where(answers, right, teacher)
        system = bound_accuracy(together, delta=delta, n_candidates=n_candidates)
        alone = bound_accuracy(teacher, delta=delta)
        compared = _compare(scores, right, teacher, sequence, margin, delta, n_candidates)
    return GoldCertification(
        delta=delta,
        threshold=float(threshold),
        n=len(scores),
        n_without_gold=n_left_out,
        answered=bound_accuracy(right[answers], delta=delta, n_candidates=n_candidates),
        system=system,
        teacher=alone,
        noninferiority=compared,
        n_candidates=n_candidates,
    )


def _compare(
    scores: FloatArray,
    right: BoolArray,
    teacher: BoolArray,
    sequence: FloatArray,
    margin: float,
    delta: float,
    n_candidates: int,
) -> NonInferiority | None:
    """Test every threshold of the sequence up to the chosen one; the certificate needs all to pass.

    A fixed sequence holds for all its passed members at once, hence for the one that was chosen, whatever
    chose it. The counts change only at discordant calls, so few of the tests differ.
    """
    if not len(scores):
        return None
    counts: list[tuple[int, int]] = []
    for threshold in sequence:
        answers = scores >= threshold
        pair = (int((answers & teacher & ~right).sum()), int((answers & right & ~teacher).sum()))
        if not counts or counts[-1] != pair:
            counts.append(pair)
    n = len(scores)
    losses, wins = counts[-1]
    p_value = noninferiority_p_value(losses, wins, n, margin=margin, delta=delta)
    is_noninferior = p_value <= delta and all(
        noninferiority_p_value(lost, won, n, margin=margin, delta=delta) <= delta for lost, won in counts[:-1]
    )
    return NonInferiority(
        margin=margin,
        losses=losses,
        wins=wins,
        difference=(wins - losses) / n,
        difference_lower=difference_lower(losses, wins, n, delta=delta / n_candidates),
        p_value=p_value,
        is_noninferior=is_noninferior,
    )
