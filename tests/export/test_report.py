from __future__ import annotations

from pathlib import Path

from understudy.export.report import report_export
from understudy.students.check import toy_task
from understudy.students.frozen import FrozenStudent


def test_an_export_is_compared_with_its_float_model(tiny_base: Path, tmp_path: Path) -> None:
    inputs, targets = toy_task(frozenset({"classify", "regress"}), count=60)
    student = FrozenStudent(str(tiny_base)).fit(inputs, targets)
    student.export(tmp_path)
    report = report_export(tmp_path, student.predict_fields(inputs), inputs)
    assert report.sample_size == 60
    assert report.agreement == 1.0
    assert set(report.agreement_per_field) == {"place", "amount"}
    assert report.size_bytes == sum(file.stat().st_size for file in tmp_path.iterdir())
    assert report.ms_per_answer is not None
    of_float = report_export(tmp_path, student.predict_float(inputs), inputs)
    assert of_float.agreement is not None
    assert of_float.agreement > 0.9
    nothing = report_export(tmp_path, [], [])
    assert nothing.agreement is None
    assert nothing.to_dict()["sample_size"] == 0
