from dataclasses import replace

import pytest
import torch
from tiny_decoder import DENSE, MIXTURE

from understudy.errors import ConfigError
from understudy.lm.config import ExpertsConfig
from understudy.lm.decoder import build_decoder, expert_blocks, load_decoder
from understudy.lm.upcycle import upcycle, upcycling_gap

IDS = torch.arange(40).view(2, 20) % 80
EXACT = [
    ("copy", ExpertsConfig(4, 2, 48)),
    ("copy", ExpertsConfig(5, 3, 48, gate="sigmoid")),
    ("copy", ExpertsConfig(3, 3, 48, is_renormalised=False)),
    ("copy", ExpertsConfig(4, 1, 48, every=2)),
    ("shared", ExpertsConfig(6, 2, 24, n_shared=2, is_renormalised=False, gate="sigmoid")),
    ("shared", ExpertsConfig(4, 2, 48, n_shared=1, routed_scale=2.5)),
    ("granular", ExpertsConfig(9, 3, 16, routed_scale=3.0)),
    ("granular", ExpertsConfig(8, 4, 12, routed_scale=4.0, gate="sigmoid")),
]
INEXACT = [
    ("copy", ExpertsConfig(4, 2, 48, is_renormalised=False), "is_renormalised"),
    ("copy", ExpertsConfig(4, 2, 48, routed_scale=2.0), "routed_scale to 1"),
    ("granular", ExpertsConfig(6, 3, 16), "routed_scale to 3"),
    ("copy", ExpertsConfig(4, 2, 48, capacity_factor=0.5), "capacity_factor"),
]


@pytest.fixture(scope="module")
def dense():
    model = build_decoder(DENSE, seed=1)
    for parameter in model.parameters():
        parameter.data.mul_(4)  # so that the feed-forward parts matter to the logits
    return model.eval()


def distance(one, other):
    """Of logits, as a share of their size."""
    with torch.no_grad():
        expected = other(IDS).logits
        return float((one(IDS).logits - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize(("scheme", "experts"), EXACT, ids=str)
def test_schemes_that_say_so_are_exact_at_the_start(dense, scheme, experts):
    assert upcycling_gap(experts, scheme) is None
    moe = upcycle(dense, experts, scheme=scheme, seed=5)
    assert len(expert_blocks(moe)) == 2 // experts.every
    assert distance(moe, dense) < 1e-5


@pytest.mark.parametrize(("scheme", "experts", "word"), INEXACT, ids=str)
def test_schemes_that_are_not_exact_say_why(dense, scheme, experts, word):
    assert word in upcycling_gap(experts, scheme)
    moe = upcycle(dense, experts, scheme=scheme, seed=5)
    moe.train()
    assert distance(moe, dense) > 1e-3


def test_routed_experts_learn_in_every_scheme(dense):
    for scheme, experts in EXACT:
        moe = upcycle(dense, experts, scheme=scheme)
        moe(IDS, labels=IDS).loss.backward()
        assert all(block.experts.down.grad.abs().sum() > 0 for block in expert_blocks(moe))


def test_an_upcycled_checkpoint_is_saved_and_read_back(dense, tmp_path):
    dense.save_pretrained(tmp_path / "dense")
    moe = upcycle(load_decoder(tmp_path / "dense"), ExpertsConfig(4, 2, 48))
    moe.save_pretrained(tmp_path / "moe")
    assert distance(load_decoder(tmp_path / "moe"), moe) == 0


@pytest.mark.parametrize(
    ("scheme", "experts", "field"),
    [
        ("copy", ExpertsConfig(4, 2, 32), "d_expert"),
        ("copy", ExpertsConfig(4, 2, 48, n_shared=1), "n_shared"),
        ("shared", ExpertsConfig(4, 2, 48), "n_shared"),
        ("granular", ExpertsConfig(7, 3, 16), "n_experts"),
        ("granular", ExpertsConfig(6, 3, 48), "d_expert"),
        ("paste", ExpertsConfig(4, 2, 48), "scheme"),
    ],
)
def test_what_does_not_fit_names_the_field(dense, scheme, experts, field):
    with pytest.raises(ConfigError, match=f"^{field} must be"):
        upcycle(dense, experts, scheme=scheme)


def test_a_mixture_is_not_upcycled_again():
    with pytest.raises(ConfigError, match="only a dense Llama"):
        upcycle(build_decoder(replace(MIXTURE, n_layers=1), seed=0), ExpertsConfig(4, 2, 48))
