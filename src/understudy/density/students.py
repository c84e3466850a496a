"""Effective size of a ladder's students: capability density in the small, from a run's learning curves.

In calls: how many calls the reference rung, the cheapest with a usable curve, would need to reach another rung's
error on the same task. In bytes: the size at which the ladder's own fit of error against size, made without the
rung in question, reaches its error. Sizes are those of the exported files: parameters are not recorded, and at
int8 a parameter is about a byte. Pure functions of the facts of :mod:`understudy.ladder.result`; they know nothing
of what a rung is, and an effective size holds for the one task it was measured on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from understudy.economics.curve import LearningCurve, fit_learning_curve
from understudy.errors import DataError

__all__ = ["StudentSize", "StudentSizes", "student_sizes"]

_LEAST_OTHERS = 3
"""Rungs, without the one in question, that a fit of error against size takes: two would always lie on a line."""
_ALIKE = 1.5
"""Numbers of calls that differ by no more than this factor count as about as many."""


@dataclass(frozen=True, slots=True)
class StudentSize:
    """One rung.

    Attributes
    ----------
    name
        Of the rung.
    n_calls, error
        Most calls it learnt from in its curve, and the share of errors there; ``None`` where unmeasured.
    effective_calls, effective_calls_lower, effective_calls_upper
        Calls that the reference rung would need for that error; the interval is of the reference's curve alone.
    data_leverage
        ``effective_calls / n_calls``: how many of the reference's calls one call is worth here.
    calls_reason
        Why `effective_calls` is unknown.
    size_bytes, effective_bytes
        Actual size, and size on the ladder's own fit.
    density
        ``effective_bytes / size_bytes``.
    size_reason
        Why `effective_bytes` is unknown.
    """

    name: str
    n_calls: float | None
    error: float | None
    effective_calls: float | None
    effective_calls_lower: float | None
    effective_calls_upper: float | None
    data_leverage: float | None
    calls_reason: str | None
    size_bytes: float | None
    effective_bytes: float | None
    density: float | None
    size_reason: str | None


@dataclass(frozen=True, slots=True)
class StudentSizes:
    """All fitted rungs, in the ladder's order.

    Attributes
    ----------
    reference
        Name of the reference rung; ``None`` where no rung has a curve that falls.
    reason
        Why there is none.
    """

    rows: tuple[StudentSize, ...]
    reference: str | None
    reason: str | None

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Measured:
    name: str
    points: tuple[tuple[int, int, int], ...]
    size_bytes: float | None

    @property
    def last(self) -> tuple[int, int, int] | None:
        return self.points[-1] if self.points else None

    @property
    def error(self) -> float | None:
        return None if self.last is None else self.last[1] / self.last[2]


def student_sizes(facts: Mapping[str, Any]) -> StudentSizes:
    """Effective sizes from the facts of a run; whatever is missing or malformed is unknown, with a reason."""
    rungs = [_measured(row) for row in _rows(facts.get("rungs")) if row.get("status") in ("fitted", "cached")]
    reference, curve = _reference(rungs)
    reason = None
    if reference is None:
        reason = "no rung has a learning curve that falls, so there is nothing to measure the others against"
    return StudentSizes(
        tuple(_size(rung, rungs, reference, curve, reason) for rung in rungs), reference, reason
    )


def _reference(rungs: Sequence[_Measured]) -> tuple[str | None, LearningCurve | None]:
    """The first rung with a usable curve; no curve beyond it is fitted."""
    for rung in rungs:
        curve = _curve(rung)
        if _is_usable(curve):
            return rung.name, curve
    return None, None


def _rows(found: Any) -> list[Mapping[str, Any]]:
    return [row for row in found if isinstance(row, Mapping)] if isinstance(found, list | tuple) else []


def _count(found: Any) -> int | None:
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        return None
    return int(found)


def _measured(rung: Mapping[str, Any]) -> _Measured:
    curve = rung.get("curve")
    points = []
    for row in _rows(curve.get("points") if isinstance(curve, Mapping) else None):
        n_calls, n_errors, n_eval = (_count(row.get(key)) for key in ("n_calls", "n_errors", "n_eval"))
        if n_calls and n_eval and n_errors is not None and 0 <= n_errors <= n_eval and n_calls > 0:
            points.append((n_calls, n_errors, n_eval))
    size = rung.get("size_bytes")
    is_size = (
        isinstance(size, int | float) and not isinstance(size, bool) and math.isfinite(size) and size > 0
    )
    return _Measured(str(rung.get("name")), tuple(sorted(points)), float(size) if is_size and size else None)


def _curve(rung: _Measured) -> LearningCurve | None:
    try:
        return fit_learning_curve(rung.points) if rung.points else None
    except DataError:
        return None


def _is_usable(curve: LearningCurve | None) -> bool:
    """Whether a curve can be read backwards: fitted, and not flat or rising.

    A floor that is not determined still leaves errors inside the measured range readable.
    """
    return (
        curve is not None
        and curve.a is not None
        and not any("does not fall" in why for why in curve.warnings)
    )


def _size(
    rung: _Measured,
    rungs: Sequence[_Measured],
    reference: str | None,
    curve: LearningCurve | None,
    no_reference: str | None,
) -> StudentSize:
    calls: tuple[float | None, float | None, float | None] = (None, None, None)
    why = no_reference
    error = rung.error
    n_calls = None if rung.last is None else float(rung.last[0])
    if error is None:
        why = "no learning curve was measured for this rung"
    elif rung.name == reference and n_calls is not None:
        calls, why = (n_calls, n_calls, n_calls), None
    elif curve is not None:
        found = curve.n_for(error)
        calls, why = (found.n_train, found.lower, found.upper), found.reason
        if found.n_train is not None:
            why = None
    effective, size_why = _effective_bytes(rung, rungs)
    return StudentSize(
        name=rung.name,
        n_calls=n_calls,
        error=error,
        effective_calls=calls[0],
        effective_calls_lower=calls[1],
        effective_calls_upper=calls[2],
        data_leverage=calls[0] / n_calls if calls[0] is not None and n_calls is not None else None,
        calls_reason=why,
        size_bytes=rung.size_bytes,
        effective_bytes=effective,
        density=None if effective is None or rung.size_bytes is None else effective / rung.size_bytes,
        size_reason=size_why,
    )


def _is_comparable(one: _Measured, other: _Measured) -> bool:
    """Whether one made errors, and both learnt from about as many calls."""
    if not one.error or one.last is None or other.last is None:
        return False
    return 1 / _ALIKE <= one.last[0] / other.last[0] <= _ALIKE


def _effective_bytes(rung: _Measured, rungs: Sequence[_Measured]) -> tuple[float | None, str | None]:
    """Size at which ``ln(error) = a - b * ln(size)``, fitted on the other rungs, gives this rung's error."""
    if rung.error is None or rung.size_bytes is None:
        return None, "its error or its size was not measured"
    if rung.error == 0:
        return None, "it made no error, so no size is too large"
    others = [one for one in rungs if one.name != rung.name and one.size_bytes and _is_comparable(one, rung)]
    if len(others) < _LEAST_OTHERS:
        return None, (
            f"needs {_LEAST_OTHERS} other rungs with size and error, learnt from about as many calls; "
            f"there are {len(others)}"
        )
    sizes = np.log([one.size_bytes for one in others if one.size_bytes is not None])
    errors = np.log([one.error for one in others if one.error is not None])
    if float(np.ptp(sizes)) == 0:
        return None, "the other rungs are all of one size"
    slope, level = np.polyfit(sizes, errors, 1)
    if slope >= 0:
        return None, "on this ladder errors do not fall with size"
    log_size = (math.log(rung.error) - level) / slope
    if not sizes.min() - math.log(100) <= log_size <= sizes.max() + math.log(100):
        return None, "more than 100 times outside the sizes of the other rungs: too far to tell"
    return float(math.exp(log_size)), None
