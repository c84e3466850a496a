"""What a certificate says, as data and in plain words. Made by ``sequence``; knows nothing of how."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from understudy.certify.bounds import Interval
from understudy.errors import DataError

__all__ = ["Certification", "Reference", "RiskKind", "percent", "percent_at_least", "percent_at_most"]

RiskKind = Literal["answered", "all"]
"""`answered`: errors among the calls that the student answers. `all`: answered and wrong, among all calls."""

Reference = Literal["teacher", "gold"]
"""Whose answers `is_correct` compared with. Matching the teacher is not being right."""


def _trimmed(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + " %"


def percent_at_least(share: float, *, digits: int = 1) -> str:
    """A share as a percentage rounded down, so that "at least" stays true: .9579 is ``95.7 %``."""
    scale = 10**digits
    return _trimmed(math.floor(round(share * 100 * scale, 8)) / scale, digits)


def percent_at_most(share: float, *, digits: int = 1) -> str:
    """A share as a percentage rounded up, so that "at most" stays true."""
    scale = 10**digits
    return _trimmed(math.ceil(round(share * 100 * scale, 8)) / scale, digits)


def percent(count: int, n: int) -> str:
    """`count` of `n` as a percentage to the nearest tenth; never 100 % or 0 % unless it is exactly that."""
    if n == 0:
        return "unknown"
    tenths = round(1000 * count / n)
    if 0 < count < n:
        tenths = min(999, max(1, tenths))
    return _trimmed(tenths / 10, 1)


@dataclass(frozen=True, slots=True)
class Certification:
    """The outcome of certifying one deferral threshold on the certify split.

    Attributes
    ----------
    target
        Share of right answers that was to be certified.
    delta
        The certificate may be wrong with at most this probability.
    of
        See :data:`RiskKind`.
    threshold
        The student answers where its confidence is at least this; ``None`` where nothing was certified.
    tested_threshold
        The threshold that all counts below refer to: `threshold`, or where nothing was certified the first
        one tested; ``None`` where none could be tested.
    n
        Calls in the certify split.
    n_answered, n_errors
        Calls answered at `tested_threshold`, and how many of them differ from the reference.
    coverage
        ``n_answered / n``; ``None`` where nothing was tested.
    coverage_interval
        Clopper-Pearson, two-sided, at 95 %. Pointwise: not corrected for the choice of the threshold.
    agreement
        Share without error in the sample, of the answered calls or of all calls (see `of`). An estimate.
    agreement_lower
        Lower bound of the true share at `tested_threshold`, valid with probability ``1 - delta``, the choice
        of the threshold included. It equals `target` unless the sequence ended by itself: where it stopped
        at a failed test, an exact limit at the threshold it happened to stop at would *not* be valid.
    p_value
        Exact binomial, at `tested_threshold`.
    is_certified
        Whether `threshold` holds.
    reference
        See :data:`Reference`.
    n_tests
        How many thresholds were tested.
    method
        The method in words.
    reason
        Why nothing was certified; ``None`` where something was.
    """

    target: float
    delta: float
    of: RiskKind
    threshold: float | None
    tested_threshold: float | None
    n: int
    n_answered: int
    n_errors: int
    coverage: float | None
    coverage_interval: Interval | None
    agreement: float | None
    agreement_lower: float | None
    p_value: float | None
    is_certified: bool
    reference: Reference
    n_tests: int
    method: str
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON form; :meth:`from_dict` reads it back."""
        out = asdict(self)
        out["coverage_interval"] = None if self.coverage_interval is None else list(self.coverage_interval)
        return out

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Certification:
        """Read the JSON form.

        Raises
        ------
        DataError
            If a key is missing or unknown.
        """
        known = set(cls.__dataclass_fields__)
        if wrong := sorted(known ^ set(given)):
            raise DataError("a certificate has missing or unknown keys", given=", ".join(wrong))
        interval = given["coverage_interval"]
        pair = None if interval is None else (float(interval[0]), float(interval[1]))
        return cls(**{**given, "coverage_interval": pair})

    def sentence(self) -> str:
        """The certificate in plain words; bounds are rounded to the side that keeps them true."""
        if not self.is_certified or self.agreement_lower is None:
            return f"Not certified: {self.reason}."
        confidence = percent_at_least(1 - self.delta, digits=3)
        return f"With {confidence} confidence, {self._claim(self.agreement_lower)} {self._coverage_words()}"

    def _claim(self, bound: float) -> str:
        at_least, at_most = percent_at_least(bound), percent_at_most(1 - bound)
        if self.of == "answered" and self.reference == "teacher":
            return f"at least {at_least} of the answers it gives equal the teacher's."
        if self.of == "answered":
            return f"at least {at_least} of the answers it gives are right by the gold answers."
        if self.reference == "teacher":
            return f"at most {at_most} of all calls get an answer that differs from the teacher's."
        return (
            f"at most {at_most} of all calls get an answer from the student that is wrong by the gold answers"
            " (the teacher's own mistakes on the rest are not counted)."
        )

    def _coverage_words(self) -> str:
        if self.n_answered == self.n:
            return f"It answers every call ({self.n} of {self.n} in the test)."
        return (
            f"It answers {percent(self.n_answered, self.n)} of calls "
            f"({self.n_answered} of {self.n} in the test); the rest go to the teacher."
        )
