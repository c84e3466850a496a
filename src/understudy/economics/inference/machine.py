"""The arithmetic and bandwidth of the machine that it runs on, timed with numpy: a matrix product, and a vector
times many matrices that together exceed the caches, as a pass reads a model.

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
        Size of the matrices that a vector is multiplied with, 4 MB each; well above the processor's caches.
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
    n_matrices = max(1, megabytes // 4)
    matrices = [np.ones((1024, 1024), dtype=np.float32) for _ in range(n_matrices)]
    vector = np.ones(1024, dtype=np.float32)

    def sweep() -> None:
        for matrix in matrices:
            np.dot(matrix, vector)

    byte_rate = n_matrices * matrices[0].nbytes / _best(sweep, n_repeats)
    words = f"{platform.machine()} {platform.system()}, numpy {np.__version__}"
    how = f"best of {n_repeats}: {size} x {size} product; vector times {n_matrices} matrices of 4 MB; what an engine takes besides is not measured"
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
