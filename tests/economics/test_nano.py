"""Money as whole nano-dollars: exact, rounded up where it is a cost, unknown where it is not known."""

from __future__ import annotations

from decimal import ROUND_CEILING

import pytest

from understudy.calls.call import Usage
from understudy.economics.nano import NanoPrice, usd_to_nano
from understudy.economics.prices import parse_teacher_price


def test_a_cost_below_a_nano_dollar_is_not_nothing() -> None:
    assert usd_to_nano(3.1e-10) == 0
    assert usd_to_nano(3.1e-10, rounding=ROUND_CEILING) == 1
    assert usd_to_nano(0.0, rounding=ROUND_CEILING) == 0
    assert usd_to_nano(None, rounding=ROUND_CEILING) is None


@pytest.mark.parametrize(
    ("usd", "nano"), [(0.1, 100_000_000), (0.002, 2_000_000), (1e-9, 1), (2.5, 2_500_000_000)]
)
def test_decimal_dollars_are_exact(usd: float, nano: int) -> None:
    assert usd_to_nano(usd) == nano


def test_a_call_by_tokens_costs_what_its_tokens_cost() -> None:
    price = NanoPrice(parse_teacher_price("0.15/0.60"))
    assert price.cost_nanousd(Usage(40, 3)) == 7_800
    assert price.cost_nanousd(Usage(1, 0)) == 150
    assert price.cost_nanousd(Usage(40, None)) is None
    assert price.cost_nanousd(None) is None
    assert NanoPrice(parse_teacher_price("0.002")).cost_nanousd(None) == 2_000_000
