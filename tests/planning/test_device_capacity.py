from dataclasses import replace

import pytest

from understudy.economics.hardware.catalogue import find_device
from understudy.errors import ConfigError
from understudy.planning.device_capacity import device_capacity, named_device_capacity


def test_a_device_holds_what_its_memory_and_speed_allow():
    assert device_capacity(memory_bytes=8e9, bits_per_parameter=4, usable_share=1) == 16e9
    slow = device_capacity(
        memory_bytes=8e9, bits_per_parameter=4, bandwidth_bytes_per_second=50e9, least_tokens_per_second=20
    )
    assert slow == pytest.approx(50e9 / 20 / 0.5)
    assert device_capacity(memory_bytes=8e9, bits_per_parameter=16, usable_share=0.5) == 2e9


@pytest.mark.parametrize(
    "wrong",
    [
        {"memory_bytes": 0},
        {"bits_per_parameter": -4},
        {"usable_share": 1.5},
        {"memory_bytes": 8},
        {"bandwidth_bytes_per_second": 1e9},
        {"bandwidth_bytes_per_second": 1e9, "least_tokens_per_second": 0},
    ],
)
def test_impossible_devices_are_refused(wrong):
    with pytest.raises(ConfigError):
        device_capacity(**{"memory_bytes": 8e9, "bits_per_parameter": 4, **wrong})


def test_a_named_device_gives_weights_its_kinds_share():
    phone = find_device("iphone-15-pro")
    assert phone.memory_bytes is not None
    assert named_device_capacity(phone, bits_per_parameter=8) == 0.5 * phone.memory_bytes
    assert named_device_capacity(phone, bits_per_parameter=8, usable_share=1.0) == phone.memory_bytes
    slow = named_device_capacity(
        phone, bits_per_parameter=8, bandwidth_bytes_per_second=10e9, least_tokens_per_second=10
    )
    assert slow == pytest.approx(1e9)
    with pytest.raises(ConfigError, match="memory of iphone-15-pro is unknown"):
        named_device_capacity(replace(phone, memory_bytes=None), bits_per_parameter=8)
    unknown = replace(phone, bandwidth_bytes_per_second=None)
    with pytest.raises(ConfigError, match="bandwidth of iphone-15-pro is unknown"):
        named_device_capacity(unknown, bits_per_parameter=8, least_tokens_per_second=10)
