import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.economics.fleet import Demand, Promise, Running, Unit, devices_by_flop, size_fleet
from understudy.errors import ConfigError


@given(st.floats(0.1, 500), st.floats(0.05, 10), st.integers(1, 32), st.floats(0.01, 5), st.integers(0, 3))
def test_the_fleet_keeps_its_promise_with_all_spares_out(rate, service, slots, limit, spares):
    found = size_fleet(
        Demand(rate, 2.0), Unit(service, slots), Promise(limit, 0.9, spares, most_utilisation=1.0), Running()
    )
    assert found.devices == found.working + spares
    assert found.working >= found.by_division
    assert found.queue.wait_s(0.9) <= limit
    assert found.mean_utilisation < found.queue.utilisation


def test_cost_and_energy_by_hand():
    running = Running(
        device_usd=8_760.0, life_years=1, power_w=1_000, idle_power_share=0.5, pue=1.5, usd_per_kwh=0.2
    )
    found = size_fleet(Demand(0.5), Unit(1.0), Promise(1e9, spares=0, most_utilisation=1.0), running)
    assert found.devices == 1
    # Busy half the time: 750 W, 1.125 kW with the building; a dollar an hour to buy it and 0.225 for power.
    assert found.kilowatts == pytest.approx(1.125)
    assert found.usd_per_hour == pytest.approx(1.225)
    assert found.usd_per_call == pytest.approx(1.225 / 1_800)
    assert found.kwh_per_month == pytest.approx(1.125 * 730)


def test_unknown_costs_have_reasons():
    fleet = size_fleet(Demand(1), Unit(1), Promise(), Running())
    assert fleet.usd_per_month is None
    assert "neither" in fleet.usd_reason
    owned = size_fleet(Demand(1), Unit(1), Promise(), Running(device_usd=1, life_years=1))
    assert "power" in owned.usd_reason
    rented = size_fleet(Demand(1), Unit(1), Promise(), Running(usd_per_hour=2.0))
    assert rented.usd_per_hour == 2.0 * rented.devices


def test_demand_and_units_convert():
    assert Demand.of_users(86_400, 10, 3).peak_calls_per_second == 30
    assert Unit.of_throughput(100, 1_000, slots=4).service_s == pytest.approx(0.4)
    assert Unit.of_throughput(100, 1_000, slots=4).calls_per_second == pytest.approx(10)


def test_devices_by_arithmetic():
    found = devices_by_flop(
        users=86_400,
        calls_per_user_day=1,
        tokens_per_call=10,
        flop_per_token=100,
        device_flop_per_second=1_000,
        utilisation=0.5,
        peak_factor=2,
    )
    assert found == pytest.approx(4)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Demand(0),
        lambda: Demand(1, 0.5),
        lambda: Unit(1, 0),
        lambda: Promise(spares=-1),
        lambda: Running(usd_per_hour=1, device_usd=1, life_years=1),
        lambda: Running(device_usd=1),
        lambda: Running(pue=0.9),
        lambda: Running(usd_per_hour=-1),
    ],
)
def test_wrong_numbers_are_told(wrong):
    with pytest.raises(ConfigError):
        wrong()
