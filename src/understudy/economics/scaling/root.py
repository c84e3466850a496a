"""Where a rising function crosses zero, by bisection: slow, and never wrong about the bracket it was given."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["rising_root"]


def rising_root(rising: Callable[[float], float], low: float, high: float, *, n_steps: int = 200) -> float:
    """Where `rising` crosses zero between `low` (below or at it) and `high`.

    Parameters
    ----------
    n_steps
        At most; each halves the bracket, and it ends early where no number lies between its ends.
    """
    for _ in range(n_steps):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return high
