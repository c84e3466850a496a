"""The noise ceiling: how well any student can match a teacher that does not always repeat itself.

Where the teacher was asked more than once, the share of equal answers within one input is its
self-agreement. That share is not itself the ceiling: a teacher that says A four times in five repeats itself
in 68 % of pairs, yet a student that always says A matches it in 80 %. With p the probabilities of the
teacher's answers to one input, self-agreement s is the mean of sum(p^2) and the best a deterministic student
can do is the mean of max(p), at most sqrt(s); with k labels (1 + sqrt((k - 1)(k s - 1))) / k. Both are
concave in s, so they bound the mean as well (Jensen).

It knows nothing of how confident a student is: a student that defers may still answer the stable calls only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from understudy.certify.bounds import Interval, check_share, clopper_pearson_interval
from understudy.certify.certification import percent_at_least, percent_at_most

__all__ = ["NoiseCeiling", "attainable_agreement", "measure_ceiling"]


def attainable_agreement(self_agreement: float, n_labels: int | None = None) -> float:
    """Most that a student can agree with a teacher of this self-agreement.

    Parameters
    ----------
    self_agreement
        Probability in [0, 1] that two answers to one input are equal.
    n_labels
        Number of possible answers (2 or more), or ``None`` if it is not bounded.
    """
    share = min(1.0, max(0.0, self_agreement))
    if n_labels is None:
        return math.sqrt(share)
    share = max(share, 1 / n_labels)
    return min(1.0, (1 + math.sqrt((n_labels - 1) * (n_labels * share - 1))) / n_labels)


@dataclass(frozen=True, slots=True)
class NoiseCeiling:
    """The teacher's self-agreement and what follows from it.

    Attributes
    ----------
    n_inputs
        Inputs with two answers or more.
    self_agreement
        Mean over inputs of the share of equal pairs.
    interval
        Exact 95 % interval, from one pair per input.
    attainable, attainable_upper
        Ceiling on a student's agreement: at the estimate, and at the interval's upper limit.
    """

    n_inputs: int
    self_agreement: float
    interval: Interval
    attainable: float
    attainable_upper: float

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)

    def refusal(self, target: float) -> str | None:
        """Why `target` cannot be met by a student that answers every call, or ``None`` if it may be."""
        check_share("target", target)
        if target <= self.attainable_upper:
            return None
        return (
            f"the target {target:g} is above the noise ceiling: asked twice, the teacher repeats its answer"
            f" in {percent_at_least(self.self_agreement)} of cases ({self.n_inputs} inputs), so no student"
            f" that answers every call can match it in more than {percent_at_most(self.attainable_upper)};"
            f" at this target at most {percent_at_most(self.coverage_limit(target))} of calls can be answered"
        )

    def warning(self, target: float) -> str | None:
        """A caution where `target` lies above the teacher's own self-agreement, or ``None``."""
        check_share("target", target)
        if target <= self.self_agreement or self.refusal(target):
            return None
        return (
            f"the target {target:g} is above the teacher's own self-agreement of {self.self_agreement:.3f}"
            f" (95 % interval {self.interval[0]:.3f} to {self.interval[1]:.3f}, {self.n_inputs} inputs asked"
            f" more than once); the most a student could reach is about {self.attainable:.3f}"
        )

    def coverage_limit(self, target: float) -> float:
        """Most calls that can be answered at `target` among answered, as a share.

        The mean of max(p) over all calls is at least coverage x target, as no call contributes less than 0.
        """
        return min(1.0, self.attainable_upper / check_share("target", target))


def measure_ceiling(
    answers_per_input: Sequence[Sequence[Any]],
    *,
    is_equal: Callable[[Any, Any], bool] = lambda left, right: bool(left == right),
    n_labels: int | None = None,
    delta: float = 0.05,
) -> NoiseCeiling | None:
    """Self-agreement from repeated answers of ONE teacher to the same inputs.

    Parameters
    ----------
    answers_per_input
        All answers to each input; inputs with fewer than two are skipped. Answers of different teachers
        must not be mixed: that would measure how they differ.
    is_equal
        When two answers are the same (see ``task.field.values_equal``).
    n_labels
        See :func:`attainable_agreement`.
    delta
        One minus the confidence of the interval.

    Returns
    -------
    NoiseCeiling or None
        ``None`` where no input was asked twice: the ceiling is unknown, which is not 1.
    """
    total, first_equal, n_inputs = 0.0, 0, 0
    for answers in answers_per_input:
        count = len(answers)
        if count < 2:
            continue
        pairs = [(i, j) for i in range(count) for j in range(i + 1, count)]
        total += sum(is_equal(answers[i], answers[j]) for i, j in pairs) / len(pairs)
        first_equal += is_equal(answers[0], answers[1])
        n_inputs += 1
    if n_inputs == 0:
        return None
    share = total / n_inputs
    # One pair per input gives independent yes/no draws, hence an exact interval; the estimate uses all pairs.
    low, high = clopper_pearson_interval(first_equal, n_inputs, delta)
    interval = (min(low, share), max(high, share))
    return NoiseCeiling(
        n_inputs=n_inputs,
        self_agreement=share,
        interval=interval,
        attainable=attainable_agreement(share, n_labels),
        attainable_upper=attainable_agreement(interval[1], n_labels),
    )
