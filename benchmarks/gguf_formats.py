"""Size, speed and quality of GGUF formats against halves, with llama.cpp on this processor.

    python benchmarks/gguf_formats.py                       # size and speed, random weights, about 57M parameters
    python benchmarks/gguf_formats.py --trained lm-small    # also quality, of what `understudy lm train` left there

Formats take turns within a round, so that other work on the machine strikes them alike; speeds are medians over
rounds, ratios are medians of ratios within a round. Quality is the cross-entropy of held-out text under each
format less that under halves, sequence by sequence, with a bootstrap interval over sequences.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoModelForCausalLM

from understudy.export.gguf_file import export_gguf
from understudy.lm.config import DecoderConfig
from understudy.lm.decoder import build_decoder
from understudy.lm.shards import TokenShards
from understudy.lm.tokeniser import end_id, read_tokeniser, train_tokeniser
from understudy.runtime.gguf_decoder import GgufDecoder

FORMATS = ("f16", "q8_0", "q4_k_m", "q4_k_s", "q4_0")
SHAPE = DecoderConfig(
    vocab_size=8192, d_model=768, n_layers=8, n_heads=12, n_kv_heads=4, d_ff=2048, context_tokens=1024
)
Floats = npt.NDArray[np.float64]


def wall_and_cpu(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the clock, and of processors (all threads)."""
    began, began_cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - began, time.process_time() - began_cpu


