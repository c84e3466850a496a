"""Tokens per second of processor time when several callers ask one writer: gathered into batches, and one by one.

A decoder of random weights in int8 writes texts of a fixed length; callers ask again as soon as they are answered, as
in the server. Texts are compared first: company must change none. Live texts take turns and gain nothing.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from understudy.export.decoder import export_decoder
from understudy.lm.config import DecoderConfig
from understudy.lm.decoder import build_decoder
from understudy.runtime.artefact import write_manifest
from understudy.runtime.component import write_component_file
from understudy.runtime.stages import FieldCalibration, Stage
from understudy.runtime.writing import WriteFormat
from understudy.serving.gather import Gatherer
from understudy.serving.registry import ServedTask
from understudy.serving.rota import Rota
from understudy.serving.settings import TaskSettings
from understudy.task.field import PLAIN_FIELD, Field
from understudy.task.problem import Problem
from understudy.task.task import Task

SHAPES = {"4 layers of 256": (256, 4), "8 layers of 512": (512, 8)}
CALLERS = (1, 4, 8)
TEXTS, TOKENS = 8, 32


def write_artefact(folder: Path, width: int, layers: int) -> Path:
    """An artefact whose writer is untrained and answers every call."""
    text = Problem(Field(PLAIN_FIELD, "text"), "write")
    part = folder / "components" / "writer"
    part.mkdir(parents=True)
    signs = ["<end>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokeniser = Tokenizer(models.BPE({sign: at for at, sign in enumerate(signs)}, []))
    tokeniser.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokeniser.decoder = decoders.ByteLevel()
    tokeniser.save(str(part / "tokenizer.json"))
    shape = DecoderConfig(
        vocab_size=4096,
        d_model=width,
        n_layers=layers,
        n_heads=width // 32,
        n_kv_heads=width // 64,
        d_ff=3 * width,
        context_tokens=256,
    )
    model = build_decoder(shape, seed=0).eval()
    write_component_file(
        part,
        "writer",
        [text],
        engine=export_decoder(model, part, precision="int8"),
        tokenizer="tokenizer.json",
        end_ids=[0],
        format=WriteFormat().to_dict(),
        max_prompt_tokens=64,
        max_new_tokens=TOKENS,
        confidence={"kind": "mean_logprob"},
    )
    manifest = {
        "task": Task("reply", (text.field,)).to_dict(),
        "problems": [text.to_dict()],
        "stages": [Stage("writer", ("writer",), ((FieldCalibration(),),)).to_dict()],
        "threshold": 0.0,
    }
    write_manifest(folder, manifest)
    return folder


async def ask(task: ServedTask, callers: int, most: int, *, is_live: bool = False) -> tuple[float, list[str]]:
    """Tokens per second of processor time, and the texts."""
    gatherer, rota = Gatherer(1, most), Rota(1)
    left, texts = list(range(TEXTS)), [""] * TEXTS

    async def caller() -> None:
        while left:
            at = left.pop()
            parts = (f"the order of customer {at} has not come yet",)
            if not is_live:
                texts[at] = (await gatherer.answer(task, parts)).value
                continue
            live = rota.begin(task.model.stream_parts(parts))
            while (piece := await live.piece()) is not None:
                texts[at] += piece

    began = time.process_time()
    await asyncio.gather(*(caller() for _ in range(callers)))
    spent_s = time.process_time() - began
    gatherer.close()
    rota.close()
    return TEXTS * TOKENS / spent_s, texts


def main() -> None:
    torch.set_num_threads(1)
    for name, (width, layers) in SHAPES.items():
        with tempfile.TemporaryDirectory() as folder:
            task = ServedTask.of(TaskSettings(write_artefact(Path(folder) / "reply", width, layers)))
            _, expected = asyncio.run(ask(task, 1, 1))
            for callers in CALLERS:
                rates = []
                for most, is_live in ((1, False), (8, False), (1, True)):
                    rate, texts = asyncio.run(ask(task, callers, most, is_live=is_live))
                    assert texts == expected, "company changed a text"
                    rates.append(rate)
                one, together, live = rates
                print(
                    f"{name}, {callers} callers: one by one {one:,.0f} tokens/s, together {together:,.0f}"
                    f" ({together / one:.2f} times), live {live:,.0f} ({live / one:.2f} times)"
                )


if __name__ == "__main__":
    main()
