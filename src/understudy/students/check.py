"""The contract test that every rung must pass, ours or a plug-in's: ``check_student(MyStudent())``.

Raises ``AssertionError`` with a sentence on the first promise that is broken. Needs no network and a few seconds
for a cheap rung.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from understudy.calls.call import UNKNOWN, InputParts
from understudy.errors import DataError
from understudy.runtime.component import Component, load_component
from understudy.runtime.prediction import FieldPrediction
from understudy.students.base import Student
from understudy.students.targets import Targets
from understudy.task.field import Field
from understudy.task.problem import MODES, Problem

__all__ = ["check_student", "toy_task"]

_HARD_TEXTS = ("", " ", "never seen words qzxv", "🙂🙂", "مرحبا بالعالم", "包裹在哪里", "a\x00b", "x" * 5000)


def toy_task(
    modes: frozenset[str], count: int = 160, seed: int = 0
) -> tuple[list[InputParts], list[Targets]]:
    """Small made-up messages with one field per mode in `modes`; some rows teach nothing for some fields."""
    rng = np.random.default_rng(seed)
    places, things = ["north", "south", "east"], ["parcel", "refund", "invoice"]
    inputs: list[InputParts] = []
    place, topics, code, amount, note = [], [], [], [], []
    for _ in range(count):
        where, what = places[rng.integers(3)], things[rng.integers(3)]
        number = int(rng.integers(100, 999))
        has_code = rng.random() < 0.7
        inputs.append(
            (
                f"the {what} from the {where} office {f'order AB{number}' if has_code else 'please'} {'now' * int(rng.integers(2))}",
            )
        )
        place.append(where)
        topics.append([what] if what != "invoice" else ["invoice", "parcel"])
        code.append(f"AB{number}" if has_code else None)
        amount.append(float(places.index(where)) + 1.0)
        note.append(f"{where} office, {what}: {'known' if has_code else 'no'} order")
    fields: dict[str, tuple[Problem, list[Any]]] = {
        "classify": (Problem(Field("place", "choice", tuple(places)), "classify", tuple(places)), place),
        "multilabel": (
            Problem(Field("topics", "choices", tuple(things)), "multilabel", tuple(things)),
            topics,
        ),
        "point": (Problem(Field("code", "span", nullable=True), "point", (None,)), code),
        "regress": (Problem(Field("amount", "number", tolerance=0.5), "regress"), amount),
        "write": (Problem(Field("note", "text"), "write"), note),
    }
    targets = []
    for mode in MODES:
        if mode in modes:
            problem, values = fields[mode]
            kept = [UNKNOWN if at % 17 == 3 else value for at, value in enumerate(values)]
            targets.append(Targets(problem, kept))
    return inputs, targets


def check_student(student: Student) -> None:
    """Check the whole contract.

    Parameters
    ----------
    student
        An unfitted student with the settings to be checked.

    Raises
    ------
    AssertionError
        With the first promise that is broken.
    """
    _check_settings(student)
    inputs, targets = toy_task(student.modes)
    fitted = student.fit(inputs, targets)
    assert fitted is student, "fit must return the student itself"
    assert [p.field.name for p in student.problems_] == [t.problem.field.name for t in targets], (
        "problems_ must list the problems in the order of the targets"
    )
    own = student.predict_fields(inputs)
    _check_predictions(own, student.problems_, len(inputs))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "one"
        folder.mkdir()
        student.export(folder)
        _check_export(folder, Path(scratch) / "copy", student, inputs, own)
    _check_repeatable(student, inputs, targets)
    _check_refuses_nothing_known(student, inputs, targets)


def _fresh(student: Student) -> Student:
    return type(student)(**student.get_params())


def _check_settings(student: Student) -> None:
    assert student.rung and isinstance(student.rung, str), "rung must name the rung"
    assert student.modes and student.modes <= set(MODES), f"modes must be some of {MODES}"
    before = student.get_params()
    again = type(student)(**before)
    assert again.get_params() == before, "__init__ must store its arguments unchanged"
    learnt = [name for name in vars(student) if name.endswith("_") and not name.startswith("_")]
    assert not learnt, f"an unfitted student must have no learnt attributes, found {learnt}"


def _check_predictions(found: Sequence[FieldPrediction], problems: Sequence[Problem], count: int) -> None:
    assert len(found) == len(problems), "there must be one prediction per problem"
    for problem, prediction in zip(problems, found, strict=True):
        name = problem.field.name
        assert len(prediction.values) == count, f"{name}: one value per input"
        assert prediction.confidence.shape == (count,), f"{name}: one confidence per input"
        assert np.isfinite(prediction.confidence).all(), f"{name}: confidences must be finite"
        assert ((prediction.confidence >= 0) & (prediction.confidence <= 1 + 1e-9)).all(), (
            f"{name}: within [0, 1]"
        )
        if problem.mode == "classify":
            assert prediction.scores is not None, f"{name}: classify needs scores"
            assert prediction.scores.shape == (count, len(problem.values)), (
                f"{name}: one score column per class"
            )
            assert np.allclose(prediction.scores.sum(axis=1), 1), f"{name}: scores must sum to 1"


def _check_export(
    folder: Path, copy: Path, student: Student, inputs: Sequence[InputParts], own: Sequence[FieldPrediction]
) -> None:
    suffixes = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert not suffixes & {".pkl", ".pickle", ".joblib", ".pt", ".pth"}, (
        f"no pickles in an export, found {suffixes}"
    )
    component = load_component(folder)
    whole = component.predict(inputs)
    _check_predictions(whole, component.problems, len(inputs))
    for exact, small in zip(own, whole, strict=True):
        same = np.mean([left == right for left, right in zip(exact.values, small.values, strict=True)])
        close = np.mean(
            [
                left == right
                or (isinstance(left, float) and isinstance(right, float) and abs(left - right) < 0.1)
                for left, right in zip(exact.values, small.values, strict=True)
            ]
        )
        assert close >= 0.9, f"the export answers {same:.0%} like the float model"
    shutil.copytree(folder, copy)
    hard = [(text,) for text in _HARD_TEXTS]
    _check_predictions(component.predict(hard), component.problems, len(hard))
    mixed = [*inputs[:60], *hard]
    reference = component.predict(mixed)
    for size in (1, 7, 64):
        _check_same_bits(reference, _in_batches(component, mixed, size), f"at batch size {size}")
    _check_same_bits(reference, load_component(copy).predict(mixed), "after a copy to another folder")
    assert student.problems_, "problems_ must survive an export"


def _in_batches(component: Component, inputs: Sequence[InputParts], size: int) -> list[FieldPrediction]:
    pieces = [component.predict(inputs[at : at + size]) for at in range(0, len(inputs), size)]
    out = []
    for field in range(len(pieces[0])):
        scores = [piece[field].scores for piece in pieces]
        out.append(
            FieldPrediction(
                [value for piece in pieces for value in piece[field].values],
                np.concatenate([piece[field].confidence for piece in pieces]),
                None if scores[0] is None else np.concatenate([np.asarray(part) for part in scores]),
            )
        )
    return out


def _check_same_bits(left: Sequence[FieldPrediction], right: Sequence[FieldPrediction], when: str) -> None:
    for one, two in zip(left, right, strict=True):
        assert one.values == two.values, f"values differ {when}"
        assert one.confidence.tobytes() == two.confidence.tobytes(), f"confidences differ {when}"
        if one.scores is not None and two.scores is not None:
            assert one.scores.tobytes() == two.scores.tobytes(), f"scores differ {when}"


def _check_repeatable(student: Student, inputs: Sequence[InputParts], targets: Sequence[Targets]) -> None:
    first = student.predict_fields(inputs)
    second = _fresh(student).fit(inputs, targets).predict_fields(inputs)
    for one, two in zip(first, second, strict=True):
        assert one.values == two.values, "fitting twice with one seed must give one model"


def _check_refuses_nothing_known(
    student: Student, inputs: Sequence[InputParts], targets: Sequence[Targets]
) -> None:
    empty = [Targets(target.problem, [UNKNOWN] * len(inputs)) for target in targets]
    try:
        _fresh(student).fit(inputs, empty)
    except DataError:
        return
    raise AssertionError("fit must raise DataError when no value is known")
