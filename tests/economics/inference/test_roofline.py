"""Times of passes and calls, against sums by hand and against published runs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.economics.hardware.catalogue import find_device
from understudy.economics.hardware.device import device_from
from understudy.economics.inference.answer import answer_time, cost_usd, energy_joules
from understudy.economics.inference.rates import ASSUMED, Efficiency, Span, rates_of
from understudy.economics.inference.roofline import Formats, decode_pass, prefill_pass
from understudy.economics.inference.traffic import expected_experts, weight_traffic_bytes
from understudy.economics.transformer.catalogue import find_model
from understudy.economics.transformer.flops import prefill_flop
from understudy.economics.transformer.parameters import count_parameters
from understudy.economics.transformer.precision import Precision, parse_precision
from understudy.errors import ConfigError

BF16 = Formats(parse_precision("bf16"), parse_precision("bf16"))
PEAK = Efficiency(Span.exact(1.0), Span.exact(1.0), "peaks")
LLAMA = find_model("llama-3.1-8b").shape

# gpt-fast's README: batch 1, a prompt of 5 tokens. Its 4-bit format has a scale and a zero point of 16 bits each
# per 32 numbers; an MI250X is two devices of half its figures, and one is used.
GROUPED_4 = Precision("int4, zero points", 4, 32, 32)
HALF_MI250X = device_from({"bandwidth_bytes_per_second": 1638e9, "bf16_flop_per_second": 191.5e12})
PUBLISHED = [
    ("llama-2-7b", "a100", parse_precision("bf16"), 104.9),
    ("llama-2-7b", "a100", parse_precision("int8-g0"), 155.58),
    ("llama-2-7b", "a100", GROUPED_4, 196.80),
    ("llama-2-70b", "a100", parse_precision("int8-g0"), 19.13),
    ("llama-2-70b", "a100", GROUPED_4, 25.25),
    ("llama-2-7b", "mi250x", parse_precision("bf16"), 76.33),
    ("llama-2-7b", "mi250x", parse_precision("int8-g0"), 101.86),
]


@pytest.mark.parametrize(("model", "card", "weights", "tokens_per_second"), PUBLISHED)
def test_published_runs_lie_within_the_assumed_span(
    model: str, card: str, weights: Precision, tokens_per_second: float
) -> None:
    device = HALF_MI250X if card == "mi250x" else find_device("a100-80gb-sxm")
    formats = Formats(weights, parse_precision("bf16"))
    found = decode_pass(find_model(model).shape, rates_of(device, "bf16"), formats, context=100)
    assert found.bound == "memory"
    assert found.seconds is not None
    assert found.seconds.low <= 1 / tokens_per_second <= found.seconds.high


def test_a_pass_takes_as_long_as_its_slower_part() -> None:
    device = device_from({"bandwidth_bytes_per_second": 1e12, "bf16_flop_per_second": 1e14})
    rates = rates_of(device, "bf16", PEAK)
    read = prefill_pass(LLAMA, rates, BF16, n_tokens=1000)
    assert read.bound == "arithmetic"
    assert read.seconds == Span.exact(prefill_flop(LLAMA, 1000) / 1e14)
    written = decode_pass(LLAMA, rates, BF16, context=1000)
    numbers = count_parameters(LLAMA).multiplied + LLAMA.d_model
    cache = 32 * 2 * 8 * 128 * 2 * 1000
    assert written.bound == "memory"
    assert written.seconds == Span.exact((2 * numbers + cache) / 1e12)


def test_batches_share_the_weights_until_arithmetic_binds() -> None:
    rates = rates_of(find_device("h100-sxm"), "bf16")

    def rate(batch: int) -> tuple[float, str | None]:
        found = decode_pass(LLAMA, rates, BF16, context=200, batch=batch)
        assert found.seconds is not None
        return batch / found.seconds.typical, found.bound

    assert rate(8)[0] > 7.5 * rate(1)[0]
    assert rate(1)[1] == "memory"
    assert rate(1024)[1] == "arithmetic"


@settings(max_examples=30)
@given(st.integers(1, 300), st.integers(1, 64), st.data())
def test_expected_experts_is_what_drawing_them_gives(
    n_tokens: int, n_experts: int, data: st.DataObject
) -> None:
    n_active = data.draw(st.integers(1, n_experts))
    expected = expected_experts(n_experts, n_active, n_tokens)
    assert n_active - 1e-9 <= expected <= min(n_experts, n_active * n_tokens) + 1e-9
    rng = np.random.default_rng(0)
    draws = 200
    ranks = rng.random((draws, n_tokens, n_experts)).argpartition(n_active - 1, axis=2)[:, :, :n_active]
    seen = np.array([len(np.unique(one)) for one in ranks])
    # Within five standard errors; the last term is for counts that do not vary.
    assert abs(seen.mean() - expected) <= 5 * seen.std() / np.sqrt(draws) + 0.1


def test_a_mixture_reads_only_visited_experts() -> None:
    shape = find_model("mixtral-8x7b").shape
    counts = count_parameters(shape)
    rows = shape.d_model * 2
    assert weight_traffic_bytes(shape, BF16.weights, 1) == 2 * counts.multiplied + rows
    whole = 2 * (counts.total - counts.embedding + shape.n_vocab * shape.d_model)
    assert weight_traffic_bytes(shape, BF16.weights, 10_000) == pytest.approx(whole + 10_000 * rows)
    two = weight_traffic_bytes(shape, BF16.weights, 2)
    # Two tokens with 2 of 8 each: 3.5 different experts on the mean.
    assert two == pytest.approx(2 * (counts.multiplied + 1.5 * 32 * counts.expert) + 2 * rows)
    jet = find_model("jetmoe-8b").shape
    everything = 2 * (count_parameters(jet).total + 1000 * jet.d_model)
    assert weight_traffic_bytes(jet, BF16.weights, 1000) == pytest.approx(everything, rel=1e-6)


@given(st.integers(1, 4000), st.integers(1, 2000), st.integers(1, 64))
def test_a_call_is_reading_and_then_a_pass_per_further_token(n_input: int, n_output: int, batch: int) -> None:
    rates = rates_of(find_device("a100-80gb-sxm"), "bf16")
    found = answer_time(LLAMA, rates, BF16, n_input=n_input, n_output=n_output, batch=batch)
    assert found.first_token_seconds is not None
    assert found.token_seconds is not None
    assert found.total_seconds is not None
    assert found.tokens_per_second is not None
    total = found.first_token_seconds.typical + (n_output - 1) * found.token_seconds.typical
    assert found.total_seconds.typical == pytest.approx(total)
    assert found.total_seconds.low <= found.total_seconds.typical <= found.total_seconds.high
    assert found.tokens_per_second.typical == pytest.approx(batch * n_output / total)


def test_the_mean_over_contexts_is_the_mean_of_all_passes() -> None:
    rates = rates_of(find_device("l4"), "bf16")
    for name in ("llama-3.2-1b", "gemma-3-1b"):
        shape = find_model(name).shape
        found = answer_time(shape, rates, BF16, n_input=400, n_output=301)
        every = [decode_pass(shape, rates, BF16, context=context).seconds for context in range(401, 701)]
        mean = sum(one.typical for one in every if one is not None) / 300
        assert found.token_seconds is not None
        assert found.token_seconds.typical == pytest.approx(mean, rel=1e-3)


def test_money_and_energy_follow_time_and_are_shared_by_the_batch() -> None:
    assert cost_usd(Span(1, 2, 3), 3600.0, batch=4).typical == 0.5
    assert energy_joules(Span(1, 2, 3), 100.0, batch=4).high == 75.0


def test_what_is_not_known_of_a_machine_is_not_made_up() -> None:
    phone = rates_of(find_device("snapdragon-8-elite"), "bf16")
    found = answer_time(LLAMA, phone, BF16, n_input=100, n_output=50)
    assert found.token_seconds is not None
    assert found.first_token_seconds is None
    assert found.total_seconds is None
    assert found.prefill.reason == "the device's arithmetic is unknown"
    with pytest.raises(ConfigError, match="bandwidth of browser-wasm is unknown"):
        rates_of(find_device("browser-wasm"), "bf16")


def test_several_devices_are_at_most_their_sum() -> None:
    one = rates_of(find_device("a100-80gb-sxm"), "bf16")
    four = one.split_over(4)
    assert one.split_over(1) is one
    assert four.bytes_per_second.high == 4 * one.bytes_per_second.high
    assert four.bytes_per_second.typical < 4 * one.bytes_per_second.typical
    # gpt-fast's README: Llama-2-70B on 4 A100 writes 38.01 tokens per second, on 8 it writes 62.50.
    shape = find_model("llama-2-70b").shape
    for n_devices, published in ((2, 21.32), (4, 38.01), (8, 62.50)):
        found = decode_pass(shape, one.split_over(n_devices), BF16, context=100).seconds
        assert found is not None
        assert found.low <= 1 / published <= found.high


@pytest.mark.parametrize("wrong", [(0.0, 0.5, 1.0), (0.5, 1.0, 1.5)])
def test_an_efficiency_is_a_share(wrong: tuple[float, float, float]) -> None:
    with pytest.raises(ConfigError, match="share of compute"):
        Efficiency(Span(*wrong), ASSUMED.bandwidth, "wrong")


@pytest.mark.parametrize("wrong", [{"n_input": 0}, {"n_output": 0}, {"batch": 0}])
def test_no_tokens_and_no_calls_are_refused(wrong: dict[str, int]) -> None:
    given_ = {"n_input": 1, "n_output": 1, "batch": 1, **wrong}
    with pytest.raises(ConfigError, match="must be 1 or more"):
        answer_time(LLAMA, rates_of(find_device("l4"), "bf16"), BF16, **given_)