def one_turn(decoder: GgufDecoder, rows: int, tokens: int) -> dict[str, tuple[float, float]]:
    """Seconds per token of reading a prompt and of writing `rows` answers at once, (wall, processor)."""
    prompt = [at * 31 % decoder.vocab_size for at in range(2 * tokens)]
    reading = wall_and_cpu(lambda: decoder.start([prompt]).close())
    decoding = decoder.start([prompt[:8]] * rows)
    decoding.step(range(rows), [1] * rows)
    steps = max(tokens // rows, 4)

    def write() -> None:
        for token in range(steps):
            decoding.step(range(rows), [token] * rows)

    writing = wall_and_cpu(write)
    decoding.close()
    return {
        "prompt": (reading[0] / len(prompt), reading[1] / len(prompt)),
        "decode": (writing[0] / steps / rows, writing[1] / steps / rows),
    }


def speeds(
    folder: Path, made: dict[str, dict[str, Any]], *, threads: int, rounds: int, rows: int, tokens: int
) -> None:
    """Print tokens per second of each format, and ratios to halves."""
    decoders = {name: GgufDecoder.load(folder / name, {**made[name], "threads": threads}) for name in made}
    for decoder in decoders.values():
        one_turn(decoder, rows, tokens)
    turns = [
        {name: one_turn(decoder, rows, tokens) for name, decoder in decoders.items()} for _ in range(rounds)
    ]
    print(
        f"\n{threads} thread(s), {rows} sequence(s), {rounds} rounds; tokens/s by the clock | by processor time"
    )
    print(f"{'format':10}{'prompt':>16}{'decode':>16}{'decode / f16':>16}{'rows together':>15}")
    for name, decoder in decoders.items():
        cells = []
        for what in ("prompt", "decode"):
            wall, cpu = (statistics.median(turn[name][what][clock] for turn in turns) for clock in (0, 1))
            cells.append(f"{1 / wall:.0f} | {1 / cpu:.0f}")
        ratios = [
            statistics.median(turn["f16"]["decode"][clock] / turn[name]["decode"][clock] for turn in turns)
            for clock in (0, 1)
        ]
        cells.append(f"{ratios[0]:.2f} | {ratios[1]:.2f}")
        together = decoder.rows_together if rows > 1 else 1
        print(f"{name:10}" + "".join(f"{cell:>16}" for cell in cells) + f"{together:>15}", flush=True)


def sizes(folder: Path, model: Any, tokeniser: Any, end: int) -> dict[str, dict[str, Any]]:
    """Write every format and print its size and types."""
    made = {
        name: export_gguf(model, tokeniser, folder / name, end_id=end, quantisation=name) for name in FORMATS
    }
    print(f"{sum(one.numel() for one in model.parameters()):,} parameters")
    print(f"{'format':10}{'MB':>8}{'smaller':>9}  parameters by type")
    for name, settings in made.items():
        types = ", ".join(f"{kind} {one['parameters']:,}" for kind, one in settings["types"].items())
        saved = 1 - settings["size_bytes"] / made["f16"]["size_bytes"]
        print(f"{name:10}{settings['size_bytes'] / 1e6:8.1f}{saved:9.1%}  {types}")
    return made


def losses(decoder: GgufDecoder, sequences: Sequence[Sequence[int]]) -> Floats:
    """Mean cross-entropy of each sequence's tokens after the first, nats, shape (len(sequences),)."""
    found = []
    for sequence in sequences:
        decoding = decoder.start([sequence[:1]])
        scores = decoding.logits[0].astype(np.float64)
        total = 0.0
        for token in sequence[1:]:
            top = scores.max()
            total += float(np.log(np.exp(scores - top).sum()) + top - scores[token])
            scores = decoding.step([0], [token])[0].astype(np.float64)
        decoding.close()
        found.append(total / (len(sequence) - 1))
    return np.array(found)


def quality(folder: Path, made: dict[str, dict[str, Any]], sequences: list[list[int]], model: Any) -> None:
    """Print losses and the paired differences to halves."""
    with torch.no_grad():
        whole = np.array([float(model(ids, labels=ids).loss) for ids in map(_row, sequences)])
    by_format = {name: losses(GgufDecoder.load(folder / name, made[name]), sequences) for name in made}
    count = len(sequences)
    draws = np.random.default_rng(0).integers(0, count, size=(10_000, count))
    print(
        f"\nheld-out text: {count} sequences of {len(sequences[0])} tokens; transformers float32: {whole.mean():.4f}"
    )
    print(f"{'format':10}{'nats':>9}{'more than f16':>15}  95 % interval")
    for name, values in by_format.items():
        gaps = values - by_format["f16"]
        low, high = np.quantile(gaps[draws].mean(axis=1), (0.025, 0.975))
        print(f"{name:10}{values.mean():9.4f}{gaps.mean():15.5f}  {low:.5f} to {high:.5f}", flush=True)


def _row(sequence: list[int]) -> torch.Tensor:
    return torch.tensor([sequence])


def held_out(shards: TokenShards, count: int, tokens: int) -> list[list[int]]:
    """Stretches evenly spread over the held-out text."""
    begins = np.linspace(0, shards.n_tokens - tokens, count).astype(int)
    return [[int(token) for token in shards.read(begin, begin + tokens)] for begin in begins]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trained", type=Path, help="folder that `understudy lm train --out` made, dense")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument(
        "--write", type=int, default=32, help="tokens of an answer; a prompt has twice as many"
    )
    parser.add_argument("--rows", type=int, default=8, help="sequences in the second table")
    parser.add_argument("--sequences", type=int, default=48)
    parser.add_argument("--tokens", type=int, default=96, help="of a held-out sequence")
    parser.add_argument("--only-quality", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        if not given.only_quality:
            tokeniser = train_tokeniser(["a b c"])
            folder = Path(scratch) / "speed"
            made = sizes(folder, build_decoder(SHAPE, seed=0), tokeniser, end_id(tokeniser))
            for threads in given.threads:
                speeds(folder, made, threads=threads, rows=1, rounds=given.rounds, tokens=given.write)
            speeds(folder, made, threads=1, rows=given.rows, rounds=given.rounds, tokens=given.write)
        if given.trained is not None:
            tokeniser, end = read_tokeniser(given.trained / "model")
            model = AutoModelForCausalLM.from_pretrained(given.trained / "model").float().eval()
            folder = Path(scratch) / "quality"
            made = sizes(folder, model, tokeniser, end_id(tokeniser, end))
            text = held_out(TokenShards(given.trained / "text" / "valid"), given.sequences, given.tokens)
            quality(folder, made, text, model)


if __name__ == "__main__":
    main()
