"""Predicted against measured speed of small models on this machine's processor.

The machine's arithmetic and bandwidth are timed on large matrices. One model calibrates: what torch and transformers take
besides (per layer, and per number of the residual stream) is fitted to its timed passes; then all is fixed. Three
other models are predicted from that; none of their times is used. All are Llama-like, random, in fp32, run by transformers on torch.

Everything runs in one thread, and what is timed is that thread's processor time, which on an idle machine is the time
that passes. So other work on the machine disturbs only by its use of caches and memory. All passes of all models are timed
in turns, so that a busy minute meets all of them; of each the least of the rounds is taken.

    python benchmarks/roofline_cpu.py [--rounds 12] [--out calibration.json]
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
import transformers
from transformers import LlamaConfig, LlamaForCausalLM

from understudy.economics.inference.calibration import Calibration, TimedPass, calibrate, write_calibration
from understudy.economics.inference.roofline import Formats
from understudy.economics.transformer.from_config import shape_from_config
from understudy.economics.transformer.memory import TRANSFORMERS
from understudy.economics.transformer.parameters import count_parameters
from understudy.economics.transformer.precision import parse_precision

Phase = Literal["prefill", "decode"]
Key = tuple[str, str, int]

FP32 = Formats(parse_precision("fp32"), parse_precision("fp32"), TRANSFORMERS)
PREFILL_TOKENS = (64, 128, 256)
DECODE_CONTEXTS = (64, 512)

# Sizes differ from the calibration model in every direction: depth, width, share of the vocabulary, heads.
CALIBRATION = {"hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 12, "num_attention_heads": 8,
               "num_key_value_heads": 8, "vocab_size": 16_000}  # fmt: skip
EVALUATED = {
    "30M deep": {"hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 14, "num_attention_heads": 6,
                 "num_key_value_heads": 2, "vocab_size": 10_000},
    "70M": {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 12, "num_attention_heads": 9,
            "num_key_value_heads": 3, "vocab_size": 24_000},
    "150M wide": {"hidden_size": 896, "intermediate_size": 2688, "num_hidden_layers": 11, "num_attention_heads": 14,
                  "num_key_value_heads": 7, "vocab_size": 20_000},
}  # fmt: skip


class Timer:
    """The passes of one model."""

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

    def works(self) -> dict[tuple[Phase, int], Callable[[], float]]:
        """What there is to time, by phase and number of tokens."""
        return {
            **{("prefill", n): partial(self._prefill, n) for n in PREFILL_TOKENS},
            **{("decode", n): partial(self._decode, n) for n in DECODE_CONTEXTS},
        }


def _seconds(work: Callable[[], object]) -> float:
    with torch.inference_mode():
        start = time.thread_time()
        work()
        return time.thread_time() - start


class Machine:
    """The machine without a model: a matrix product, and a vector times many matrices that exceed the caches.

    Many, because a pass reads a model so: one matrix of that size is read a fifth faster here.
    """

    flop = 2.0 * 256 * 2048 * 2048
    traffic_bytes = 4.0 * 64 * 1024 * 1024

    def __init__(self) -> None:
        self.left, self.right = torch.randn(256, 2048), torch.randn(2048, 2048)
        self.matrices = [torch.randn(1024, 1024) for _ in range(64)]
        self.vector = torch.randn(1, 1024)

    def product(self) -> float:
        """Seconds of the product."""
        return _seconds(lambda: torch.nn.functional.linear(self.left, self.right))

    def sweep(self) -> float:
        """Seconds of the vector times all matrices."""
        return _seconds(lambda: [torch.nn.functional.linear(self.vector, one) for one in self.matrices])


def least_of_rounds(works: dict[Key, Callable[[], float]], n_rounds: int) -> dict[Key, float]:
    """The least time of each, all in turns; the first round warms up."""
    times: dict[Key, list[float]] = {key: [] for key in works}
    for _ in range(n_rounds + 1):
        for key, work in works.items():
            times[key].append(work())
    return {key: min(taken[1:]) for key, taken in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--out", help="write the calibration there")
    given = parser.parse_args()
    torch.set_num_threads(1)
    timers = {name: Timer(sizes) for name, sizes in {"calibration": CALIBRATION, **EVALUATED}.items()}
    machine = Machine()
    works: dict[Key, Callable[[], float]] = {
        ("machine", "flop", 0): machine.product,
        ("machine", "bytes", 0): machine.sweep,
    }
    for name, timer in timers.items():
        works |= {(name, *key): work for key, work in timer.works().items()}
    least = least_of_rounds(works, given.rounds)
    passes = {
        name: [TimedPass(timer.shape, FP32, phase, n, least[name, phase, n]) for phase, n in timer.works()]
        for name, timer in timers.items()
    }
    words = f"{platform.machine()} processor, one thread, torch {torch.__version__}, transformers {transformers.__version__}"
    calibration = calibrate(
        passes.pop("calibration"),
        flop_per_second=machine.flop / least["machine", "flop", 0],
        bytes_per_second=machine.traffic_bytes / least["machine", "bytes", 0],
        machine=words,
        compute="fp32",
    )
    if given.out:
        write_calibration(calibration, given.out)
    print(f"{words}, fp32; processor time, least of {given.rounds} rounds")
    print(
        f"calibration: {calibration.flop_per_second.typical / 1e9:.1f} GFLOP/s, "
        f"{calibration.bytes_per_second.typical / 1e9:.1f} GB/s, "
        f"{calibration.layer_seconds.typical * 1e6:.0f} µs a layer, "
        f"{calibration.element_seconds.typical * 1e9:.1f} ns a number; {calibration.how}"
    )
    compare(passes, calibration)


def compare(passes: dict[str, list[TimedPass]], calibration: Calibration) -> None:
    """Print predicted against measured, per pass, per model and over all."""
    print(
        f"{'model':10s} {'parameters':>11s} {'pass':>12s} {'predicted':>11s} {'measured':>11s} {'error':>9s}  within"
    )
    errors: dict[str, list[float]] = {}
    n_within = 0
    for name, timed in passes.items():
        for one in timed:
            span = one.predicted(calibration.rates()).seconds
            assert span is not None
            error = span.typical / one.seconds - 1
            errors.setdefault(name, []).append(error)
            is_within = span.low <= one.seconds <= span.high
            n_within += is_within
            size = f"{count_parameters(one.shape).total / 1e6:.1f} M"
            print(
                f"{name:10s} {size:>11s} {one.phase:>7s} {one.n_tokens:4d} {1e3 * span.typical:8.2f} ms "
                f"{1e3 * one.seconds:8.2f} ms {100 * error:+7.1f} %  {'yes' if is_within else 'no'}"
            )
    for name, of_model in errors.items():
        print(f"{name:10s} median absolute error {100 * statistics.median(map(abs, of_model)):.1f} %")
    every = [abs(error) for of_model in errors.values() for error in of_model]
    print(
        f"all        median absolute error {100 * statistics.median(every):.1f} %, worst {100 * max(every):.1f} %; "
        f"{n_within} of {len(every)} within the limits"
    )


if __name__ == "__main__":
    main()
