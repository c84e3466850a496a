"""Weights of a GGUF file in fewer bits, by llama.cpp itself: rounded to the nearest, without calibration."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Final

from understudy.errors import ConfigError
from understudy.runtime.llama_library import last_complaint, llama_library

__all__ = ["LLAMA_FORMATS", "quantise"]

LLAMA_FORMATS: Final = (
    "q2_k",
    "q3_k_s",
    "q3_k_m",
    "q3_k_l",
    "q4_0",
    "q4_1",
    "q4_k_s",
    "q4_k_m",
    "q5_0",
    "q5_1",
    "q5_k_s",
    "q5_k_m",
    "q6_k",
)
"""Formats that llama.cpp makes without calibration data."""


def quantise(source: Path, target: Path, quantisation: str, *, threads: int = 1) -> None:
    """Write the model in `source`, of float32 or halves, to `target`.

    Parameters
    ----------
    source, target
        GGUF files.
    quantisation
        One of ``LLAMA_FORMATS``. Those ending in ``_m`` and ``_l`` keep more bits where an error weighs more.
    threads
        At once; the file does not depend on it.

    Raises
    ------
    ConfigError
        If llama.cpp refuses.
    MissingDependencyError
        Without ``llama-cpp-python``.
    """
    assert quantisation in LLAMA_FORMATS, quantisation
    library = llama_library()
    settings = library.llama_model_quantize_default_params()
    settings.nthread = threads
    settings.ftype = getattr(library, f"LLAMA_FTYPE_MOSTLY_{quantisation.upper()}")
    code = library.llama_model_quantize(bytes(source), bytes(target), ctypes.byref(settings))
    if code != 0:
        target.unlink(missing_ok=True)
        raise ConfigError(f"llama.cpp cannot write {quantisation}", given=last_complaint() or f"code {code}")
