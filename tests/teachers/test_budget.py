"""Reservations in whole nano-dollars."""

from __future__ import annotations

import asyncio
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.calls.call import Usage
from understudy.economics.nano import NanoPrice
from understudy.economics.prices import TeacherPrice, parse_teacher_price
from understudy.errors import ConfigError
from understudy.teachers.budget import Budget, parse_limit_nanousd

TOKENS = st.integers(0, 10**7)


def test_a_limit_is_exact_and_rounded_down() -> None:
    assert parse_limit_nanousd("0.1") == 10**8
    assert parse_limit_nanousd("$2.50") == 2_500_000_000
    assert parse_limit_nanousd("0.0000000019") == 1
    for text in ("", "x", "-1", "nan", "inf"):
        with pytest.raises(ConfigError, match="--max-usd"):
            parse_limit_nanousd(text)


@given(TOKENS, TOKENS, TOKENS)
def test_costs_are_exact_up_to_rounding_up(n_in: int, n_out: int, n_cached: int) -> None:
    price = NanoPrice(TeacherPrice(None, 0.15, 0.6, 0.075))
    cost = price.cost_nanousd(Usage(n_in, n_out, n_cached))
    cached = min(n_cached, n_in)
    exact = Fraction(150) * (n_in - cached) + Fraction(75) * cached + Fraction(600) * n_out
    assert cost is not None
    assert 0 <= cost - exact < 1
    assert cost <= price.most_nanousd(n_in, n_out)


def test_unknown_counts_have_no_cost_unless_the_price_is_per_call() -> None:
    assert NanoPrice(parse_teacher_price("1/2")).cost_nanousd(Usage(1, None)) is None
    assert NanoPrice(parse_teacher_price("0.002")).cost_nanousd(Usage()) == 2_000_000


def test_without_a_limit_everything_fits() -> None:
    assert asyncio.run(Budget(None).reserve(10**18))


def test_it_waits_for_what_is_under_way_and_says_no_when_nothing_is() -> None:
    async def run() -> None:
        budget = Budget(100)
        assert await budget.reserve(60)
        waiting = asyncio.create_task(budget.reserve(50))
        await asyncio.sleep(0)
        assert not waiting.done()
        budget.settle(60, 20)
        assert await waiting
        assert not await budget.reserve(81)  # 20 are spent: it can never fit
        late = asyncio.create_task(budget.reserve(31))
        await asyncio.sleep(0)
        budget.settle(50, 50)
        assert not await late
        assert await budget.reserve(30)

    asyncio.run(run())


@given(st.lists(st.tuples(st.integers(1, 40), st.floats(0, 1)), max_size=30), st.integers(0, 300))
def test_reserved_and_spent_never_pass_the_limit(steps: list[tuple[int, float]], limit: int) -> None:
    async def run() -> None:
        budget = Budget(limit)

        async def one(amount: int, share: float) -> None:
            if not await budget.reserve(amount):
                return
            assert budget.spent_nanousd + budget.reserved_nanousd <= limit
            await asyncio.sleep(0)
            budget.settle(amount, int(amount * share))

        await asyncio.gather(*(one(*step) for step in steps))
        assert budget.spent_nanousd <= limit
        assert budget.reserved_nanousd == 0

    asyncio.run(run())
