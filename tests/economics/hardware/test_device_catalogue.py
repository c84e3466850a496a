"""The catalogues of devices and prices, and devices of one's own."""

from __future__ import annotations

import pytest

from understudy.economics.hardware.catalogue import (
    cloud_prices,
    cloud_prices_of,
    currencies,
    electricity_prices,
    find_cloud_price,
    find_device,
    find_electricity,
    known_devices,
    rent_offer,
)
from understudy.economics.hardware.device import device_from
from understudy.errors import ConfigError


@pytest.mark.parametrize("name", known_devices())
def test_every_device_has_a_source_and_plausible_figures(name: str) -> None:
    device = known_devices()[name]
    assert device.source
    assert device.as_of
    assert device.released is not None
    assert device.memory_bytes is not None
    assert 1e9 < device.memory_bytes < 1e13
    if device.kind == "browser":
        # A tab is as fast as the machine below it.
        assert device.bandwidth_bytes_per_second is None
        return
    assert device.bandwidth_bytes_per_second is not None
    # From a small board to the fastest stack of memory on the market.
    assert 1e10 < device.bandwidth_bytes_per_second < 1e13
    rates = device.flop_per_second
    if "fp32" in rates and "bf16" in rates:
        assert rates["bf16"] > rates["fp32"]
    if "bf16" in rates and "fp8" in rates:
        assert 1 <= rates["fp8"] / rates["bf16"] <= 2.05
    assert device.price_usd is None or device.price_date


def test_no_unknown_figure_is_zero() -> None:
    for device in known_devices().values():
        numbers = [
            device.tdp_watts,
            device.price_usd,
            device.battery_joules,
            *device.flop_per_second.values(),
        ]
        assert 0 not in numbers
    assert find_device("snapdragon-855").price_usd is None


def test_every_instance_holds_a_known_device() -> None:
    for one in cloud_prices().values():
        assert one.device in known_devices()
        assert one.usd_per_hour > 0
        assert one.as_of
    found = cloud_prices_of("h100-sxm")
    assert [one.usd_per_device_hour for one in found] == sorted(one.usd_per_device_hour for one in found)
    # The instance of published figure 9.
    assert find_cloud_price("g4dn.xlarge").usd_per_hour == 0.526
    assert cloud_prices_of("raspberry-pi-5") == []


def test_instances_are_rented_whole_and_the_cheapest_for_so_many_is_taken() -> None:
    one, eight = rent_offer("h100-sxm"), rent_offer("h100-sxm", 8)
    assert one is not None
    assert eight is not None
    assert (one.provider, one.usd_per_device_hour) == ("Lambda", 3.29)
    assert eight.usd_per_device_hour == pytest.approx(2.99)
    assert (eight.whole(1), eight.whole(8), eight.whole(9)) == (8, 8, 16)
    assert "1/8 of an instance of 8" in find_cloud_price("p5.48xlarge").words
    assert "of an instance" not in one.words
    assert rent_offer("raspberry-pi-5") is None


def test_a_price_is_that_of_the_card_inside() -> None:
    assert find_device(find_cloud_price("p3.2xlarge").device).memory_bytes == 16e9
    large = find_cloud_price("p3dn.24xlarge")
    assert find_device(large.device).memory_bytes == 32e9
    assert large.usd_per_device_hour == pytest.approx(3.9015)


def test_electricity_comes_in_dollars() -> None:
    assert find_electricity("us-residential").usd_per_kwh() == 0.160
    home = find_electricity("cn-residential")
    assert home.usd_per_kwh() == pytest.approx(0.542 / currencies()["CNY"].units_per_usd)
    assert all(one.source and one.year for one in electricity_prices().values())


def test_a_rate_is_taken_from_the_next_wider_format() -> None:
    h100, v100 = find_device("h100-sxm"), find_device("v100-sxm2-32gb")
    assert h100.rate("fp8") == (1979e12, "fp8")
    assert v100.rate("fp8") == (125e12, "bf16")
    assert v100.rate("fp16") == (125e12, "bf16")
    assert find_device("apple-m4").rate("bf16") is None


def test_a_device_of_ones_own_and_changes_to_a_known_one() -> None:
    mine = device_from(
        {"memory_bytes": "24e9", "bandwidth_bytes_per_second": 1e12, "bf16_flop_per_second": 1e14}
    )
    assert mine.memory_bytes == 24e9
    assert mine.rate("bf16") == (1e14, "bf16")
    cheap = device_from({"price_usd": 100}, find_device("h100-sxm"))
    assert (cheap.price_usd, cheap.memory_bytes) == (100, 80e9)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"memory": 1}, "memory is no field"),
        ({"memory_bytes": "much"}, "memory_bytes must be a number above 0"),
        ({"tdp_watts": -3}, "tdp_watts must be a number above 0"),
        ({"price_usd": float("inf")}, "price_usd"),
        ({"bf16_flop_per_second": True}, "bf16_flop_per_second"),
    ],
)
def test_a_wrong_field_is_refused_by_name(given: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        device_from(given)


def test_unknown_names_get_near_ones_and_a_way_to_list_all() -> None:
    with pytest.raises(ConfigError, match=r"h100-sxm(.|\n)*--list-devices"):
        find_device("h100")
    with pytest.raises(ConfigError, match=r"g4dn\.xlarge"):
        find_cloud_price("g4dn")
    with pytest.raises(ConfigError, match="cn-residential"):
        find_electricity("cn")
