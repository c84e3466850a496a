from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from understudy.training.recipe import batch_size_for, epochs_for


@given(st.integers(1, 10**7))
def test_epochs_stay_between_five_and_twenty_and_never_rise_with_rows(n_rows: int) -> None:
    epochs = epochs_for(n_rows, batch_size_for(n_rows))
    assert 5 <= epochs <= 20
    assert epochs_for(2 * n_rows, 16) <= epochs_for(n_rows, 16)


def test_some_hundreds_of_rows_get_hundreds_of_steps() -> None:
    assert (batch_size_for(812), epochs_for(812, 16)) == (16, 10)
    assert (batch_size_for(10_000), epochs_for(10_000, 32)) == (32, 5)
