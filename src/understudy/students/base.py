"""The contract of a student: a small model that learns some fields of a task and can be exported.

A student follows scikit-learn's manners: ``__init__`` only stores settings, ``fit`` learns, what was learnt ends
in ``_``. ``export`` writes a runtime component (see ``understudy.runtime.component``); what is selected, certified
and shipped is always that export, never the float model. Rungs register under the entry-point group
``understudy.students``; `check_student` (module ``check``) is the test that each must pass.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from understudy.calls.call import InputParts
from understudy.runtime.prediction import FieldPrediction
from understudy.students.targets import Targets
from understudy.task.problem import ProblemMode

__all__ = ["LearnsRationales", "Student"]


@runtime_checkable
class LearnsRationales(Protocol):
    """A student whose ``fit`` takes the teacher's reasons as an auxiliary target."""

    learns_rationales: ClassVar[bool]

    def fit(
        self,
        inputs: Sequence[str | InputParts],
        targets: Sequence[Targets] | Sequence[Any],
        *,
        sample_weight: npt.NDArray[np.float64] | None = None,
        rationales: Sequence[str | None] | None = None,
    ) -> Any:
        """As :meth:`Student.fit`, with one reason (or ``None``) per row."""
        ...


class Student(ABC):
    """Base of all rungs.

    Class attributes
    ----------------
    rung
        The name in the ladder (``linear``, ``frozen`` ...).
    modes
        The problem modes it can learn.
    can_refit
        Whether fitting is cheap enough to be done twice: the ladder judges it on ``select`` after fitting on
        ``train``, then fits the one that ships on both.
    is_slow
        Whether an answer takes so long (a text is written) that fewer rows are answered where fewer will do: for
        timing, and for comparing the export with the float model.
    made_from
        The rung that this one is another form of, or ``None``. The ladder fits that one first, and gives its folder
        (``component``, and what its :meth:`save_state` kept) as the setting ``source``; where it was not fitted,
        this one is skipped.
    """

    rung: ClassVar[str]
    modes: ClassVar[frozenset[ProblemMode]]
    can_refit: ClassVar[bool] = False
    is_slow: ClassVar[bool] = False
    made_from: ClassVar[str | None] = None

    problems_: tuple[Any, ...]

    @abstractmethod
    def fit(
        self,
        inputs: Sequence[str | InputParts],
        targets: Sequence[Targets] | Sequence[Any],
        *,
        sample_weight: npt.NDArray[np.float64] | None = None,
    ) -> Self:
        """Learn from `n` inputs and one :class:`Targets` per field (or a plain list of `n` labels)."""

    @abstractmethod
    def predict_fields(self, inputs: Sequence[str | InputParts]) -> list[FieldPrediction]:
        """The float model's predictions, one per problem in ``problems_``."""

    def predict_float(self, inputs: Sequence[str | InputParts]) -> list[FieldPrediction]:
        """Predictions with nothing compressed; :meth:`predict_fields` unless a student says otherwise."""
        return self.predict_fields(inputs)

    @abstractmethod
    def export(self, folder: Path) -> None:
        """Write the compressed runtime component into the empty `folder`."""

    def settle(  # noqa: B027  (a default that does nothing is meant)
        self, folder: Path, inputs: Sequence[str | InputParts], targets: Sequence[Targets]
    ) -> None:
        """Settle what is best chosen on rows that were not learnt from; nothing by default.

        The ladder calls it once, after :meth:`export` and before the export is judged, for students that are not
        fitted again.

        Parameters
        ----------
        folder
            What :meth:`export` wrote; may be changed.
        inputs, targets
            The `select` rows, with one :class:`Targets` per field that this student answers.
        """

    def save_state(self, folder: Path) -> None:  # noqa: B027  (a default that does nothing is meant)
        """Keep in `folder` what a later rung needs of this one; nothing by default."""

    def predict(self, inputs: Sequence[str | InputParts]) -> list[Any]:
        """Values of the first field: scikit-learn's ``predict``."""
        return self.predict_fields(inputs)[0].values

    def predict_proba(self, inputs: Sequence[str | InputParts]) -> npt.NDArray[np.float64]:
        """Probabilities of the first field's classes, shape (n, k)."""
        scores = self.predict_fields(inputs)[0].scores
        if scores is None:
            raise AttributeError(f"{type(self).__name__} has class probabilities for classify problems only")
        return scores

    @property
    def classes_(self) -> list[Any]:
        """Classes of the first field, in the order of :meth:`predict_proba`'s columns."""
        return list(self.problems_[0].values)

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002  (scikit-learn's signature)
        """The settings that ``__init__`` stored."""
        names = [name for name in inspect.signature(type(self).__init__).parameters if name != "self"]
        return {name: getattr(self, name) for name in names}

    def set_params(self, **params: Any) -> Self:
        """Change settings."""
        for name, value in params.items():
            if name not in self.get_params():
                raise ValueError(f"{type(self).__name__} has no setting {name!r}")
            setattr(self, name, value)
        return self
