"""A writer over a GGUF file: the same contract as over ONNX, through the same loader."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed (the extra gguf)")

from runtime.tiny_writer import END, RECORD, TEXT, byte_tokeniser
from tiny_gguf import tiny_causal
from understudy.export.gguf_file import export_gguf
from understudy.runtime.component import load_component, write_component_file
from understudy.runtime.engines import load_engine
from understudy.runtime.gguf_decoder import GgufDecoder
from understudy.runtime.writer import WriterComponent
from understudy.runtime.writing import WriteFormat
from understudy.task.problem import Problem

INPUTS = [(text,) for text in ("", "order 7 from the south", "🙂", "x" * 500, "the order", "a\x00b")]


def written_writer(folder: Path, problems: Sequence[Problem], quantisation: str) -> WriterComponent:
    tokeniser = byte_tokeniser()
    tokeniser.save(str(folder / "tokenizer.json"))
    model = tiny_causal(initializer_range=0.1)
    settings = export_gguf(model, tokeniser, folder, end_id=END, quantisation=quantisation)
    write_component_file(
        folder,
        "writer",
        problems,
        engine=settings,
        tokenizer="tokenizer.json",
        end_ids=[END, 45, 99],
        format=WriteFormat(is_plain=problems[0] is TEXT).to_dict(),
        max_prompt_tokens=60,
        max_new_tokens=40 if problems[0] is TEXT else 90,
        confidence={"kind": "mean_logprob", "samples": 2, "temperature": 1.0},
        seed=0,
    )
    assert isinstance(load_engine(folder, settings), GgufDecoder)
    component = load_component(folder)
    assert isinstance(component, WriterComponent)
    return component


@pytest.mark.parametrize("quantisation", ["q8_0", "q4_k_m"])
def test_text_is_written_alike_in_any_company_and_streamed(quantisation: str, tmp_path: Path) -> None:
    component = written_writer(tmp_path, [TEXT], quantisation)
    together = component.predict(INPUTS)[0]
    assert all(isinstance(value, str) for value in together.values)
    assert len(set(together.values)) > 1
    for at, parts in enumerate(INPUTS):
        alone = component.predict([parts])[0]
        assert alone.values == together.values[at : at + 1]
        assert alone.confidence.tobytes() == together.confidence[at : at + 1].tobytes()
    pieces = component.stream(INPUTS[1])
    text = ""
    while True:
        try:
            text += next(pieces)
        except StopIteration as done:
            streamed = done.value[0]
            break
    assert streamed.values == together.values[1:2]
    assert streamed.confidence.tobytes() == together.confidence[1:2].tobytes()
    assert streamed.values[0].startswith(text)


def test_records_keep_to_the_form(tmp_path: Path) -> None:
    pytest.importorskip("llguidance", reason="llguidance is not installed")
    component = written_writer(tmp_path, RECORD, "q8_0")
    predictions, signals = component.signals(INPUTS[:3])
    assert set(signals) == {"mean_logprob", "margin", "samples"}
    places = {str(value) for value in predictions[0].values}
    assert places <= {str(value) for value in (*RECORD[0].values, None)}
    for prediction in predictions:
        assert np.all((prediction.confidence >= 0) & (prediction.confidence <= 1))
