import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.errors import ConfigError
from understudy.lm.config import DecoderConfig, ExpertsConfig

DENSE = {"vocab_size": 64, "d_model": 32, "n_layers": 4, "n_heads": 4, "n_kv_heads": 2, "d_ff": 48}
EXPERTS = {"n_experts": 4, "n_active": 2, "d_expert": 16}


def shape(**changes):
    return DecoderConfig(**{**DENSE, "context_tokens": 64, **changes})


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"vocab_size": 0}, "vocab_size"),
        ({"n_layers": 1.5}, "n_layers"),
        ({"n_layers": True}, "n_layers"),
        ({"d_model": 30}, "d_model"),
        ({"n_kv_heads": 3}, "n_kv_heads"),
        ({"d_head": 7}, "d_head"),
        ({"rope_theta": -1.0}, "rope_theta"),
        ({"experts": ExpertsConfig(**EXPERTS, every=5)}, "every"),
    ],
)
def test_an_impossible_shape_names_the_field(changes, field):
    with pytest.raises(ConfigError, match=f"^{field} must be"):
        shape(**changes)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"n_active": 5}, "n_active"),
        ({"n_active": 0}, "n_active"),
        ({"n_shared": -1}, "n_shared"),
        ({"gate": "tanh"}, "gate"),
        ({"capacity_factor": 0.0}, "capacity_factor"),
        ({"routed_scale": 0.0}, "routed_scale"),
    ],
)
def test_an_impossible_mixture_names_the_field(changes, field):
    with pytest.raises(ConfigError, match=f"^{field} must be"):
        ExpertsConfig(**{**EXPERTS, **changes})


def test_the_counts_of_a_published_model():
    # Mixtral 8x7B: 46.7 billion parameters, of which a token uses 12.9 billion (Mistral AI, 2023).
    mixtral = DecoderConfig(
        vocab_size=32_000,
        d_model=4096,
        n_layers=32,
        n_heads=32,
        n_kv_heads=8,
        d_ff=14_336,
        context_tokens=32_768,
        is_tied=False,
        experts=ExpertsConfig(8, 2, 14_336),
    )
    assert mixtral.n_parameters() == pytest.approx(46.7e9, rel=1e-3)
    assert mixtral.n_parameters(is_active_only=True) == pytest.approx(12.9e9, rel=2e-3)


@settings(max_examples=40)
@given(
    n_experts=st.integers(1, 9),
    n_shared=st.integers(0, 2),
    d_expert=st.integers(1, 40),
    every=st.integers(1, 4),
    is_tied=st.booleans(),
    match=st.sampled_from(["active", "total"]),
)
def test_the_dense_twin_is_as_close_as_it_says(n_experts, n_shared, d_expert, every, is_tied, match):
    experts = ExpertsConfig(n_experts, 1, d_expert, n_shared=n_shared, every=every)
    moe = shape(experts=experts, is_tied=is_tied)
    twin = moe.dense_twin(match, multiple_of=1)
    assert twin.experts is None
    gap = twin.n_parameters() - moe.n_parameters(is_active_only=match == "active")
    assert abs(gap) <= 1.5 * moe.d_model * moe.n_layers


def test_a_shape_survives_json_and_refuses_unknown_fields():
    moe = shape(experts=ExpertsConfig(**EXPERTS, gate="sigmoid"))
    assert DecoderConfig.from_dict(moe.to_dict()) == moe
    assert moe.dense_twin().dense_twin() == moe.dense_twin()
    with pytest.raises(ConfigError, match="cannot be read"):
        DecoderConfig.from_dict({**moe.to_dict(), "colour": "red"})


def test_operations_per_token_follow_the_stated_formula():
    config = shape(is_tied=False)
    n = config.n_parameters() - 64 * 32
    assert config.train_flops_per_token(100) == 6 * n + 12 * 4 * 4 * 8 * 100
