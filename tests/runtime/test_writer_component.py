"""A writer answers by the contract of components, in plain text and in records, and streams what it predicts."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from runtime.tiny_writer import END, RECORD, TEXT, write_tiny_writer
from understudy.calls.call import ABSENT
from understudy.errors import ArtefactError
from understudy.runtime.component import load_component
from understudy.runtime.prediction import FieldPrediction
from understudy.runtime.writer import CONFIDENCES, WriterComponent

HARD = (
    "",
    " ",
    "🙂🙂",
    "مرحبا بالعالم",
    "包裹在哪里",
    "a\x00b",
    "x" * 5000,
    "half \ud83d of a pair",
    "<end><end>",
)
INPUTS = [(text,) for text in (*HARD, *(f"order {number} from the south" for number in range(14)))]


def loaded(folder: Path) -> WriterComponent:
    component = load_component(folder)
    assert isinstance(component, WriterComponent)
    return component


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_writer(
        tmp_path_factory.mktemp("plain"), [TEXT], max_new_tokens=40, end_ids=[END, 45, 99]
    )


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_writer(tmp_path_factory.mktemp("record"), RECORD, sharpness=4.0)


def same_bits(left: list[FieldPrediction], right: list[FieldPrediction]) -> bool:
    return all(
        one.values == two.values and one.confidence.tobytes() == two.confidence.tobytes()
        for one, two in zip(left, right, strict=True)
    )


def in_batches(component: WriterComponent, size: int) -> list[FieldPrediction]:
    pieces = [component.predict(INPUTS[at : at + size]) for at in range(0, len(INPUTS), size)]
    return [
        FieldPrediction(
            [value for piece in pieces for value in piece[at].values],
            np.concatenate([piece[at].confidence for piece in pieces]),
        )
        for at in range(len(component.problems))
    ]


@pytest.mark.parametrize("kind", ["plain", "record"])
def test_batches_change_no_bit(kind: str, request: pytest.FixtureRequest) -> None:
    component = loaded(request.getfixturevalue(kind))
    whole = component.predict(INPUTS)
    for size in (1, 7):
        assert same_bits(in_batches(component, size), whole)
    assert whole[0].confidence.max() > 0
    assert component.truncated_count == 3
    assert component.is_truncated(("x" * 5000,))
    assert not component.is_truncated(("x",))


def test_threads_share_a_writer(plain: Path) -> None:
    component = loaded(plain)
    wanted = loaded(plain).predict(INPUTS)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: component.predict(INPUTS), range(4)):
            assert same_bits(found, wanted)


def test_records_are_typed(record: Path) -> None:
    component = loaded(record)
    answers = component.predict(INPUTS)
    is_done = answers[0].confidence > 0
    assert is_done.any()
    for problem, found in zip(RECORD, answers, strict=True):
        assert ((found.confidence >= 0) & (found.confidence <= 1)).all()
        kept = [value for value, is_kept in zip(found.values, is_done, strict=True) if is_kept]
        if problem.mode == "classify":
            assert found.scores is not None
            assert np.allclose(found.scores.sum(axis=1), 1)
            best = [problem.values[at] for at in found.scores.argmax(axis=1)[is_done]]
            assert best == kept
        elif problem.mode == "multilabel":
            assert all(set(value) <= set(problem.values) for value in kept)
        elif problem.mode == "regress":
            assert all(isinstance(value, int | float) for value in kept)
        else:
            assert all(value is None or value is ABSENT or isinstance(value, str) for value in kept)
    assert all(value is None for value, ok in zip(answers[0].values, is_done, strict=True) if not ok)


def test_unfinished_answers_have_no_confidence(record: Path, plain: Path) -> None:
    for folder in (record, plain):
        spec = json.loads((folder / "component.json").read_text())
        spec["max_new_tokens"] = 2
        answers = WriterComponent.load(folder, spec).predict([("hello",), ("",)])
        assert all((found.confidence == 0).all() for found in answers)
        assert (folder is plain) == all(value is not None for value in answers[0].values)


@pytest.mark.parametrize("kind", ["plain", "record"])
def test_signals_are_what_each_confidence_would_say(kind: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(kind)
    spec = json.loads((folder / "component.json").read_text())
    given, signals = loaded(folder).signals(INPUTS[5:10])
    assert set(signals) == set(CONFIDENCES)
    for name in CONFIDENCES:
        spec["confidence"] = {"kind": name, "samples": 2, "temperature": 1.0}
        component = WriterComponent.load(folder, spec)
        for problem, found in enumerate(component.predict(INPUTS[5:10])):
            assert found.values == given[problem].values
            assert found.confidence.tobytes() == signals[name][problem].tobytes()
            one = component.predict(INPUTS[7:8])[problem]
            assert one.confidence.tobytes() == found.confidence[2:3].tobytes()


def test_a_stream_ends_in_the_prediction(plain: Path) -> None:
    component = loaded(plain)
    for parts in INPUTS:
        stream, pieces = component.stream(parts), []
        while True:
            try:
                pieces.append(next(stream))
            except StopIteration as end:
                found = end.value
                break
        assert same_bits(found, component.predict([parts]))
        assert "".join(pieces) == found[0].values[0]


def test_tokens_are_counted(plain: Path) -> None:
    component = loaded(plain)
    text = "the order 👩‍👩‍👧 <end> from"
    ends = component.token_ends(text)
    assert ends == sorted(ends)
    assert ends[-1] == len(text)
    assert len(text) < len(ends) + 12  # few merges: the signs of several bytes take several tokens
    assert component.token_ends("") == []
    assert component.count_prompt_tokens(("abc",)) < component.count_prompt_tokens(("abcdef",))
    assert component.count_prompt_tokens(("x" * 5_000,)) == 60


def test_a_record_is_streamed_whole(record: Path) -> None:
    component = loaded(record)
    stream = component.stream(INPUTS[3])
    with pytest.raises(StopIteration) as end:
        next(stream)
    assert same_bits(end.value.value, component.predict([INPUTS[3]]))


@pytest.mark.parametrize("damage", ["tokenizer", "engine", "confidence", "model"])
def test_damage_is_named(plain: Path, tmp_path: Path, damage: str) -> None:
    spec = json.loads((plain / "component.json").read_text())
    if damage == "tokenizer":
        spec["tokenizer"] = "other.json"
    elif damage == "engine":
        spec["engine"] = {"engine": "abacus"}
    elif damage == "confidence":
        spec["confidence"] = {"kind": "mood"}
    else:
        spec["engine"]["model"] = "other.onnx"
    with pytest.raises(ArtefactError):
        WriterComponent.load(plain, spec).predict([("hello",)])
