from __future__ import annotations

from pathlib import Path

import pytest

from understudy.errors import ConfigError
from understudy.runtime.component import load_component
from understudy.students.check import toy_task
from understudy.students.distilled import DistilledStudent
from understudy.students.tuned import TunedStudent

MODES = frozenset({"classify", "multilabel", "point", "regress"})


@pytest.fixture(scope="module")
def tuned(tiny_base: Path) -> TunedStudent:
    inputs, targets = toy_task(MODES)
    return TunedStudent(str(tiny_base), epochs=12, encoder_rate=2e-3, head_rate=1e-2).fit(inputs, targets)


def test_fewer_layers_say_nearly_the_same(tuned: TunedStudent, tmp_path: Path) -> None:
    inputs, targets = toy_task(MODES)
    student = DistilledStudent(tuned, layers=1, epochs=12, encoder_rate=2e-3, head_rate=1e-2)
    student.fit(inputs, targets)
    whole, short = tuned.predict_fields(inputs)[0], student.predict_fields(inputs)[0]
    assert sum(one == two for one, two in zip(whole.values, short.values, strict=True)) > 0.9 * len(inputs)
    (tmp_path / "long").mkdir()
    (tmp_path / "short").mkdir()
    tuned.export(tmp_path / "long")
    student.export(tmp_path / "short")
    size = {name: (tmp_path / name / "model.onnx").stat().st_size for name in ("long", "short")}
    assert size["short"] < size["long"]
    served = load_component(tmp_path / "short").predict(inputs)[0]
    assert sum(one == two for one, two in zip(served.values, short.values, strict=True)) > 0.95 * len(inputs)
    assert len(tuned.fitted_.network.encoder.encoder.layer) == 2  # the teacher is left whole


def test_it_trains_its_teacher_where_there_is_none(tiny_base: Path) -> None:
    inputs, targets = toy_task(frozenset({"classify"}), count=40)
    student = DistilledStudent(TunedStudent(str(tiny_base), epochs=1), layers=1, epochs=1)
    assert len(student.fit(inputs, targets).predict(inputs)) == 40


def test_another_task_or_more_layers_are_refused(tuned: TunedStudent) -> None:
    inputs, targets = toy_task(frozenset({"classify"}), count=40)
    with pytest.raises(ConfigError, match="other fields"):
        DistilledStudent(tuned, layers=1).fit(inputs, targets)
    inputs, targets = toy_task(MODES, count=40)
    with pytest.raises(ConfigError, match="shortened"):
        DistilledStudent(tuned, layers=3).fit(inputs, targets)
