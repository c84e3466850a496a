"""Understudy: from recorded calls of a large language model to the cheapest small model that is proven to do the job.

The public surface. Importing it is cheap; learning pulls in its heavy packages when it is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from understudy._version import __version__

if TYPE_CHECKING:
    from understudy.api import learn
    from understudy.calls.call import ABSENT, Call
    from understudy.errors import (
        ArtefactError,
        ConfigError,
        DataError,
        MissingDependencyError,
        NothingCertifiedError,
        UnderstudyError,
    )
    from understudy.ladder.result import LearnResult
    from understudy.runtime.answer import Answer, FieldAnswer, Understudy, load
    from understudy.task.field import Field
    from understudy.task.task import Task

__all__ = [
    "ABSENT",
    "Answer",
    "ArtefactError",
    "Call",
    "ConfigError",
    "DataError",
    "Field",
    "FieldAnswer",
    "LearnResult",
    "MissingDependencyError",
    "NothingCertifiedError",
    "Task",
    "Understudy",
    "UnderstudyError",
    "__version__",
    "learn",
    "load",
]

_HOMES = {
    "ABSENT": "understudy.calls.call",
    "Answer": "understudy.runtime.answer",
    "ArtefactError": "understudy.errors",
    "Call": "understudy.calls.call",
    "ConfigError": "understudy.errors",
    "DataError": "understudy.errors",
    "Field": "understudy.task.field",
    "FieldAnswer": "understudy.runtime.answer",
    "LearnResult": "understudy.ladder.result",
    "MissingDependencyError": "understudy.errors",
    "NothingCertifiedError": "understudy.errors",
    "Task": "understudy.task.task",
    "Understudy": "understudy.runtime.answer",
    "UnderstudyError": "understudy.errors",
    "learn": "understudy.api",
    "load": "understudy.runtime.answer",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'understudy' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
