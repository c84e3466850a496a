"""A record that broke off is deferred even where the certificate covers every call."""

from pathlib import Path

from runtime.tiny_writer import write_tiny_writer
from scripted_writer import write_text_artefact
from understudy.runtime.answer import load
from understudy.task.problem import Problem


def test_a_record_that_broke_off_is_deferred_at_threshold_0(tmp_path: Path) -> None:
    def write_component(folder: Path, problem: Problem) -> None:
        write_tiny_writer(folder, [problem], format={"is_plain": False}, max_new_tokens=3)

    model = load(write_text_artefact(tmp_path / "record", write_component, threshold=0.0))
    answer = model.answer("where is my parcel")
    assert not answer.is_answered
    assert answer.confidence == 0
    assert answer.reason == "what it wrote could not be read"
