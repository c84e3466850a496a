"""Tokens per second of the ONNX decoder against transformers' `generate`, several sequences at a time.

Random Llama-like models; prompts of equal length, greedy, a fixed number of new tokens, one thread. What is timed is
processor time, which on an idle machine is the time that passes; all engines run in turns, and of each the least of the
rounds is taken. Prompts are read within the time. For each precision it is checked that four of 16 sequences in
company are written as they are alone, with scores that are bit for bit the same.

    python benchmarks/decoding.py [--rounds 3] [--sizes small large] [--new-tokens 32]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from understudy.export.decoder import export_decoder
from understudy.lm.config import DecoderConfig
from understudy.lm.decoder import build_decoder
from understudy.runtime.engines import load_engine
from understudy.runtime.generate import generate

SHAPES = {
    "small": DecoderConfig(4096, 256, 6, 4, 2, 704, 512),
    "large": DecoderConfig(16_384, 640, 10, 10, 5, 1728, 512),
}
COUNTS = (1, 4, 16)
PROMPT_TOKENS = 32


def with_transformers(model: torch.nn.Module, prompts: list[list[int]], new_tokens: int) -> None:
    with torch.inference_mode():
        model.generate(  # type: ignore[operator]
            torch.tensor(prompts),
            attention_mask=torch.ones(len(prompts), PROMPT_TOKENS, dtype=torch.long),
            min_new_tokens=new_tokens,
            max_new_tokens=new_tokens,
            do_sample=False,
            pad_token_id=0,
        )


def cpu_seconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--new-tokens", type=int, default=32)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for size in options.sizes:
        measure(size, options.rounds, options.new_tokens)


def measure(size: str, rounds: int, new_tokens: int) -> None:
    shape = SHAPES[size]
    model = build_decoder(shape, seed=0).eval()
    count = sum(weights.numel() for weights in model.parameters())
    print(f"{size}: {count / 1e6:.1f}M parameters, {PROMPT_TOKENS} + {new_tokens} tokens")
    rng = np.random.default_rng(0)
    prompts = rng.integers(0, shape.vocab_size, (max(COUNTS), PROMPT_TOKENS)).tolist()
    engines: dict[str, Callable[[list[list[int]]], object]] = {
        "transformers": partial(with_transformers, model, new_tokens=new_tokens)
    }
    with tempfile.TemporaryDirectory() as scratch:
        for precision in ("float32", "int8", "int4"):
            folder = Path(scratch) / precision
            folder.mkdir()
            decoder = load_engine(folder, export_decoder(model, folder, precision=precision))
            write = partial(generate, decoder, end_ids=[], max_new_tokens=new_tokens)
            alone = [write([prompt])[0] for prompt in prompts[:4]]
            is_same = alone == write(prompts)[:4]
            size_mb = (folder / "model.onnx").stat().st_size / 1e6
            print(f"  {precision}: {size_mb:.1f} MB, same bits alone and in company: {is_same}")
            engines[precision] = write
        least: dict[tuple[str, int], float] = {}
        for _ in range(rounds):
            for name, work in engines.items():
                for count in COUNTS:
                    spent = cpu_seconds(partial(work, prompts[:count]))
                    least[name, count] = min(spent, least.get((name, count), spent))
    print("  tokens per CPU-second " + "".join(f"{count:>9} seq." for count in COUNTS))
    for name in engines:
        speeds = "".join(f"{count * new_tokens / least[name, count]:>14.0f}" for count in COUNTS)
        print(f"  {name:<22}{speeds}")


if __name__ == "__main__":
    main()
