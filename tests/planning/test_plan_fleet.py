import json

import pytest

from understudy.drawing.xy import draw_xy
from understudy.economics.fleet import Demand, Promise, Unit
from understudy.economics.hardware.catalogue import currencies
from understudy.errors import ConfigError
from understudy.planning.fleet import fleet_chart, plan_fleet, running_of


@pytest.fixture(scope="module")
def plan():
    running, name, sources = running_of("l4")
    return plan_fleet(Demand(5, 3), Unit(1.5, 8), Promise(), running, device=name, sources=sources)


def test_the_catalogue_gives_rent_power_and_electricity(plan):
    found = plan.to_dict()
    assert found["usd_per_hour"] > 0
    assert found["kwh_per_month"] > 0
    assert found["cny_per_month"] == pytest.approx(found["usd_per_month"] * currencies()["CNY"].units_per_usd)
    assert set(plan.sources) == {"rent", "power", "electricity"}
    json.dumps(found)


def test_ten_times_the_load_needs_less_than_ten_times_the_devices(plan):
    devices = dict(plan.by_load)
    assert devices[1.0] == plan.fleet.devices
    assert devices[10.0] < 10 * devices[1.0]
    assert sorted(devices.values()) == list(devices.values())


def test_an_own_device_needs_a_price():
    running, _, sources = running_of("rtx-4090", is_owned=True)
    assert running.device_usd == 1_599 or "price" in sources
    nothing, name, _ = running_of("custom", power_w=100)
    assert name == "custom"
    assert nothing.fleet_usd_per_hour(1, 1.0)[0] is None


def test_instances_of_several_devices_are_told_to_come_whole():
    running, name, sources = running_of("a100-80gb-sxm")
    demand, unit = Demand(5, 3), Unit(1.5, 8)
    found = plan_fleet(demand, unit, Promise(), running, device=name, sources=sources)
    assert found.fleet.devices == 5
    assert "8 devices at a time: 8 devices for $29,905" in found.instance_warning
    filled = plan_fleet(demand, unit, Promise(spares=4), running, device=name, sources=sources)
    assert filled.fleet.devices == 8
    assert filled.instance_warning is None
    running, name, sources = running_of("h100-sxm")
    one = plan_fleet(demand, unit, Promise(), running, device=name, sources=sources)
    assert one.instance_warning is None
    assert "Lambda" in one.sources["rent"]


def test_wrong_names_and_rates_are_told():
    with pytest.raises(ConfigError, match="no device"):
        running_of("h9000")
    with pytest.raises(ConfigError, match="electricity"):
        running_of("l4", electricity="moon")
    running, name, _ = running_of("l4")
    with pytest.raises(ConfigError, match="CNY per USD"):
        plan_fleet(Demand(1), Unit(1), Promise(), running, device=name, cny_per_usd=0.0)


def test_the_chart_shows_the_queue_above_division(plan):
    chart = fleet_chart(plan)
    queued, divided = chart.series
    assert all(above > below for above, below in zip(queued.y, divided.y, strict=True))
    assert "this plan" in str(draw_xy(chart, 1000))
