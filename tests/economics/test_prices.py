"""Prices: recorded before listed before given, and unknown is never 0."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.economics.prices import TeacherPrice, call_costs, model_price, parse_teacher_price
from understudy.errors import ConfigError

NAN = float("nan")


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def test_parse() -> None:
    assert parse_teacher_price("0.002").usd_per_call == 0.002
    price = parse_teacher_price("$0.15 / $0.60")
    assert (price.usd_per_million_in, price.usd_per_million_out) == (0.15, 0.6)
    for text in ("", "cheap", "-1", "1/2/3", "nan", "inf", "1/x"):
        with pytest.raises(ConfigError):
            parse_teacher_price(text)


def test_list_price_of_a_known_and_an_unknown_model() -> None:
    pytest.importorskip("genai_prices")
    price = model_price("gpt-4o-mini")
    assert price is not None
    assert price.usd_per_million_in == pytest.approx(0.15)
    assert price.usd_per_million_out == pytest.approx(0.60)
    assert price.usd_per_million_cached == pytest.approx(0.075)
    assert model_price("no-such-model-anywhere") is None


def test_recorded_cost_comes_first_then_tokens_then_the_given_price() -> None:
    pytest.importorskip("genai_prices")
    costs = call_costs(
        column(0.5, NAN, NAN, NAN),
        column(NAN, 1e6, NAN, 1e6),
        column(NAN, 0, NAN, 0),
        column(NAN, NAN, NAN, 4e5),
        ["gpt-4o-mini"] * 4,
        TeacherPrice(usd_per_call=2.0, source="given price"),
    )
    assert costs.usd.tolist() == pytest.approx([0.5, 0.15, 2.0, 0.6 * 0.15 + 0.4 * 0.075])
    assert costs.source == "recorded + tokens x price list + given price"
    assert costs.reason is None


def test_unknown_is_not_zero() -> None:
    nothing = column(NAN, NAN)
    costs = call_costs(nothing, nothing, nothing, nothing, [None, None])
    assert costs.mean_usd is None
    assert costs.source is None
    assert costs.reason == "no recorded cost and no token counts"
    tokens = call_costs(nothing, column(5, 5), column(1, 1), nothing, ["no-such-model-anywhere", None])
    assert tokens.mean_usd is None
    assert "no-such-model-anywhere" in (tokens.reason or "")
    by_tokens = call_costs(nothing, nothing, nothing, nothing, [None, None], parse_teacher_price("1/2"))
    assert by_tokens.mean_usd is None
    assert "needs token counts" in (by_tokens.reason or "")
    assert costs.to_dict()["mean_usd"] is None


def test_price_per_million_tokens() -> None:
    price = parse_teacher_price("1/2")
    assert price.costs(column(1e6, NAN), column(5e5, 1), column(NAN, NAN))[0] == pytest.approx(2.0)
    assert np.isnan(price.costs(column(NAN), column(1), column(NAN))).all()
