"""Plans of a device: what fits, how fast, and what a token costs over its life."""

from __future__ import annotations

import json
from typing import Any

import pytest

from understudy.economics.hardware.catalogue import known_devices
from understudy.economics.hardware.device import device_from
from understudy.errors import ConfigError
from understudy.planning.device import DevicePlan, DeviceRequest, Money, largest_models, plan_device
from understudy.planning.device_choice import choose_device
from understudy.planning.model_choice import choose_model


def plan(model: str = "qwen2.5-1.5b", device: str = "raspberry-pi-5", **changes: Any) -> DevicePlan:
    return plan_device(
        DeviceRequest(model=choose_model(model=model), device=choose_device(device), **changes)
    )


def test_smaller_numbers_take_less_room_and_write_faster() -> None:
    found = plan()
    sizes = [fit.memory.total_bytes for fit in found.fits]
    speeds = [fit.tokens_per_second.typical for fit in found.fits if fit.tokens_per_second is not None]
    assert sizes == sorted(sizes, reverse=True)
    assert speeds == sorted(speeds)
    assert len(speeds) == 3
    assert all(fit.memory.has_room for fit in found.fits)
    json.dumps(found.to_dict())


def test_what_does_not_fit_has_no_speed() -> None:
    found = plan(model="llama-3.1-8b")
    fits = {fit.weights.name: fit for fit in found.fits}
    assert fits["bf16"].memory.has_room is False
    assert fits["bf16"].tokens_per_second is None
    assert fits["bf16"].reason == "does not fit"
    assert fits["int4"].memory.has_room


def test_published_figure_14_comes_out_of_a_plan() -> None:
    chip = device_from({"memory_bytes": 8e9})

    def tokens_per_cny(**money: float) -> float:
        found = plan_device(
            DeviceRequest(
                model=choose_model(model="minicpm-2b"),
                device=chip,
                weights=("int4",),
                tokens_per_second=7.5,
                watts=4.0,
                money=Money(price_cny=600, years=5, **money),
            )
        )
        life = found.fits[0].life_cny
        assert life is not None
        return life.tokens_per_unit

    assert tokens_per_cny() == pytest.approx(1.97e6, rel=2e-3)
    assert tokens_per_cny(uptime=0.86) == pytest.approx(1.7e6, rel=5e-3)
    assert tokens_per_cny(usd_per_kwh=0.542 / 7.1217) == pytest.approx(1.7e6, rel=5e-3)


def test_both_currencies_tell_the_same_story() -> None:
    fit = plan(money=Money(cny_per_usd=7.0, usd_per_kwh=0.1), watts=8.0).fits[0]
    assert fit.life_usd is not None
    assert fit.life_cny is not None
    assert fit.life_usd.tokens_per_unit == pytest.approx(7 * fit.life_cny.tokens_per_unit)
    assert fit.life_usd.electricity is not None


def test_energy_and_charges_need_power_and_a_battery() -> None:
    found = plan(device="pixel-8-pro")
    assert found.fits[0].answer_joules is None
    known = plan_device(
        DeviceRequest(
            model=choose_model(model="qwen2.5-1.5b"),
            device=choose_device("pixel-8-pro", ["bf16_flop_per_second=2e12"]),
            watts=5.0,
        )
    ).fits[-1]
    assert known.answer_seconds is not None
    assert known.answer_joules is not None
    assert known.answers_per_charge is not None
    assert known.answer_joules.typical == pytest.approx(5 * known.answer_seconds.typical)
    assert known.answers_per_charge.typical == pytest.approx(70_000 / known.answer_joules.typical)


def test_without_arithmetic_the_energy_of_writing_is_a_bound() -> None:
    phone = plan(device="pixel-8-pro", watts=5.0).fits[-1]
    assert phone.answer_seconds is None
    assert phone.is_energy_of_writing
    assert phone.tokens_per_second is not None
    assert phone.answer_joules is not None
    assert phone.answers_per_charge is not None
    assert phone.answer_joules.typical == pytest.approx(5 * 200 / phone.tokens_per_second.typical)
    assert phone.answers_per_charge.typical == pytest.approx(70_000 / phone.answer_joules.typical)
    whole = plan_device(
        DeviceRequest(
            model=choose_model(model="qwen2.5-1.5b"),
            device=choose_device("pixel-8-pro", ["bf16_flop_per_second=2e12"]),
            watts=5.0,
        )
    ).fits[-1]
    assert not whole.is_energy_of_writing
    assert whole.answer_joules is not None
    assert whole.answer_joules.typical > phone.answer_joules.typical
    assert not plan(device="pixel-8-pro").fits[-1].is_energy_of_writing


def test_an_unknown_speed_says_which_figure_is_missing() -> None:
    found = plan(model="gemma-2-2b", device="browser-wasm")
    assert found.rates is None
    reasons = {fit.weights.name: fit.reason or "" for fit in found.fits}
    assert "bandwidth" in reasons["int4"]
    phone = plan(device="snapdragon-855").fits[-1]
    assert phone.tokens_per_second is not None
    assert phone.answer_seconds is None
    assert "arithmetic" in (phone.reason or "")


def test_the_context_is_checked_on_a_device_too() -> None:
    assert "2,048" in (plan(model="tinyllama-1.1b", n_input=2_000).context_warning or "")
    with pytest.raises(ConfigError, match="--input-tokens"):
        plan(model="gpt2", n_input=2_000)
    laptop = known_devices()["apple-m4"]
    short, long = ({one.id for one, _ in largest_models(laptop, "int4", context=n)} for n in (1024, 1025))
    assert short - long == {"gpt2", "gpt2-xl"}


def test_models_that_fit_are_listed_largest_first() -> None:
    phone = known_devices()["iphone-15-pro"]
    found = largest_models(phone, "int4", context=700)
    assert found
    sizes = [need.weight_bytes for _, need in found]
    assert sizes == sorted(sizes, reverse=True)
    assert all(need.has_room for _, need in found)
    fewer = largest_models(phone, "bf16", context=700)
    assert {model.id for model, _ in fewer} < {model.id for model, _ in found}
    assert "gpt-3-175b" not in {
        model.id for model, _ in largest_models(phone, "int4", context=1, usable_share=1.0)
    }
    with pytest.raises(ConfigError, match="memory of custom is unknown"):
        largest_models(device_from({"tdp_watts": 3}), "int4", context=1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_input": 0}, "--input-tokens"),
        ({"n_output": 0}, "--output-tokens"),
        ({"tokens_per_second": 0.0}, "--tokens-per-second"),
        ({"weights": ("int1",)}, "number format"),
        ({"watts": -1.0}, "--watts"),
    ],
)
def test_nonsense_is_refused_by_name(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        plan(**changes)


@pytest.mark.parametrize(
    "wrong",
    [{"years": 0}, {"uptime": 1.5}, {"price_usd": -1}, {"price_cny": 0}, {"usd_per_kwh": float("nan")}],
)
def test_impossible_money_is_refused_by_name(wrong: dict[str, float]) -> None:
    name = {"usd_per_kwh": "electricity"}.get(next(iter(wrong)), next(iter(wrong)).replace("_", "-"))
    with pytest.raises(ConfigError, match=f"--{name} must be"):
        Money(**wrong)


def test_a_device_has_one_price() -> None:
    with pytest.raises(ConfigError, match="--price-usd or --price-cny"):
        Money(price_usd=1, price_cny=1)
