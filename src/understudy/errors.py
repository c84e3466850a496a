"""One tree of errors. Each message says what happened, what was given and what to do.

Every class carries the exit code of the command line, so that a script can tell a user's mistake (2)
from data that cannot be used (3), from a job that was done and found that nothing can be certified (4).
Bugs are not in this tree: invariants assert.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "ArtefactError",
    "ConfigError",
    "DataError",
    "MissingDependencyError",
    "NothingCertifiedError",
    "UnderstudyError",
]


class UnderstudyError(Exception):
    """Base of all errors that a user can cause or cure.

    Parameters
    ----------
    what
        What happened, in one sentence.
    given
        What was given, if that helps to see it.
    todo
        What to do about it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, given: str | None = None, todo: str | None = None) -> None:
        self.what, self.given, self.todo = what, given, todo
        lines = [what]
        if given:
            lines.append(f"  given: {given}")
        if todo:
            lines.append(f"  to do: {todo}")
        super().__init__("\n".join(lines))


class ConfigError(UnderstudyError):
    """An option, a task file or a name is wrong."""

    exit_code = 2


class DataError(UnderstudyError):
    """The calls or inputs cannot be read or cannot be learnt from."""

    exit_code = 3


class NothingCertifiedError(UnderstudyError):
    """The useful no: everything ran, and no student meets the target."""

    exit_code = 4


class ArtefactError(UnderstudyError):
    """An artefact is damaged, incomplete, changed or of a newer format."""

    exit_code = 5


class MissingDependencyError(UnderstudyError):
    """An optional dependency is not installed."""

    exit_code = 6

    @classmethod
    def of(cls, package: str, extra: str) -> MissingDependencyError:
        """Name the exact command that installs what is missing."""
        return cls(
            f"this needs the package {package!r}, which is not installed",
            todo=f"pip install 'understudy[{extra}]'",
        )
