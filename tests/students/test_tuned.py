from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from understudy.calls.call import ABSENT, UNKNOWN
from understudy.errors import DataError
from understudy.export.report import report_export
from understudy.students.check import check_student
from understudy.students.targets import Targets
from understudy.students.tuned import TunedStudent
from understudy.task.field import Field
from understudy.task.problem import Problem


def test_tuned_keeps_the_contract(tiny_base: Path) -> None:
    check_student(TunedStudent(str(tiny_base), epochs=3, encoder_rate=1e-3))


def codes(count: int) -> tuple[list[tuple[str, ...]], list[str | None]]:
    random = np.random.default_rng(0)
    inputs, values = [], []
    for _ in range(count):
        code = f"ab{random.integers(100, 999)}"
        has = random.random() < 0.6
        front = " ".join(random.choice(["the", "my", "late", "parcel", "dog"], 3))
        inputs.append((f"{front} order {code} please" if has else f"{front} please now",))
        values.append(code if has else None)
    return inputs, values


def test_a_pointer_learns_to_copy_and_to_say_null(tiny_base: Path, tmp_path: Path) -> None:
    inputs, values = codes(200)
    problem = Problem(Field("code", "span", nullable=True), "point", (None,))
    student = TunedStudent(str(tiny_base), epochs=10, encoder_rate=2e-3, head_rate=1e-2)
    student.fit(inputs[:150], [Targets(problem, values[:150])])
    student.export(tmp_path)
    found = student.predict(inputs[150:])
    assert sum(one == two for one, two in zip(found, values[150:], strict=True)) >= 45
    report = report_export(tmp_path, student.predict_fields(inputs[150:]), inputs[150:])
    assert report.agreement is not None
    assert report.agreement > 0.9


def test_pairs_and_many_fields_of_which_rows_know_some(tiny_base: Path) -> None:
    inputs = [("the red shirt", "size 12"), ("a dog", "size 7"), ("blue shoe", "none")] * 6
    targets = [
        Targets(Problem(Field("size", "number", nullable=True), "point", (None,)), [12, 7.0, None] * 6),
        Targets(
            Problem(Field("colour", "span", optional=True), "point", (ABSENT,)), ["red", ABSENT, UNKNOWN] * 6
        ),
        Targets(
            Problem(Field("kind", "choice", ("x", "y")), "classify", ("x", "y")), ["x", UNKNOWN, "y"] * 6
        ),
    ]
    student = TunedStudent(str(tiny_base), epochs=25, encoder_rate=2e-3, head_rate=1e-2, batch_size=6)
    size, colour, kind = student.fit(inputs, targets).predict_fields(inputs[:3])
    assert size.values == [12.0, 7.0, None]
    assert colour.values[:2] == ["red", ABSENT]
    assert (kind.values[0], kind.values[2]) == ("x", "y")


def test_soft_targets_teach(tiny_base: Path) -> None:
    problem = Problem(Field("queue", "choice", ("a", "b")), "classify", ("a", "b"))
    soft = np.array([[0.7, 0.3], [np.nan, np.nan]] * 10)
    student = TunedStudent(str(tiny_base), epochs=20, encoder_rate=1e-3, batch_size=4)
    student.fit(["red shirt", "blue dog"] * 10, [Targets(problem, ["a", "b"] * 10, soft)])
    assert student.predict_proba(["red shirt"])[0, 0] == pytest.approx(0.7, abs=0.12)
    assert student.predict_proba(["blue dog"])[0, 1] > 0.75


def test_nothing_known_is_refused(tiny_base: Path) -> None:
    problem = Problem(Field("code", "span"), "point")
    with pytest.raises(DataError, match="code"):
        TunedStudent(str(tiny_base)).fit(["red"], [Targets(problem, [UNKNOWN])])
    with pytest.raises(DataError, match="weight"):
        TunedStudent(str(tiny_base)).fit(["red", "dog"], ["a", "b"], sample_weight=np.zeros(2))
