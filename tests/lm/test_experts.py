"""Routing against a loop over tokens that is slow and plainly right."""

import math

import pytest
import torch
from torch.nn import functional

from understudy.lm.config import ExpertsConfig
from understudy.lm.experts import ExpertBlock, grouped_product

D_MODEL = 16
CONFIGS = [
    ExpertsConfig(5, 2, 12),
    ExpertsConfig(5, 2, 12, is_renormalised=False, n_shared=1),
    ExpertsConfig(7, 3, 8, gate="sigmoid", n_shared=2, routed_scale=2.5),
    ExpertsConfig(3, 1, 8, gate="sigmoid", is_renormalised=False),
    ExpertsConfig(4, 4, 8),
    ExpertsConfig(1, 1, 8),
]


def block_of(config, dtype=torch.float64, seed=0, scale=0.4):
    torch.manual_seed(seed)
    block = ExpertBlock(D_MODEL, config).to(dtype)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=scale)
    return block


def by_hand(block, x):
    """Token by token, expert by expert; drops by capacity as Switch and GShard do."""
    config = block.experts.config
    tokens = x.reshape(-1, D_MODEL)
    limit = math.inf
    if block.training and config.capacity_factor is not None:
        limit = math.ceil(config.capacity_factor * len(tokens) * config.n_active / config.n_experts)
    chosen, weights = [], []
    for token in tokens:
        logits = block.router.weight @ token
        scores = torch.softmax(logits, 0) if config.gate == "softmax" else torch.sigmoid(logits)
        best = sorted(
            range(config.n_experts), key=lambda e: -float((scores[e] + block.router.bias[e]).detach())
        )
        best = best[: config.n_active]
        weight = torch.stack([scores[e] for e in best])
        if config.is_renormalised:
            weight = weight / weight.sum()
        chosen.append(best)
        weights.append(weight * config.routed_scale)
    taken = [0] * config.n_experts
    out, dropped = [torch.zeros(D_MODEL, dtype=x.dtype) for _ in tokens], 0
    for choice in range(config.n_active):
        for at, token in enumerate(tokens):
            expert = chosen[at][choice]
            if taken[expert] >= limit:
                dropped += 1
                continue
            taken[expert] += 1
            gate, up = (token @ block.experts.gate_up[expert]).chunk(2)
            out[at] = out[at] + weights[at][choice] * (
                (functional.silu(gate) * up) @ block.experts.down[expert]
            )
    result = torch.stack(out)
    if block.shared is not None:
        gate, up, down = (block.shared[f"{name}_proj"].weight for name in ("gate", "up", "down"))
        result = result + (functional.silu(tokens @ gate.T) * (tokens @ up.T)) @ down.T
    return result.view(x.shape), dropped


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_outputs_and_gradients_equal_the_slow_loop(config):
    block = block_of(config)
    block.router.bias += torch.linspace(-0.2, 0.2, config.n_experts)
    x = torch.randn(2, 9, D_MODEL, dtype=torch.float64, requires_grad=True)
    pull = torch.randn_like(x)
    parameters = [x, *block.parameters()]
    fast = torch.autograd.grad((block(x) * pull).sum(), parameters)
    slow_out, _ = by_hand(block, x)
    # An expert without a token has no part in the loop's result; its gradient is zero.
    slow = torch.autograd.grad((slow_out * pull).sum(), parameters, materialize_grads=True)
    torch.testing.assert_close(block(x), slow_out, rtol=1e-10, atol=1e-12)
    for one, other in zip(fast, slow, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


def test_gradients_are_those_of_finite_differences():
    block = block_of(ExpertsConfig(4, 2, 8, n_shared=1), scale=0.7)
    x = torch.randn(6, D_MODEL, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(block, (x,), eps=1e-6)


@pytest.mark.parametrize("factor", [0.3, 0.75, 1.0])
def test_capacity_drops_what_the_slow_loop_drops(factor):
    config = ExpertsConfig(4, 2, 8, capacity_factor=factor)
    block = block_of(config)
    block.router.bias[1] = 0.5
    x = torch.randn(21, D_MODEL, dtype=torch.float64)
    expected, dropped = by_hand(block, x)
    torch.testing.assert_close(block(x), expected, rtol=1e-10, atol=1e-12)
    assert block.n_dropped == dropped > 0
    assert int(block.routing.loads().sum()) == 42  # loads count what was wanted, dropped or not


def test_where_nothing_is_dropped_capacity_changes_no_bit():
    wide = block_of(ExpertsConfig(4, 2, 8, capacity_factor=4.0), torch.float32)
    free = block_of(ExpertsConfig(4, 2, 8), torch.float32)
    x = torch.randn(30, D_MODEL)
    assert torch.equal(wide(x), free(x))
    assert wide.n_dropped == 0


def test_outside_training_nothing_is_dropped():
    block = block_of(ExpertsConfig(4, 2, 8, capacity_factor=0.3)).eval()
    x = torch.randn(30, D_MODEL, dtype=torch.float64)
    assert block(x).isfinite().all()
    assert block.n_dropped == 0
    torch.testing.assert_close(block(x)[:3], block(x[:3]))


def test_the_bias_chooses_and_does_not_weigh():
    block = block_of(ExpertsConfig(4, 1, 8, gate="sigmoid", is_renormalised=False))
    x = torch.randn(10, D_MODEL, dtype=torch.float64)
    block.router.bias[2] = 100.0
    routing = block.router(x)
    assert (routing.experts_TK == 2).all()
    torch.testing.assert_close(routing.weights_TK[:, 0], routing.scores_TE[:, 2])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("width", [8, 6])  # 6 float32 values are not a multiple of 16 bytes: the loop
def test_grouped_products_equal_a_product_per_expert(dtype, width):
    torch.manual_seed(0)
    rows = torch.randn(20, 8, dtype=dtype)
    matrices = torch.randn(4, 8, width, dtype=dtype)
    sizes = torch.tensor([7, 0, 12, 1])
    expected = torch.cat([run @ m for run, m in zip(rows.split(sizes.tolist()), matrices, strict=True)])
    torch.testing.assert_close(grouped_product(rows, matrices, sizes), expected)


def test_bfloat16_arithmetic_routes_in_float32():
    block = block_of(ExpertsConfig(8, 2, 8), torch.float32)
    x = torch.randn(40, D_MODEL)
    exact = block(x)
    chosen = block.routing.experts_TK
    with torch.autocast("cpu", dtype=torch.bfloat16):
        short = block(x)
    assert block.routing.logits_TE.dtype == torch.float32
    assert torch.equal(block.routing.experts_TK, chosen)
    torch.testing.assert_close(short.float(), exact, rtol=0.05, atol=0.3)
