"""A real language model, if a tiny one, behind the server: the same texts whole, live, alone and in company."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest

from runtime.tiny_writer import write_tiny_writer
from scripted_writer import write_text_artefact
from serving.test_openai_client import Serve, client
from serving.test_writing import asked, heard
from understudy.errors import ArtefactError
from understudy.runtime.answer import load
from understudy.task.problem import Problem

TEXTS = [
    "where is my parcel",
    "包裹还没到 👩‍👩‍👧",
    "<end>",
    "x" * 3_000,
    "the order from the south",
    "ناردیاب",
]


def write_component(folder: Path, problem: Problem) -> None:
    write_tiny_writer(folder, [problem], format={"is_plain": True}, max_new_tokens=40)


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text_artefact(tmp_path_factory.mktemp("real") / "reply", write_component, threshold=0.0)


def test_whole_live_and_in_company_the_text_is_the_same(artefact: Path, serve: Serve) -> None:
    model = load(artefact)
    assert model.is_live
    alone = {text: model.answer(text) for text in TEXTS}
    served = serve(artefact)

    async def ask() -> list[Any]:
        async with openai.AsyncOpenAI(base_url=served.base_url, api_key="unused", max_retries=0) as api:

            async def live(text: str) -> str:
                chunks = await api.chat.completions.create(**asked(text, stream=True))
                return "".join([one.choices[0].delta.content or "" async for one in chunks])

            async def whole(text: str) -> str:
                reply = await api.chat.completions.create(**asked(text))
                return reply.choices[0].message.content or ""

            return await asyncio.gather(*(way(text) for text in TEXTS for way in (live, whole)))

    said = asyncio.run(ask())
    assert said == [alone[text].value for text in TEXTS for _ in range(2)]
    rows = served.rows()
    assert len(rows) == 2 * len(TEXTS)
    assert {row.confidence for row in rows} == {alone[text].confidence for text in TEXTS}


def test_lengths(artefact: Path, serve: Serve) -> None:
    answers = {text: load(artefact).answer(text) for text in TEXTS}
    served = serve(artefact)
    with client(served) as api:
        for text, answer in answers.items():
            request = asked(text, stream=True, stream_options={"include_usage": True})
            pieces, finish, usage = heard(api.chat.completions.create(**request))
            assert finish == ("length" if answer.confidence == 0 else "stop")
            assert usage.prompt_tokens <= 60
            assert usage.completion_tokens > 0
            assert len(pieces) <= 41
            cut = api.chat.completions.create(**asked(text, max_tokens=3))
            assert cut.choices[0].finish_reason == "length"
            assert answer.value.startswith(cut.choices[0].message.content)
            assert cut.usage is not None
            assert cut.usage.completion_tokens == 3


def test_a_damaged_model_is_told_when_the_server_starts(tmp_path: Path, serve: Callable[..., Any]) -> None:
    def damaged(folder: Path, problem: Problem) -> None:
        write_component(folder, problem)
        for model in folder.glob("*.onnx"):
            model.write_bytes(model.read_bytes()[:100])

    with pytest.raises(ArtefactError, match="ONNX model cannot be loaded"):
        serve(write_text_artefact(tmp_path / "reply", damaged, threshold=0.0))
