"""Which runs a fit leaves out: by a named rule, reported row by row, never silently.

Five of the 245 points that Epoch read from Hoffmann's figure move B from 2,100 to 12,800 and tokens per
parameter from 18 to 7; so the rule is part of the result. The rules look at the runs alone, not at a fit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.economics.scaling.runs import TrainingRuns
from understudy.errors import ConfigError, DataError

__all__ = ["OUTLIER_RULES", "DroppedRuns", "drop_outliers"]

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class DroppedRuns:
    """What a rule left out.

    Attributes
    ----------
    rule
        As given, such as ``highest-loss:5``.
    rows
        Of the runs given, counted from 0, ascending.
    meaning
        The rule in words.
    """

    rule: str
    rows: tuple[int, ...]
    meaning: str

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def _highest_loss(runs: TrainingRuns, count: float) -> BoolArray:
    """Runs at or above the `count`-th highest loss; ties with it go too."""
    if count != int(count) or count < 1:
        raise ConfigError(
            "highest-loss drops a whole number of runs", given=repr(count), todo="highest-loss:5"
        )
    if count >= len(runs):
        raise DataError("the outlier rule leaves no run", given=f"highest-loss:{count:g} of {len(runs)} runs")
    return np.asarray(runs.loss >= np.sort(runs.loss)[-int(count)])


def _few_tokens(runs: TrainingRuns, ratio: float) -> BoolArray:
    """Runs with fewer than `ratio` tokens per parameter."""
    return np.asarray(runs.tokens_per_parameter < ratio)


OUTLIER_RULES: dict[str, tuple[str, Callable[[TrainingRuns, float], BoolArray]]] = {
    "highest-loss": ("runs at or above the {0:g}-th highest loss (Besiroglu et al. 2024: 5)", _highest_loss),
    "tokens-per-parameter": ("runs with fewer than {0:g} tokens per parameter", _few_tokens),
}
"""Name to (meaning, rule); written ``name:number``. ``none`` drops nothing."""


def drop_outliers(runs: TrainingRuns, rule: str = "none") -> tuple[TrainingRuns, DroppedRuns]:
    """The runs that `rule` keeps, and what it dropped.

    Parameters
    ----------
    runs
        All of them.
    rule
        ``none``, ``highest-loss:COUNT`` or ``tokens-per-parameter:RATIO``.

    Raises
    ------
    ConfigError
        If the rule is not known or has no number.
    DataError
        If no run is left.
    """
    if rule == "none":
        return runs, DroppedRuns(rule, (), "no run is left out")
    name, _, text = rule.partition(":")
    try:
        meaning, drops = OUTLIER_RULES[name]
        number = float(text)
    except (KeyError, ValueError):
        allowed = ", ".join(["none", *(f"{known}:NUMBER" for known in OUTLIER_RULES)])
        raise ConfigError("no such outlier rule", given=repr(rule), todo=f"one of {allowed}") from None
    is_out = drops(runs, number)
    if is_out.all():
        raise DataError("the outlier rule leaves no run", given=f"{rule} of {len(runs)} runs")
    rows = tuple(int(row) for row in np.flatnonzero(is_out))
    return runs.take(~is_out), DroppedRuns(rule, rows, meaning.format(number))
