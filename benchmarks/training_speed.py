"""Tokens per second of our training loop against transformers.Trainer, and of torch.compile where it is asked for.

Same model and weights, batch, sequence length, AdamW, clipping, float32, threads. Each measurement is a process of its
own; they take turns, and the time is that of the processor, so that other work on the machine disturbs both alike.
Each reads sequences that are one text, as a plain Trainer takes them; ours also packed ones.

    python benchmarks/training_speed.py --models tiny,small,20m --rounds 3
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

MODELS = ("tiny", "small", "20m")
CONTENDERS = ("ours", "ours, packed", "Trainer")


def shape_of(name: str) -> Any:
    from understudy.lm.config import DecoderConfig
    from understudy.lm.presets import preset

    if name == "20m":
        return DecoderConfig(8192, 384, 8, 6, 6, 1024, 1024)
    return preset(name).dense_twin()


def sequences(vocab_size: int, n_sequences: int, length: int, *, is_packed: bool) -> Any:
    import torch

    tokens = torch.randint(1, vocab_size, (n_sequences, length), generator=torch.Generator().manual_seed(0))
    if is_packed:
        tokens[:, length // 3] = 0
    return tokens


def ours(args: argparse.Namespace, *, is_packed: bool) -> None:
    from understudy.lm.decoder import build_decoder
    from understudy.lm.packing import pack
    from understudy.lm.schedule import Schedule
    from understudy.lm.settings import TrainSettings
    from understudy.lm.train import train

    shape = shape_of(args.model)
    tokens = sequences(shape.vocab_size, args.steps * args.batch, args.sequence, is_packed=is_packed)

    class Data:
        fingerprint, seed, n_sequences = "random", 0, len(tokens)

        def take(self, numbers: Any) -> Any:
            return pack(tokens[list(numbers)], 0)

        def batch(self, number: int, size: int) -> Any:
            return self.take(range(number * size, (number + 1) * size))

    settings = TrainSettings(
        Schedule(args.steps),
        batch_sequences=args.batch,
        sequence_tokens=args.sequence,
        precision="float32",
        checkpoint_every=10**9,
        is_compiled=args.compile,
    )
    marks: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        train(
            build_decoder(shape, seed=0),
            Data(),
            settings,
            Path(folder),
            on_step=lambda *_: marks.append(time.process_time()),
        )
    report(marks, args)


def trainer(args: argparse.Namespace) -> None:
    from transformers import Trainer, TrainerCallback, TrainingArguments

    from understudy.lm.decoder import build_decoder

    shape = shape_of(args.model)
    tokens = sequences(shape.vocab_size, args.steps * args.batch, args.sequence, is_packed=False)
    rows = [{"input_ids": row, "labels": row} for row in tokens]
    marks: list[float] = []

    class Watch(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            marks.append(time.process_time())

    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=args.batch,
            max_steps=args.steps,
            learning_rate=3e-3,
            weight_decay=0.1,
            adam_beta2=0.95,
            max_grad_norm=1.0,
            optim="adamw_torch_fused",
            lr_scheduler_type="constant",
            report_to=[],
            logging_strategy="no",
            save_strategy="no",
            use_cpu=True,
            disable_tqdm=True,
            dataloader_num_workers=0,
            torch_compile=args.compile,
        )
        Trainer(build_decoder(shape, seed=0), settings, train_dataset=rows, callbacks=[Watch()]).train()
    report(marks, args)


def report(marks: list[float], args: argparse.Namespace) -> None:
    """Of the steps after the first few, which warm up; the last of ours writes its checkpoint before the mark."""
    warm, kept = marks[2], marks[3:-1]
    print(json.dumps({"tokens_per_second": len(kept) * args.batch * args.sequence / (kept[-1] - warm)}))


def child(contender: str, args: argparse.Namespace) -> None:
    import torch

    torch.set_num_threads(args.threads)
    if contender == "Trainer":
        trainer(args)
    else:
        ours(args, is_packed="packed" in contender)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--model", help="used by the children")
    parser.add_argument("--child", help="used by the children")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--sequence", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    if args.child:
        child(args.child, args)
        return
    print(
        f"batches of {args.batch} x {args.sequence} tokens, {args.threads} thread, tokens per CPU-second, median"
    )
    print("| model | " + " | ".join(CONTENDERS) + " | ours / Trainer | packed / Trainer |")
    for name in args.models.split(","):
        found: dict[str, list[float]] = {contender: [] for contender in CONTENDERS}
        for _ in range(args.rounds):
            for contender, speeds in found.items():
                words = [sys.executable, *sys.argv, "--model", name, "--child", contender]
                quiet = {
                    **os.environ,
                    "TRANSFORMERS_VERBOSITY": "error",
                    "OMP_NUM_THREADS": str(args.threads),
                }
                done = subprocess.run(words, env=quiet, check=True, capture_output=True, text=True)
                speeds.append(json.loads(done.stdout.splitlines()[-1])["tokens_per_second"])
        medians = [statistics.median(speeds) for speeds in found.values()]
        ratios = [
            statistics.median(a / b for a, b in zip(found[one], found["Trainer"], strict=True))
            for one in CONTENDERS[:2]
        ]
        cells = [f"{speed:,.0f}" for speed in medians] + [f"{ratio:.2f}" for ratio in ratios]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
