"""The fitted writer in other forms: made of what it kept, smaller, and loaded by the runtime that serves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from understudy.calls.call import InputParts
from understudy.errors import ConfigError
from understudy.lm.answers import TokenBudget, text_rows, token_rows
from understudy.lm.config import DecoderConfig
from understudy.lm.decoder import build_decoder
from understudy.lm.fitted_writer import FittedWriter
from understudy.lm.rows import RowBatches
from understudy.lm.schedule import Schedule
from understudy.lm.settings import TrainSettings
from understudy.lm.tokeniser import end_id, train_tokeniser
from understudy.lm.train import train
from understudy.runtime.component import load_component
from understudy.runtime.writing import WriteFormat
from understudy.students.targets import Targets
from understudy.students.writer import WriterStudent
from understudy.students.writer_compressed import (
    CompressedWriter,
    WriterGgufStudent,
    WriterInt4Student,
    WriterPrunedStudent,
)
from understudy.task.field import Field
from understudy.task.problem import Problem

NAMES = ("ann", "bob", "cid", "dora", "eve")
INPUTS: list[InputParts] = [(f"from {one} to {two}",) for one in NAMES for two in NAMES]
ANSWERS = [f"{two} hears from {one}" for one in NAMES for two in NAMES]
TARGETS = [Targets(Problem(Field("reply", "text"), "write"), ANSWERS)]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the rung `writer` keeps, of a decoder so small that it is learnt in a moment."""
    folder = tmp_path_factory.mktemp("writer-rung")
    words = [text for parts, answer in zip(INPUTS, ANSWERS, strict=True) for text in (*parts, answer)]
    tokeniser, form = train_tokeniser(words, vocab_size=290), WriteFormat()
    end = end_id(tokeniser)
    texts = text_rows(INPUTS, TARGETS, form)
    rows = token_rows(texts, tokeniser, form, TokenBudget(32, 16, 0, 0, 0), end)
    shape = DecoderConfig(tokeniser.get_vocab_size(), 64, 4, 2, 2, 128, 64)
    model = build_decoder(shape, seed=0, end_token=end)
    settings = TrainSettings(
        Schedule(150, warm_up_steps=10, floor=0.0),
        learning_rate=5e-3,
        batch_sequences=4,
        sequence_tokens=64,
        precision="float32",
    )
    train(model, RowBatches(rows, sequence_tokens=64, pad_id=end), settings, folder / "run")
    problems = (TARGETS[0].problem,)
    fitted = FittedWriter(model, tokeniser, (end,), form, problems, 32, 16, 0, None, {})
    student = WriterStudent()
    student.fitted_ = fitted
    (folder / "component").mkdir()
    student.export(folder / "component")
    student.save_state(folder)
    return folder


def bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def exported(student: CompressedWriter, folder: Path) -> list[str]:
    student.fit(INPUTS, TARGETS)
    folder.mkdir()
    student.export(folder)
    student.settle(folder, INPUTS, TARGETS)
    spec = json.loads((folder / "component.json").read_text(encoding="utf-8"))
    assert spec["confidence"]["kind"] in ("mean_logprob", "margin", "samples")
    component = load_component(folder)
    (found,) = component.predict(INPUTS)
    assert component.problems == student.problems_ == (TARGETS[0].problem,)
    return [str(value) for value in found.values]


def right(answers: list[str]) -> float:
    return sum(one == two for one, two in zip(answers, ANSWERS, strict=True)) / len(ANSWERS)


def test_four_bits_are_smaller_and_still_answer(source: Path, tmp_path: Path) -> None:
    student = WriterInt4Student(source)
    answers = exported(student, tmp_path / "component")
    whole = load_component(source / "component").predict(INPUTS)[0].values
    assert right([str(value) for value in whole]) > 0.9
    assert right(answers) > 0.5
    assert bytes_in(tmp_path / "component") < 0.8 * bytes_in(source / "component")
    assert right([str(value) for value in student.predict_fields(INPUTS)[0].values]) > 0.9


def test_pruning_takes_parts_away_and_training_brings_answers_back(source: Path, tmp_path: Path) -> None:
    losses: list[float] = []
    student = WriterPrunedStudent(
        source,
        steps=60,
        checkpoint=tmp_path / "checkpoint",
        on_progress=lambda _step, _steps, loss: losses.append(loss),
    )
    answers = exported(student, tmp_path / "component")
    assert len(losses) == 60
    assert student.fitted_.model.config.num_hidden_layers == 3
    assert student.record_["parameters"] < 0.8 * student.record_["parameters_before"]
    assert right(answers) > 0.5
    assert bytes_in(tmp_path / "component") < bytes_in(source / "component")
    assert not (tmp_path / "checkpoint").exists()


def test_a_gguf_file_answers_too(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp", reason="needs llama-cpp-python")
    answers = exported(WriterGgufStudent(source, quantisation="q8_0"), tmp_path / "component")
    assert (tmp_path / "component" / "model.gguf").is_file()
    assert right(answers) > 0.9


@pytest.mark.parametrize("kind", [WriterInt4Student, WriterPrunedStudent, WriterGgufStudent])
def test_without_a_fitted_writer_there_is_one_clear_error(
    kind: type[CompressedWriter], tmp_path: Path
) -> None:
    for student in (kind(), kind().set_params(source=tmp_path)):
        with pytest.raises(ConfigError, match=f"{kind.rung} is another form of a fitted writer"):
            student.fit(INPUTS, TARGETS)


def test_settings_are_stored_and_nothing_else() -> None:
    student = WriterPrunedStudent(layers=2, channels=64)
    assert student.get_params()["layers"] == 2
    assert CompressedWriter.made_from == "writer"
