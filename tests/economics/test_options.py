import pytest

from understudy.economics.options import (
    HOURS_PER_MONTH,
    CostOption,
    Tokens,
    api_option,
    edge_option,
    hosted_option,
    own_option,
)
from understudy.economics.prices import TeacherPrice
from understudy.errors import ConfigError


def test_an_api_call_by_hand():
    price = TeacherPrice(None, 1.0, 4.0, 0.1)
    # 1,000 read, of which 500 from the cache, 100 written: (500 + 50 + 400) / 1e6; half of it in batches at half price.
    plain = api_option("api", price, Tokens(1_000, 100, cached_share=0.5))
    assert plain.usd_per_call == pytest.approx(950e-6)
    batched = api_option("api", price, Tokens(1_000, 100, cached_share=0.5, batch_share=0.5))
    assert batched.usd_per_call == pytest.approx(0.75 * 950e-6)
    uncached = api_option("api", TeacherPrice(None, 1.0, 4.0), Tokens(1_000, 100, cached_share=0.5))
    assert uncached.usd_per_call == pytest.approx(1_400e-6)


def test_what_is_unknown_stays_unknown_with_its_reason():
    assert api_option("api", None, reason="no list price for model x").unknown == (
        "usd_per_call: no list price for model x"
    )
    assert "tokens per call" in api_option("api", TeacherPrice(None, 1.0, 1.0)).unknown
    own = own_option("own", build_usd=None, usd_per_hour=None, coverage=0.5)
    assert own.usd_per_call is None
    assert "build" in own.unknown
    assert "deferred" in own.unknown
    assert (
        "energy"
        in edge_option(
            "edge",
            device_usd=1,
            life_years=1,
            calls_per_device_month=1,
            joules_per_call=None,
            usd_per_kwh=0.1,
        ).unknown
    )
    assert "training price" in hosted_option("hosted", TeacherPrice(0.1)).unknown


def test_a_hosted_model_is_trained_then_paid_by_hour_and_token():
    option = hosted_option(
        "hosted",
        TeacherPrice(None, 3.0, 12.0),
        Tokens(1_000, 0),
        training_tokens=2e6,
        training_usd_per_million=25.0,
        hosting_usd_per_hour=2.0,
        calls_per_hour=100,
    )
    assert option.once_usd == 50
    assert option.usd_per_call == pytest.approx(0.003)
    assert option.usd_per_unit_month == 2 * HOURS_PER_MONTH
    assert option.units(100 * HOURS_PER_MONTH) == 1
    assert option.units(100 * HOURS_PER_MONTH + 1) == 2


def test_an_own_model_pays_the_teacher_for_what_it_defers():
    option = own_option(
        "own",
        build_usd=10,
        usd_per_hour=1.0,
        calls_per_hour=100,
        coverage=0.75,
        teacher_usd_per_call=0.04,
        peak_factor=2,
    )
    assert option.usd_per_call == pytest.approx(0.01)
    assert option.calls_per_unit_month == 50 * HOURS_PER_MONTH
    assert option.has_fees


def test_a_device_pays_for_power():
    option = edge_option(
        "edge", device_usd=600, life_years=5, calls_per_device_month=1e6, joules_per_call=36, usd_per_kwh=0.1
    )
    assert option.usd_per_call == pytest.approx(1e-6)
    assert option.life_months == 60


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: CostOption(name="x", once_usd=-1),
        lambda: CostOption(name="x", halving_months=0),
        lambda: Tokens(1, 1, cached_share=1.2),
        lambda: Tokens(-1, 1),
        lambda: own_option("x", build_usd=0, usd_per_hour=0, peak_factor=0.5),
        lambda: api_option("x", TeacherPrice(0.1), batch_discount=2),
    ],
)
def test_wrong_numbers_are_told(wrong):
    with pytest.raises(ConfigError):
        wrong()
