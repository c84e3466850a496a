"""llama.cpp, loaded when it is first needed, and silent: its log goes nowhere but into our errors."""

from __future__ import annotations

import ctypes
import threading
from collections import deque
from functools import cache
from typing import Any

from understudy.errors import MissingDependencyError

__all__ = ["last_complaint", "llama_library"]

_ERROR = 3  # ggml_log_level
_complaints: deque[str] = deque(maxlen=8)
_loading = threading.Lock()


def llama_library() -> Any:
    """The low-level bindings, ``llama_cpp.llama_cpp``.

    Raises
    ------
    MissingDependencyError
        If they are not installed.
    """
    with _loading:
        return _load()


def last_complaint() -> str | None:
    """The newest errors that llama.cpp logged, in one line; ``None`` if there is none. Forgets them."""
    said = "; ".join(_complaints)
    _complaints.clear()
    return said or None


@cache
def _load() -> Any:
    try:
        from llama_cpp import llama_cpp
    except (ImportError, OSError, RuntimeError) as error:  # the last two: a library that does not load
        raise MissingDependencyError.of("llama-cpp-python", "gguf") from error
    llama_cpp.llama_log_set(_keep_complaint(llama_cpp), ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    return llama_cpp


@cache
def _keep_complaint(llama_cpp: Any) -> Any:
    """The callback; cached because the library keeps only its address."""

    @llama_cpp.llama_log_callback  # type: ignore[untyped-decorator, unused-ignore]
    def keep(level: int, text: bytes, _: object) -> None:
        if level == _ERROR:
            _complaints.append(text.decode("utf-8", "replace").strip())

    return keep
