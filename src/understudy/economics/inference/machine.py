"""The arithmetic and bandwidth of the machine that it runs on, timed with numpy: a matrix product, and a matrix times a vector.

The best of several repeats, so that other work on the machine disturbs little. It times numpy's library, with
as many threads as that takes; an engine with better kernels is faster, and one with slow layers slower.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable

import numpy as np

from understudy.economics.inference.calibration import Calibration
from understudy.economics.inference.rates import Span
from understudy.errors import ConfigError

__all__ = ["measure_machine"]

_ZERO = Span.exact(0.0)
_DOUBT = 0.2
"""Products of one size stand for all of a model's; sizes differ by about this much."""


def measure_machine(*, size: int = 1536, megabytes: int = 256, n_repeats: int = 5) -> Calibration:
    """Time this machine in fp32; about two seconds.

    Parameters
    ----------
    size
        Side of the matrices that are multiplied.
    megabytes
        Size of the matrix that a vector is multiplied with; well above the processor's caches.
    n_repeats
        The best of so many is taken.

    Raises
    ------
    ConfigError
        If a size or the number of repeats is below 1.
    """
    for name, value in (("size", size), ("megabytes", megabytes), ("n_repeats", n_repeats)):
        if value < 1:
            raise ConfigError(f"{name} must be 1 or more", given=str(value))
    rng = np.random.default_rng(0)
    left = rng.random((size, size), dtype=np.float32)
    right = rng.random((size, size), dtype=np.float32)
    flop_rate = 2.0 * size**3 / _best(lambda: left @ right, n_repeats)
    n_columns = 4096
    n_rows = max(1, megabytes * 1_000_000 // (4 * n_columns))
    matrix = np.ones((n_rows, n_columns), dtype=np.float32)
    vector = np.ones(n_columns, dtype=np.float32)
    byte_rate = matrix.nbytes / _best(lambda: matrix @ vector, n_repeats)
    words = f"{platform.machine()} {platform.system()}, numpy {np.__version__}"
    how = f"best of {n_repeats}: {size} x {size} product; {megabytes} MB matrix times vector; what an engine takes besides is not measured"
    return Calibration(words, "fp32", _around(flop_rate), _around(byte_rate), _ZERO, _ZERO, how)


def _around(rate: float) -> Span:
    return Span(rate * (1 - _DOUBT), rate, rate * (1 + _DOUBT))


def _best(work: Callable[[], object], n_repeats: int) -> float:
    work()
    times = []
    for _ in range(n_repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)
