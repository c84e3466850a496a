"""Memory on a machine, and tokens over a device's life."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.economics.hardware.catalogue import find_device, known_devices
from understudy.economics.hardware.device import device_from
from understudy.economics.inference.life import device_life
from understudy.economics.inference.memory import USABLE_SHARE, memory_need, most_sequences, usable_bytes
from understudy.economics.inference.roofline import Formats
from understudy.economics.transformer.catalogue import find_model
from understudy.economics.transformer.precision import parse_precision
from understudy.errors import ConfigError

FORMATS = Formats(parse_precision("int4"), parse_precision("fp16"))


def test_every_kind_of_the_catalogue_has_a_usable_share() -> None:
    assert {device.kind for device in known_devices().values()} <= set(USABLE_SHARE)


@given(st.floats(1e9, 1e12), st.integers(1, 100_000))
def test_the_most_that_fits_fits_and_one_more_does_not(usable: float, context: int) -> None:
    shape = find_model("gemma-2-2b").shape
    n = most_sequences(shape, FORMATS, usable, context=context)
    if n:
        assert memory_need(shape, FORMATS, usable, batch=n, context=context).has_room
    more = memory_need(shape, FORMATS, usable, batch=n + 1, context=context)
    assert not more.has_room
    assert more.total_bytes == more.weight_bytes + more.cache_bytes


def test_usable_memory_is_a_share_by_kind_or_as_given() -> None:
    assert usable_bytes(find_device("h100-sxm")) == pytest.approx(0.9 * 80e9)
    assert usable_bytes(find_device("h100-sxm"), n_devices=2, share=1.0) == 160e9
    assert usable_bytes(find_device("iphone-15-pro")) == pytest.approx(4e9)
    assert usable_bytes(device_from({"tdp_watts": 5})) is None
    unknown = memory_need(find_model("gpt2").shape, FORMATS, None, batch=1, context=10)
    assert unknown.has_room is None
    with pytest.raises(ConfigError, match="usable share"):
        usable_bytes(find_device("l4"), share=1.5)


def test_published_figure_14_a_phone_chip_over_five_years() -> None:
    # 600 CNY, 5 years, 7.5 tokens/s: the plain formula gives 1.97M tokens per CNY, not the published 1.7M.
    plain = device_life(price=600, years=5, tokens_per_second=7.5)
    assert plain.tokens_per_unit == pytest.approx(1.97e6, rel=2e-3)
    # Either of two assumptions closes the gap: 86 % uptime, or 4 W of electricity at 0.542 CNY per kWh.
    uptime = device_life(price=600, years=5, tokens_per_second=7.5, uptime=0.86)
    assert uptime.tokens_per_unit == pytest.approx(1.70e6, rel=5e-3)
    powered = device_life(price=600, years=5, tokens_per_second=7.5, watts=4, price_per_kwh=0.542)
    assert powered.tokens_per_unit == pytest.approx(1.70e6, rel=5e-3)
    assert powered.electricity == pytest.approx(4e-3 * 5 * 365.25 * 24 * 0.542)
    assert powered.total == 600 + powered.electricity


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"price": 0}, "price must be above 0"),
        ({"years": -1}, "years must be above 0"),
        ({"tokens_per_second": float("nan")}, "tokens_per_second must be above 0"),
        ({"uptime": 1.2}, "uptime must be above 0 and at most 1"),
        ({"watts": 3}, "electricity needs both"),
        ({"watts": -3, "price_per_kwh": 0.1}, "watts must be 0 or more"),
    ],
)
def test_nonsense_is_refused_by_name(changes: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        device_life(**{"price": 600, "years": 5, "tokens_per_second": 7.5, **changes})
