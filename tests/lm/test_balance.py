import numpy as np
import pytest
import torch

from understudy.errors import ConfigError
from understudy.lm.balance import BalanceSettings, router_loss, switch_loss, update_bias, z_loss
from understudy.lm.config import ExpertsConfig
from understudy.lm.experts import Router
from understudy.lm.load import layer_load


def router_of(config, seed=0, scale=0.5, d_model=12):
    torch.manual_seed(seed)
    router = Router(d_model, config)
    torch.nn.init.normal_(router.weight, std=scale)
    return router


@pytest.mark.parametrize("gate", ["softmax", "sigmoid"])
def test_the_losses_are_those_of_the_papers(gate):
    config = ExpertsConfig(5, 2, 8, gate=gate)
    routing = router_of(config)(torch.randn(40, 12))
    logits = routing.logits_TE.detach().numpy().astype(float)
    scores = np.exp(logits) if gate == "softmax" else 1 / (1 + np.exp(-logits))
    probabilities = scores / scores.sum(1, keepdims=True)
    chosen = np.argsort(-scores, axis=1)[:, :2]
    shares = np.array([(chosen == expert).sum() / 80 for expert in range(5)])
    assert float(switch_loss(routing).detach()) == pytest.approx(5 * shares @ probabilities.mean(0), rel=1e-5)
    assert float(z_loss(routing).detach()) == pytest.approx(
        np.mean(np.log(np.exp(logits).sum(1)) ** 2), rel=1e-5
    )


def test_an_even_router_has_a_switch_loss_of_one():
    config = ExpertsConfig(4, 4, 8)
    router = router_of(config, scale=0.0)
    assert float(switch_loss(router(torch.randn(10, 12))).detach()) == pytest.approx(1.0)


def test_settings_weigh_the_losses():
    with torch.no_grad():
        routing = router_of(ExpertsConfig(4, 1, 8))(torch.randn(10, 12))
    both = router_loss([routing, routing], BalanceSettings("switch", switch_weight=0.5, z_weight=0.25))
    assert float(both) == pytest.approx(float(switch_loss(routing)) + 0.5 * float(z_loss(routing)))
    assert router_loss([routing], BalanceSettings("none", z_weight=0.0)) is None
    assert router_loss([], BalanceSettings()) is None
    with pytest.raises(ConfigError, match=r"^kind must be"):
        BalanceSettings("even")
    with pytest.raises(ConfigError, match=r"^bias_rate must be"):
        BalanceSettings(bias_rate=-1.0)


def skewed_tokens(n=512, d_model=12):
    """Tokens with a common part, so that an untrained router likes some experts far better."""
    random = torch.Generator().manual_seed(3)
    return torch.randn(n, d_model, generator=random) + 3.0 * torch.randn(d_model, generator=random)


@pytest.mark.parametrize("gate", ["softmax", "sigmoid"])
def test_the_bias_evens_out_a_skewed_router(gate):
    router = router_of(ExpertsConfig(8, 2, 8, gate=gate), scale=0.25)
    tokens = skewed_tokens()
    before = layer_load(router(tokens).loads().tolist())
    for _ in range(600):
        update_bias(router, router(tokens).loads(), 0.002)
    after = layer_load(router(tokens).loads().tolist())
    assert before.busiest_to_mean > 2
    assert before.n_dead > 0
    assert after.n_dead == 0
    assert after.busiest_to_mean <= 1.5
    assert after.entropy > 0.98 > before.entropy


def test_the_switch_loss_evens_out_a_skewed_router():
    router = router_of(ExpertsConfig(8, 2, 8))
    tokens = skewed_tokens()
    before = layer_load(router(tokens).loads().tolist())
    optimiser = torch.optim.Adam(router.parameters(), lr=0.02)
    for _ in range(200):
        optimiser.zero_grad()
        switch_loss(router(tokens)).backward()
        optimiser.step()
    after = layer_load(router(tokens).loads().tolist())
    assert after.busiest_to_mean <= 1.5 < before.busiest_to_mean
    assert after.n_dead == 0


def test_the_bias_takes_steps_of_one_size_towards_the_mean():
    router = router_of(ExpertsConfig(4, 1, 8))
    update_bias(router, torch.tensor([10, 2, 6, 6]), 0.001)
    torch.testing.assert_close(router.bias, torch.tensor([-0.001, 0.001, 0.0, 0.0]))
