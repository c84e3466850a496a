"""Shapes proposed for a number of parameters."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.economics.transformer.parameters import count_parameters
from understudy.economics.transformer.proposal import shape_for
from understudy.errors import ConfigError


@settings(max_examples=40)
@given(st.floats(5e6, 1e13))
def test_the_count_is_near_what_was_asked(n_parameters: float) -> None:
    shape = shape_for(n_parameters)
    assert count_parameters(shape).total == pytest.approx(n_parameters, rel=0.06)
    if n_parameters > 1e9:
        assert count_parameters(shape).total == pytest.approx(n_parameters, rel=0.02)
        assert 40 < shape.d_model / shape.n_layers < 160


def test_it_resembles_a_published_model() -> None:
    shape = shape_for(8.03e9, n_vocab=128_256, aspect_ratio=128)
    assert (shape.n_layers, shape.d_model, shape.d_ff, shape.n_kv_heads) == (32, 4096, 14336, 8)
    assert not shape.is_tied
    assert shape_for(1e9).is_tied


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"n_parameters": -1}, "n_parameters"),
        ({"n_parameters": float("nan")}, "n_parameters"),
        ({"n_parameters": 1e9, "n_vocab": 0}, "n_vocab"),
        ({"n_parameters": 1e6, "n_vocab": 256_000}, "vocabulary"),
        ({"n_parameters": 1e9, "aspect_ratio": 0}, "aspect_ratio"),
    ],
)
def test_nonsense_is_refused_by_name(wrong: dict[str, float], field: str) -> None:
    with pytest.raises(ConfigError, match=field):
        shape_for(**wrong)  # type: ignore[arg-type]
