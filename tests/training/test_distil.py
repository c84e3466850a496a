from __future__ import annotations

import pytest

from understudy.errors import ConfigError
from understudy.training.distil import even_layers


@pytest.mark.parametrize(
    ("total", "kept", "wanted"),
    [(6, 3, (1, 3, 5)), (6, 2, (2, 5)), (12, 6, (1, 3, 5, 7, 9, 11)), (6, 4, (1, 2, 3, 5)), (2, 2, (0, 1)), (3, 1, (2,))],
)  # fmt: skip
def test_layers_are_spread_evenly_and_keep_the_last(total: int, kept: int, wanted: tuple[int, ...]) -> None:
    assert len(set(even_layers(total, kept))) == kept
    assert even_layers(total, kept)[-1] == total - 1
    if kept != 4:
        assert even_layers(total, kept) == wanted


@pytest.mark.parametrize("kept", [0, 7])
def test_an_encoder_cannot_grow(kept: int) -> None:
    with pytest.raises(ConfigError):
        even_layers(6, kept)
