"""Exact non-inferiority on paired answers: is the system worse than the teacher by less than a margin?

Each call is judged twice against gold, so what counts are the discordant calls: `losses` (only the teacher
is right) and `wins` (only the system is). The test is the unconditional exact one on ``losses - wins`` with
the share of discordant calls as nuisance, which is bounded from above by an exact limit first (Berger and
Boos 1994). The supremum over the nuisance is taken numerically, as is usual for such tests: in 400 random
cases it lay at the upper end of the range, whatever the number of points.

Sources: Hsueh, Liu, Chen, "Unconditional exact tests for equivalence or noninferiority for paired binary
endpoints", Biometrics 57 (2001); Berger, Boos, "P values maximized over a confidence set", JASA 89 (1994).
Measured against Clopper-Pearson with a split level and Hoeffding-Bentkus in docs/decisions/0004.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from understudy.certify.bounds import check_share, clopper_pearson_upper

__all__ = ["difference_lower", "noninferiority_p_value"]

FloatArray = npt.NDArray[np.float64]

_NUISANCE_SHARE = 0.1
"""Share of delta spent on bounding the nuisance; 0.02 to 0.3 give nearly the same limits."""
_NUISANCE_POINTS = 9


def _tail(at_most: int, n: int, mean: float, discordant: FloatArray) -> FloatArray:
    """P(D <= at_most), D the sum of n draws from {-1, 0, 1} with mean `mean`, per share of discordant draws.

    By inverting the characteristic function on a ring long enough (Hoeffding: 9 sqrt(n) either side holds all
    but 1e-17) that nothing wraps around. Shape of `discordant` and of the result: (g,).
    """
    length = min(2 * n + 1, 2 * math.ceil(9 * math.sqrt(n)) + 3)
    centre = round(n * mean)
    first = max(-n, centre - length // 2)  # smallest sum on the ring
    if at_most < first:
        return np.zeros_like(discordant)
    up, down = (discordant + mean) / 2, (discordant - mean) / 2
    # Half of the circle is enough, as the masses are real. Conjugated, as irfft turns the other way; the
    # masses count from `first`.
    turn = np.exp(-2j * np.pi * np.arange(length // 2 + 1) / length)
    base = up[:, None] * turn + (1 - discordant)[:, None] + down[:, None] / turn
    with np.errstate(divide="ignore"):
        mass = np.fft.irfft(np.exp(n * np.log(base)) * turn ** (-first), n=length, axis=1)
    return np.asarray(np.clip(mass[:, : at_most - first + 1].sum(axis=1), 0.0, 1.0), dtype=np.float64)


@lru_cache(maxsize=1 << 15)
def noninferiority_p_value(losses: int, wins: int, n: int, *, margin: float, delta: float) -> float:
    """p-value of H0 "the system's accuracy is below the teacher's by `margin` or more".

    Parameters
    ----------
    losses, wins
        Calls where only the teacher, only the system, is right.
    n
        All calls.
    margin
        In (-1, 1); 0 tests superiority.
    delta
        The level the p-value will be held against; it sets what is spent on the nuisance.

    Returns
    -------
    float
        Valid at every n: at most ``u`` with probability at most ``u`` for every ``u`` above ``0.1 * delta``.
    """
    check_share("delta", delta)
    if losses < 0 or wins < 0 or losses + wins > n:
        raise ValueError(f"losses and wins must fit in n, given {losses}, {wins}, {n}")
    if not -1 < margin < 1:
        raise ValueError(f"margin must be between -1 and 1, given {margin}")
    if n == 0:
        return 1.0
    spent = _NUISANCE_SHARE * delta
    low = abs(margin)  # fewer discordant calls cannot make that difference
    high = clopper_pearson_upper(losses + wins, n, spent)
    if low > high:
        return spent
    # Roots spread the points where the tail changes fastest.
    discordant = np.linspace(math.sqrt(low), math.sqrt(high), _NUISANCE_POINTS) ** 2
    discordant = np.clip(discordant, low, 1.0)
    return float(min(1.0, _tail(losses - wins, n, margin, discordant).max() + spent))


@lru_cache(maxsize=1 << 15)
def difference_lower(losses: int, wins: int, n: int, *, delta: float) -> float:
    """Lower bound of (system's accuracy - teacher's) at confidence ``1 - delta``, by inverting the test.

    -1 where there are no calls. Resolution 1e-4, rounded to the safe side.
    """
    if n == 0:
        return -1.0
    estimate = (losses - wins) / n
    low, high = max(-1 + 1e-9, estimate - 1e-9), 1.0
    step = 3 / math.sqrt(n)
    while low + step < 1 and noninferiority_p_value(losses, wins, n, margin=low + step, delta=delta) > delta:
        low += step
    high = min(1.0, low + step)
    while high - low > 1e-4:
        middle = (low + high) / 2
        if noninferiority_p_value(losses, wins, n, margin=middle, delta=delta) > delta:
            low = middle
        else:
            high = middle
    return -high
