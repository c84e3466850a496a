def test_a_cost_below_a_nano_dollar_is_not_nothing() -> None:
    assert usd_to_nano(3.1e-10) == 0
    assert usd_to_nano(3.1e-10, rounding=ROUND_CEILING) == 1
    assert usd_to_nano(0.0, rounding=ROUND_CEILING) == 0
    assert usd_to_nano(None, rounding=ROUND_CEILING) is None
