"""Predicted against measured speed of small models on this machine's processor.

The machine's arithmetic and bandwidth are timed on large matrices. One model calibrates: what torch and transformers take
besides (per layer, and per number of the residual stream) is fitted to its timed passes; then all is fixed. Three
other models are predicted, and only then timed. All are Llama-like, random, in fp32, run by transformers on torch.

Everything runs in one thread, and what is timed is that thread's processor time, which on an idle machine is the time
that passes. So other work on the machine disturbs only by its use of caches and memory; each time is the least of several repeats, and
the repeats of all passes are taken in turns.

    python benchmarks/roofline_cpu.py [--repeats 15] [--out calibration.json]
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable

import torch
import transformers
from transformers import LlamaConfig, LlamaForCausalLM

from understudy.economics.inference.calibration import TimedPass, calibrate, write_calibration
from understudy.economics.inference.roofline import Formats
from understudy.economics.transformer.from_config import shape_from_config
from understudy.economics.transformer.memory import TRANSFORMERS
from understudy.economics.transformer.parameters import count_parameters
from understudy.economics.transformer.precision import parse_precision

FP32 = Formats(parse_precision("fp32"), parse_precision("fp32"), TRANSFORMERS)
PREFILL_TOKENS = (64, 128, 256)
DECODE_CONTEXTS = (64, 512)

# Sizes differ from the calibration model in every direction: depth, width, share of the vocabulary, heads.
CALIBRATION = {"hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 12, "num_attention_heads": 8,
               "num_key_value_heads": 8, "vocab_size": 16_000}  # fmt: skip
EVALUATED = {
    "25M deep": {"hidden_size": 320, "intermediate_size": 960, "num_hidden_layers": 16, "num_attention_heads": 5,
                 "num_key_value_heads": 1, "vocab_size": 8_000},
    "85M": {"hidden_size": 640, "intermediate_size": 1792, "num_hidden_layers": 12, "num_attention_heads": 10,
            "num_key_value_heads": 5, "vocab_size": 20_000},
    "190M wide": {"hidden_size": 1024, "intermediate_size": 3584, "num_hidden_layers": 10, "num_attention_heads": 16,
                  "num_key_value_heads": 4, "vocab_size": 24_000},
}  # fmt: skip


class Timer:
    """The passes of one model, each timed several times."""

    def __init__(self, sizes: dict[str, int]) -> None:
        torch.manual_seed(0)
        config = LlamaConfig(**sizes, max_position_embeddings=1024, tie_word_embeddings=False)
        self.model = LlamaForCausalLM(config).eval()
        self.shape = shape_from_config(config.to_dict())
        self.n_vocab = sizes["vocab_size"]
        self.cache = {context: self._filled(context) for context in DECODE_CONTEXTS}

    def _tokens(self, n_tokens: int) -> torch.Tensor:
        return torch.randint(0, self.n_vocab, (1, n_tokens))

    def _filled(self, context: int) -> object:
        with torch.inference_mode():
            tokens = self._tokens(context - 1)
            return self.model(input_ids=tokens, use_cache=True, logits_to_keep=1).past_key_values

    def _prefill(self, n_tokens: int) -> float:
        tokens = self._tokens(n_tokens)
        return _seconds(lambda: self.model(input_ids=tokens, use_cache=True, logits_to_keep=1))

    def _decode(self, context: int) -> float:
        cache, tokens = self.cache[context], self._tokens(1)
        taken = _seconds(lambda: self.model(input_ids=tokens, cache=cache, use_cache=True))
        cache.crop(-1)  # type: ignore[attr-defined]
        return taken

    def measure(self, n_repeats: int) -> list[TimedPass]:
        """The best of `n_repeats` of each pass, taken in turns."""
        works: list[tuple[str, int, Callable[[int], float]]] = [
            *(("prefill", n, self._prefill) for n in PREFILL_TOKENS),
            *(("decode", n, self._decode) for n in DECODE_CONTEXTS),
        ]
        times: list[list[float]] = [[] for _ in works]
        for _ in range(n_repeats + 1):
            for at, (_phase, n_tokens, work) in enumerate(works):
                times[at].append(work(n_tokens))
        return [
            TimedPass(self.shape, FP32, phase, n_tokens, min(taken[1:]))  # type: ignore[arg-type]
            for (phase, n_tokens, _work), taken in zip(works, times, strict=True)
        ]


def _seconds(work: Callable[[], object]) -> float:
    with torch.inference_mode():
        start = time.thread_time()
        work()
        return time.thread_time() - start


def machine_rates(n_repeats: int) -> tuple[float, float]:
    """FLOP/s of a matrix product and bytes/s of a matrix times a vector, larger than the caches."""
    left, right = torch.randn(256, 2048), torch.randn(2048, 2048)
    matrix, vector = torch.randn(16_000, 4096), torch.randn(1, 4096)
    product = min(_seconds(lambda: torch.nn.functional.linear(left, right)) for _ in range(n_repeats + 1))
    sweep = min(_seconds(lambda: torch.nn.functional.linear(vector, matrix)) for _ in range(n_repeats + 1))
    return 2.0 * 256 * 2048 * 2048 / product, 4.0 * matrix.numel() / sweep


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--out", help="write the calibration there")
    given = parser.parse_args()
    torch.set_num_threads(1)
    machine = f"{platform.machine()} processor, one thread, torch {torch.__version__}, transformers {transformers.__version__}"
    passes = Timer(CALIBRATION).measure(given.repeats)
    flop_rate, byte_rate = machine_rates(given.repeats)
    calibration = calibrate(
        passes, flop_per_second=flop_rate, bytes_per_second=byte_rate, machine=machine, compute="fp32"
    )
    if given.out:
        write_calibration(calibration, given.out)
    print(f"{machine}, fp32; processor time, least of {given.repeats} repeats")
    print(
        f"calibration  {calibration.flop_per_second.typical / 1e9:.1f} GFLOP/s, "
        f"{calibration.bytes_per_second.typical / 1e9:.1f} GB/s, "
        f"{calibration.layer_seconds.typical * 1e6:.0f} µs a layer, "
        f"{calibration.element_seconds.typical * 1e9:.1f} ns a number; {calibration.how}"
    )
    for one in passes:
        print(f"  timed  {one.phase:>7s} {one.n_tokens:4d} {1e3 * one.seconds:8.2f} ms")
    print(
        f"{'model':12s} {'parameters':>11s} {'pass':>12s} {'predicted':>11s} {'measured':>11s} {'error':>8s}  within"
    )
    errors, n_within = [], 0
    for name, sizes in EVALUATED.items():
        timer = Timer(sizes)
        said = {(one.phase, one.n_tokens): one for one in timer.measure(given.repeats)}
        of_model = []
        for (phase, n_tokens), one in said.items():
            span = one.predicted(calibration.rates()).seconds
            assert span is not None
            error = span.typical / one.seconds - 1
            is_within = span.low <= one.seconds <= span.high
            n_within += is_within
            of_model.append(error)
            print(
                f"{name:12s} {count_parameters(one.shape).total / 1e6:9.1f} M {phase:>7s} {n_tokens:4d} "
                f"{1e3 * span.typical:8.2f} ms {1e3 * one.seconds:8.2f} ms {100 * error:+7.1f} %  {'yes' if is_within else 'no'}"
            )
        errors += of_model
        print(f"{name:12s} median absolute error {100 * statistics.median(map(abs, of_model)):.1f} %")
    print(
        f"all: median absolute error {100 * statistics.median(map(abs, errors)):.1f} %, worst "
        f"{100 * max(map(abs, errors)):.1f} %; {n_within} of {len(errors)} within the interval"
    )


if __name__ == "__main__":
    sys.exit(main())
