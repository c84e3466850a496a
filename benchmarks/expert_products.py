"""How long one pass of E experts takes, forward and backward: one grouped product, or a loop over experts; and how long
a whole layer of experts takes beside a dense one of equal active parameters.

Prints milliseconds, the median of several passes on one thread. In the first table every expert is equally busy, the
same weights and rows go through both, and the results are compared first; in the second the router chooses. The second
is of the processor's time, in turns, so that other work on the machine disturbs both alike.
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
LAYERS = (
    (1024, 96, ExpertsConfig(8, 2, 96, n_shared=1)),
    (1024, 256, ExpertsConfig(16, 2, 256, n_shared=1)),
    (2048, 512, ExpertsConfig(32, 4, 352, n_shared=1)),
)
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


def layer_ratio(n_tokens: int, d_model: int, config: ExpertsConfig) -> tuple[float, float]:
    """CPU milliseconds of an expert layer (router and shared experts too) and of its dense twin."""
    block = module.ExpertBlock(d_model, config)
    width = (config.n_active + config.n_shared) * config.d_expert
    dense = torch.nn.ModuleList(
        [torch.nn.Linear(d_model, 2 * width, bias=False), torch.nn.Linear(width, d_model, bias=False)]
    )
    for parameter in (*block.parameters(), *dense.parameters()):
        torch.nn.init.normal_(parameter, std=0.02)
    x = torch.randn(1, n_tokens, d_model, requires_grad=True)

    def swiglu(given: torch.Tensor) -> torch.Tensor:
        gate, up = dense[0](given).chunk(2, dim=-1)
        return dense[1](torch.nn.functional.silu(gate) * up)

    times: dict[str, list[float]] = {"experts": [], "dense": []}
    for _ in range(REPEATS + 1):
        for name, layer in (("experts", block), ("dense", swiglu)):
            began = time.process_time()
            layer(x).square().sum().backward()
            times[name].append(time.process_time() - began)
    experts, twin = (statistics.median(each[1:]) * 1e3 for each in times.values())
    return experts, twin


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, one thread, float32, forward and backward")
    print(f"{'rows':>6}{'width':>7}{'expert':>8}{'experts':>9}{'grouped ms':>12}{'loop ms':>9}")
    for n_rows, d_model, d_expert, n_experts in SHAPES:
        grouped, loop = measure(n_rows, d_model, d_expert, n_experts)
        print(f"{n_rows:>6}{d_model:>7}{d_expert:>8}{n_experts:>9}{grouped:>12.1f}{loop:>9.1f}")
    print(
        f"\n{'tokens':>6}{'width':>7}{'expert':>8}{'experts':>9}{'active':>8}{'layer ms':>10}{'dense ms':>10}{'ratio':>7}"
    )
    for n_tokens, d_model, config in LAYERS:
        experts, dense = layer_ratio(n_tokens, d_model, config)
        active = config.n_active + config.n_shared
        cells = f"{n_tokens:>6}{d_model:>7}{config.d_expert:>8}{config.n_experts:>9}{active:>8}"
        print(f"{cells}{experts:>10.1f}{dense:>10.1f}{experts / dense:>7.2f}")


if __name__ == "__main__":
    main()
