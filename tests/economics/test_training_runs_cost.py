import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.economics.training_cost import Accelerator, flops_within, shape_training_flops, training_cost
from understudy.economics.training_memory import (
    Batch,
    Sharding,
    activation_bytes,
    fewest_devices,
    training_memory,
)
from understudy.economics.transformer.parameters import count_parameters
from understudy.economics.transformer.proposal import shape_for
from understudy.economics.transformer.shape import ModelShape
from understudy.errors import ConfigError

GPT3 = ModelShape(
    n_layers=96,
    d_model=12_288,
    n_heads=96,
    n_kv_heads=96,
    d_head=128,
    d_ff=49_152,
    n_vocab=51_200,
    is_gated=False,
)
MT_NLG = ModelShape(
    n_layers=105,
    d_model=20_480,
    n_heads=128,
    n_kv_heads=128,
    d_head=160,
    d_ff=81_920,
    n_vocab=51_200,
    is_gated=False,
)
DEVICE = Accelerator(name="d", peak_flops=1e15, memory_bytes=80e9, usd_per_hour=2.0, power_w=700)


@pytest.mark.parametrize(("shape", "saved"), [(GPT3, 0.70), (MT_NLG, 0.65)])
def test_selective_recomputation_saves_what_the_article_says(shape, saved):
    # Korthikanti et al., section 5: 70 % of the activations of GPT-3 and 65 % of MT-NLG.
    none = activation_bytes(shape, Batch(2_048, 1, "none"), tensor=8)
    selective = activation_bytes(shape, Batch(2_048, 1, "selective"), tensor=8)
    assert 1 - selective / none == pytest.approx(saved, abs=0.01)


def test_activations_by_the_formula():
    s, h, a, layers = 2_048, 12_288, 96, 96
    assert activation_bytes(GPT3, Batch(s, 1, "none")) == pytest.approx(layers * s * h * (34 + 5 * a * s / h))
    assert activation_bytes(GPT3, Batch(s, 4, "selective"), tensor=8) == pytest.approx(
        layers * s * 4 * h * 34 / 8
    )
    full = activation_bytes(GPT3, Batch(s, 1, "full"))
    assert full == pytest.approx(layers * s * h * 2 + 34 * s * h)


@pytest.mark.parametrize(("stage", "gigabytes"), [(0, 120.0), (1, 31.4), (2, 16.6), (3, 1.9)])
def test_states_as_in_the_article_on_zero(stage, gigabytes):
    # Rajbhandari et al., figure 1: 7.5e9 parameters over 64 devices.
    shape = shape_for(7.5e9)
    found = training_memory(shape, Sharding(64, zero_stage=stage), Batch(2_048))
    states = found.weight_bytes + found.gradient_bytes + found.optimiser_bytes
    assert states / count_parameters(shape).total * 7.5 == pytest.approx(gigabytes, abs=0.06)


@given(st.sampled_from([1e8, 1e9, 7e9, 70e9]), st.sampled_from([1, 2, 4, 8]), st.integers(0, 3))
def test_more_sharing_never_takes_more(size, tensor, stage):
    shape = shape_for(size)
    if shape.n_heads % tensor:
        return
    one = training_memory(shape, Sharding(8, 1, 1, stage), Batch())
    split = training_memory(shape, Sharding(8, tensor, 1, stage), Batch())
    assert split.total_bytes <= one.total_bytes
    if stage:
        less = training_memory(shape, Sharding(8, 1, 1, stage - 1), Batch())
        states = [one_.total_bytes - one_.gathered_bytes for one_ in (one, less)]
        assert states[0] < states[1]


def test_the_fewest_devices_fit_and_half_of_them_do_not():
    layout, memory = fewest_devices(shape_for(70e9), 80e9, Batch())
    assert memory.total_bytes <= 0.9 * 80e9
    assert layout.devices > 1
    small, _ = fewest_devices(shape_for(1e9), 80e9, Batch())
    assert small.devices == 1
    plain, _ = fewest_devices(shape_for(7e9), 80e9, Batch(), zero_stage=0)
    assert plain.tensor * plain.pipeline > 1
    assert fewest_devices(shape_for(1e9), 1e8, Batch(1_000_000)) is None


def test_a_pipeline_holds_as_many_activations_as_one_device():
    whole = activation_bytes(GPT3, Batch(2_048), tensor=1)
    staged = training_memory(GPT3, Sharding(1, 1, 8, 0), Batch(2_048))
    assert staged.activation_bytes == pytest.approx(whole)


def test_cost_by_hand():
    found = training_cost(3.6e21, DEVICE, devices=10, mfu=0.5, pue=1.5)
    assert found.device_hours == pytest.approx(2_000)
    assert found.wall_hours == pytest.approx(200)
    assert found.usd == pytest.approx(4_000)
    assert found.kwh == pytest.approx(2_100)
    assert found.usd_per_flop == pytest.approx(4_000 / 3.6e21)


def test_budgets_turn_back_into_the_same_cost():
    assert training_cost(flops_within(DEVICE, usd=1_000), DEVICE).usd == pytest.approx(1_000)
    hours = training_cost(flops_within(DEVICE, hours=24, devices=8), DEVICE, devices=8).wall_hours
    assert hours == pytest.approx(24)


def test_attention_adds_to_six_n():
    shape = shape_for(7e9)
    ratio = shape_training_flops(shape, 1.0, 4_096) / (6 * count_parameters(shape).multiplied)
    assert 1 < ratio < 1.2


def test_unknown_prices_have_reasons():
    found = training_cost(1e20, Accelerator(name="x", peak_flops=1e15))
    assert (found.usd, found.kwh, found.wall_hours) == (None, None, None)
    assert "no price per hour" in found.usd_reason
    with pytest.raises(ConfigError, match="no price"):
        flops_within(Accelerator(name="x", peak_flops=1e15), usd=10)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: training_cost(0, DEVICE),
        lambda: training_cost(1e20, DEVICE, mfu=1.5),
        lambda: training_cost(1e20, DEVICE, pue=0.5),
        lambda: training_cost(1e20, DEVICE, devices=0),
        lambda: flops_within(DEVICE),
        lambda: flops_within(DEVICE, hours=3),
        lambda: Sharding(0),
        lambda: Sharding(zero_stage=4),
        lambda: Batch(0),
        lambda: Batch(recompute="some"),
        lambda: training_memory(GPT3, Sharding(1, 7), Batch()),
        lambda: training_memory(GPT3, Sharding(1, 1, 97), Batch()),
        lambda: activation_bytes(GPT3, Batch(), tensor=0),
        lambda: fewest_devices(GPT3, 0, Batch()),
    ],
)
def test_wrong_numbers_are_told(wrong):
    with pytest.raises(ConfigError):
        wrong()
