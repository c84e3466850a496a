"""Dollars and yuan side by side."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.errors import ConfigError
from understudy.planning.money import ExchangeRate, exchange_rate, with_yuan

RATE = ExchangeRate(8.0, "given")


def test_every_number_in_dollars_stands_in_yuan_too():
    found = with_yuan(
        {
            "once_usd": 2.0,
            "usd_reason": None,
            "cny_per_usd": 8.0,
            "rows": [{"usd_per_call": None, "name": "a"}],
            "sources": {"build_usd": "given"},
        },
        RATE,
    )
    assert found == {
        "once_usd": 2.0,
        "once_cny": 16.0,
        "usd_reason": None,
        "cny_per_usd": 8.0,
        "rows": [{"usd_per_call": None, "cny_per_call": None, "name": "a"}],
        "sources": {"build_usd": "given"},
    }


NAMES = st.sampled_from(["usd", "build_usd", "usd_per_call", "usd_reason", "plan"])


@given(st.recursive(st.none() | st.floats(0, 1e9), lambda inner: st.dictionaries(NAMES, inner), max_leaves=6))
def test_what_was_there_stays(found):
    def without_yuan(one):
        if not isinstance(one, dict):
            return one
        return {name: without_yuan(value) for name, value in one.items() if "cny" not in name.split("_")}

    assert without_yuan(with_yuan(found, RATE)) == found


def test_words():
    assert RATE.both(2350) == "$2,350 (¥18,800)"
    assert RATE.both(None) == RATE.yuan(None) == "unknown"
    assert exchange_rate().words.startswith("7.1217 per $, average of 2024")
    with pytest.raises(ConfigError, match="above 0"):
        exchange_rate(-1.0)
