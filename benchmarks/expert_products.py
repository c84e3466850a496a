"""How long one pass of E experts takes, forward and backward: one grouped product, or a loop over experts.

Prints milliseconds, the median of several passes on one thread, with every expert equally busy. The same weights
and rows go through both, and the results are compared first.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from unittest import mock

import torch

from understudy.lm import experts as module
from understudy.lm.config import ExpertsConfig

SHAPES = ((1024, 96, 96, 8), (1024, 96, 96, 64), (2048, 256, 256, 16), (2048, 256, 64, 64))
REPEATS = 9


def one_pass(experts: module.Experts, rows: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    experts.zero_grad()
    out = experts.run_sorted(rows, sizes)
    out.square().sum().backward()
    return out.detach()


def median_ms(call: Callable[[], object]) -> float:
    call()
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e3


def measure(n_rows: int, d_model: int, d_expert: int, n_experts: int) -> tuple[float, float]:
    """Milliseconds of the grouped product and of the loop."""
    experts = module.Experts(d_model, ExpertsConfig(n_experts, 1, d_expert))
    for parameter in experts.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    rows = torch.randn(n_rows, d_model, requires_grad=True)
    sizes = torch.full((n_experts,), n_rows // n_experts)
    grouped = median_ms(lambda: one_pass(experts, rows, sizes))
    expected = one_pass(experts, rows, sizes)
    with mock.patch.object(module, "_has_grouped_kernel", return_value=False):
        torch.testing.assert_close(one_pass(experts, rows, sizes), expected)
        return grouped, median_ms(lambda: one_pass(experts, rows, sizes))


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, one thread, float32, forward and backward")
    print(f"{'rows':>6}{'width':>7}{'expert':>8}{'experts':>9}{'grouped ms':>12}{'loop ms':>9}")
    for n_rows, d_model, d_expert, n_experts in SHAPES:
        grouped, loop = measure(n_rows, d_model, d_expert, n_experts)
        print(f"{n_rows:>6}{d_model:>7}{d_expert:>8}{n_experts:>9}{grouped:>12.1f}{loop:>9.1f}")


if __name__ == "__main__":
    main()
