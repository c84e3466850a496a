"""When two texts count as the same answer: the user's choice, one of five metrics.

Every comparison of texts goes through here: training's choice of a model, certificates, ``evaluate``, shadow
comparison and audits all mean the same by "agree".
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

from understudy.errors import ConfigError
from understudy.text.normalise import compact_text
from understudy.text.overlap import chrf, last_number, rouge_l

__all__ = [
    "DEFAULT_METRIC",
    "SCORED_METRICS",
    "TEXT_METRICS",
    "TextMetric",
    "check_metric",
    "metric_words",
    "numbers_equal",
    "texts_equal",
]

TextMetric = Literal["exact", "normalised", "numeric", "rouge_l", "chrf"]
TEXT_METRICS: tuple[TextMetric, ...] = ("exact", "normalised", "numeric", "rouge_l", "chrf")
DEFAULT_METRIC: TextMetric = "normalised"
SCORED_METRICS = ("rouge_l", "chrf")
"""Metrics with a threshold. What they call the same is no equivalence: a may be like b, b like c, and a not like c."""
_NAMES = {"rouge_l": "ROUGE-L", "chrf": "chrF"}
_REMEMBERED = 4096


def check_metric(name: str, kind: str, metric: str, at_least: float | None, tolerance: float) -> None:
    """Refuse combinations that mean nothing.

    Raises
    ------
    ConfigError
        For an unknown metric, a metric or a threshold where there is nothing to measure, or a threshold that is
        missing or outside (0, 1].
    """
    where = f"field {name!r}"
    if metric not in TEXT_METRICS:
        raise ConfigError(
            f"{where} has an unknown metric", given=repr(metric), todo=f"one of {', '.join(TEXT_METRICS)}"
        )
    if kind != "text" and (metric != DEFAULT_METRIC or at_least is not None):
        raise ConfigError(f"{where} of kind {kind} has a metric, which only texts have", todo="leave it out")
    if metric in SCORED_METRICS:
        is_number = isinstance(at_least, int | float) and not isinstance(at_least, bool)
        if at_least is None or not is_number or not 0 < at_least <= 1:
            raise ConfigError(
                f"{where}: the metric {metric} needs the score from which two texts count as the same",
                given="none" if at_least is None else repr(at_least),
                todo="at_least = 0.6 for example, above 0 and at most 1",
            )
    elif at_least is not None:
        raise ConfigError(
            f"{where}: at_least goes with the metrics {' and '.join(SCORED_METRICS)}",
            given=f"metric {metric}",
        )
    if kind == "text" and tolerance and metric != "numeric":
        raise ConfigError(
            f"{where}: texts have a tolerance only with metric numeric", given=f"metric {metric}"
        )


def numbers_equal(left: float, right: float, tolerance: float) -> bool:
    """Whether two numbers differ by at most ``tolerance * max(1, |right|)``; 0 allows 1e-9 relative."""
    if math.isinf(left) or math.isinf(right):
        return left == right
    return abs(left - right) <= max(tolerance, 1e-9) * max(1.0, abs(right))


def texts_equal(metric: str, at_least: float | None, tolerance: float, said: str, meant: str) -> bool:
    """Whether `said` counts as the same answer as the reference `meant`."""
    if metric == "exact":
        return said == meant
    if compact_text(said) == compact_text(meant):
        return True
    if metric == "numeric":
        one, two = last_number(said), last_number(meant)
        return one is not None and two is not None and numbers_equal(one, two, tolerance)
    if metric in SCORED_METRICS:
        return _score(metric, said, meant) >= (at_least or 1.0)
    return False


@lru_cache(maxsize=_REMEMBERED)
def _score(metric: str, said: str, meant: str) -> float:
    # The ladder asks for the same pairs again for every system that it judges.
    return rouge_l(said, meant) if metric == "rouge_l" else chrf(said, meant)


def metric_words(metric: str, at_least: float | None, tolerance: float) -> str:
    """What "equal" means, to follow "a text counts as equal if it ..."."""
    if metric == "exact":
        return "is the same to the letter"
    if metric == "numeric":
        slack = f", up to {tolerance:g} relative" if tolerance else ""
        return f"ends in the same number{slack}"
    if metric in SCORED_METRICS:
        return f"has a {_NAMES[metric]} of at least {at_least:g} with the reference's text"
    return "is the same up to white space and Unicode form"
