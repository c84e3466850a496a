"""Memory and time of a distillation step on the output layer: all logits at once against a few positions at a time.

    python benchmarks/losses.py [--positions N] [--hidden H] [--vocabulary V] [--pairs P] [--sweep] [--threads T]
        [--variants ...]

Variants, each computing the loss and its gradients with respect to the student's hidden states and output matrix:

- ``naive``: torch's own functions on full logits, in the leanest form that is in use (``kl_div`` on two log-softmaxes;
  for Jensen-Shannon as in TRL's GKD trainer);
- ``whole``: ``understudy.lm.losses.divergence`` on full logits;
- ``chunked``: ``understudy.lm.losses.chunked``;
- ``by_autograd``: the same chunks, each differentiated by autograd (``chunked_head_loss``), to see what derivatives by
  hand and arrays that are used again are worth; only if named in ``--variants``;
- ``liger``: Liger Kernel's fused linear JSD, only with a GPU and only if `liger_kernel` is installed.

Every measurement is a fresh process, one step after a small warm-up; variants take turns (A B C A B C ...), medians are
shown. Memory on a CPU: the kernel's peak resident size (``getrusage``, ru_maxrss) after the step, less the same before
the step, when weights and hidden states already lie in memory; so it counts logits, everything autograd keeps, the
scratch memory of matrix products, *and* the two gradients, which no variant can do without. Python's tracemalloc would
see none of it. On a GPU: ``torch.cuda.max_memory_allocated`` likewise. Time: wall and processor seconds of the step; on
a machine with other work trust the latter.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

ROOT = Path(__file__).resolve().parents[1]
LOSSES = ("forward_kl", "jensen_shannon")


def main() -> None:
    """Take turns and print a table in Markdown."""
    options = _options()
    if options.child:
        print(json.dumps(_measure(json.loads(options.child))))
        return
    shape = {"n": options.positions, "h": options.hidden, "v": options.vocabulary, "threads": options.threads}
    print(f"{shape['n']} positions, hidden {shape['h']}, vocabulary {shape['v']:,}, float32")
    print("| loss | variant | peak memory, MB | of naive | CPU s | of naive | wall s | of naive |")
    print("|---|---|---|---|---|---|---|---|")
    for loss in options.losses:
        _table({**shape, "device": "cpu", "loss": loss}, ("naive", *options.variants), options.pairs)
    if options.sweep:
        _sweep({**shape, "device": "cpu", "loss": "forward_kl", "variant": "chunked"}, options.pairs)
    _on_gpu(shape, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--positions", type=int, default=512)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--vocabulary", type=int, default=131_072)
    parser.add_argument("--pairs", type=int, default=3, help="how often each variant has its turn")
    parser.add_argument("--losses", nargs="+", choices=LOSSES, default=LOSSES)
    named = ("whole", "chunked", "by_autograd")
    parser.add_argument("--variants", nargs="+", choices=named, default=named[:2], help="beside naive")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sweep", action="store_true", help="also vary the positions of a chunk")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


def _on_gpu(shape: dict[str, Any], options: argparse.Namespace) -> None:
    if importlib.util.find_spec("torch") is None or not _run({"ask": "gpu"})["has_gpu"]:
        print("skipped: no GPU, so neither GPU memory nor Liger Kernel was measured")
        return
    variants = ("naive", *options.variants)
    if importlib.util.find_spec("liger_kernel") is None:
        print("skipped: Liger Kernel is not installed (pip install liger-kernel)")
    else:
        variants = (*variants, "liger")
    for loss in options.losses:
        _table({**shape, "device": "cuda", "loss": loss}, variants, options.pairs)


def _run(what: dict[str, Any]) -> dict[str, Any]:
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(what.get("threads", 1)),
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, __file__, "--child", json.dumps(what)]
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _table(case: dict[str, Any], variants: tuple[str, ...], pairs: int) -> None:
    found: dict[str, list[dict[str, Any]]] = {variant: [] for variant in variants}
    for _ in range(pairs):
        for variant in variants:
            found[variant].append(_run({**case, "variant": variant}))
    first = {key: found["naive"][0][key] for key in ("loss", "hidden_slope", "head_slope")}
    medians = {variant: _medians(rows) for variant, rows in found.items()}
    for variant in variants:
        for key, wanted in first.items():
            assert math.isclose(found[variant][0][key], wanted, rel_tol=1e-4), (variant, key)
        print(f"| {case['loss']} | {variant} | {_against(medians[variant], medians['naive'])} |", flush=True)


def _sweep(case: dict[str, Any], pairs: int) -> None:
    print("\n| positions a chunk | peak memory, MB | CPU s | wall s |\n|---|---|---|---|")
    sizes = [size for size in (8, 16, 32, 64, 128, 256) if size <= case["n"]]
    found: dict[int, list[dict[str, Any]]] = {size: [] for size in sizes}
    for _ in range(pairs):
        for size in sizes:
            found[size].append(_run({**case, "chunk": size}))
    for size, rows in found.items():
        one = _medians(rows)
        print(f"| {size} | {one['peak_mb']:.0f} | {one['cpu_s']:.2f} | {one['wall_s']:.2f} |")
    print()


def _medians(rows: list[dict[str, Any]]) -> dict[str, float]:
    return {key: statistics.median(row[key] for row in rows) for key in ("peak_mb", "cpu_s", "wall_s")}


def _against(one: dict[str, float], naive: dict[str, float]) -> str:
    shown = {"peak_mb": "{:.0f}", "cpu_s": "{:.2f}", "wall_s": "{:.2f}"}
    return " | ".join(
        f"{form.format(one[key])} | {100 * one[key] / naive[key]:.0f} %" for key, form in shown.items()
    )


def _measure(what: dict[str, Any]) -> dict[str, Any]:
    """In a child: one step, its peak and its times."""
    import torch

    if what.get("ask") == "gpu":
        return {"has_gpu": torch.cuda.is_available()}
    torch.set_num_threads(what["threads"])
    device = what["device"]
    _step(what, *_inputs(8, what["h"], 512, device))
    inputs = _inputs(what["n"], what["h"], what["v"], device)
    if device == "cuda":
        # Compiles the kernels for these sizes; the allocator's peak is counted from here on.
        _step(what, *inputs)
        inputs[0].grad = inputs[1].grad = None
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    before = _peak_bytes(device, is_start=True)
    wall, processor = time.perf_counter(), time.process_time()
    loss = _step(what, *inputs)
    if device == "cuda":
        torch.cuda.synchronize()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return {
        "peak_mb": (_peak_bytes(device, is_start=False) - before) / 2**20,
        "wall_s": wall,
        "cpu_s": processor,
        "loss": loss,
        "hidden_slope": float(inputs[0].grad.norm()),
        "head_slope": float(inputs[1].grad.norm()),
    }


def _peak_bytes(device: str, *, is_start: bool) -> int:
    import torch

    if device == "cuda":
        return torch.cuda.memory_allocated() if is_start else torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _inputs(n: int, h: int, v: int, device: str) -> tuple[torch.Tensor, ...]:
    """Hidden states and output matrices of student and teacher; logits of about unit variance."""
    import torch

    dice = torch.Generator(device).manual_seed(0)
    made = [torch.randn(n, h, generator=dice, device=device) for _ in range(2)]
    # In place: a peak of the preparation would hide a part of the step's.
    heads = [torch.randn(v, h, generator=dice, device=device).mul_(h**-0.5) for _ in range(2)]
    return made[0].requires_grad_(), heads[0].requires_grad_(), made[1], heads[1]


def _step(what: dict[str, Any], *inputs: torch.Tensor) -> float:
    loss = _VARIANTS[what["variant"]](what, *inputs)
    loss.backward()
    return loss.item()


def _naive(what: dict[str, Any], *inputs: torch.Tensor) -> torch.Tensor:
    import torch
    from torch.nn.functional import kl_div, log_softmax

    hidden, head, teacher_hidden, teacher_head = inputs
    log_q = log_softmax(hidden @ head.T, -1)
    with torch.no_grad():
        log_p = log_softmax(teacher_hidden @ teacher_head.T, -1)
    if what["loss"] == "forward_kl":
        return kl_div(log_q, log_p, reduction="sum", log_target=True) / len(hidden)
    log_m = torch.logsumexp(torch.stack((log_p, log_q)) + math.log(0.5), 0)
    both = kl_div(log_m, log_p, reduction="sum", log_target=True)
    both = both + kl_div(log_m, log_q, reduction="sum", log_target=True)
    return 0.5 * both / len(hidden)


def _divergence(what: dict[str, Any]) -> Any:
    from understudy.lm.losses.pointwise import FORWARD_KL, jensen_shannon_of

    return FORWARD_KL if what["loss"] == "forward_kl" else jensen_shannon_of(0.5)


def _whole(what: dict[str, Any], *inputs: torch.Tensor) -> torch.Tensor:
    from understudy.lm.losses.divergence import divergence_loss

    hidden, head, teacher_hidden, teacher_head = inputs
    return divergence_loss(_divergence(what), hidden @ head.T, teacher_hidden @ teacher_head.T)


def _chunked(what: dict[str, Any], *inputs: torch.Tensor) -> torch.Tensor:
    from understudy.lm.losses.chunked import chunked_divergence

    return chunked_divergence(*inputs, divergence=_divergence(what), chunk_positions=what.get("chunk"))


def _by_autograd(what: dict[str, Any], *inputs: torch.Tensor) -> torch.Tensor:
    import torch

    from understudy.lm.losses.chunked import chunked_head_loss
    from understudy.lm.losses.positions import log_probabilities

    hidden, head, teacher_hidden, teacher_head = inputs
    divergence = _divergence(what)

    def row_losses(logits: torch.Tensor, rows: slice) -> torch.Tensor:
        with torch.no_grad():
            log_p = log_probabilities(teacher_hidden[rows] @ teacher_head.T)
        return divergence.losses(log_p, log_probabilities(logits))

    return chunked_head_loss(hidden, head, row_losses)


def _liger(what: dict[str, Any], *inputs: torch.Tensor) -> torch.Tensor:
    from liger_kernel.transformers.fused_linear_jsd import LigerFusedLinearJSD

    # Its beta of 0 is the forward divergence.
    fused = LigerFusedLinearJSD(jsd_beta=0.0 if what["loss"] == "forward_kl" else 0.5)
    loss: torch.Tensor = fused(*inputs, None)
    return loss


_VARIANTS: dict[str, Callable[..., Any]] = {
    "naive": _naive,
    "whole": _whole,
    "chunked": _chunked,
    "by_autograd": _by_autograd,
    "liger": _liger,
}

if __name__ == "__main__":
    main()
