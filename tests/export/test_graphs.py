"""What is exported computes what was trained: float graphs to rounding, int8 graphs to quantisation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tiny_encoder import write_tiny_encoder
from understudy.export.bert_graph import ReadOut, draw_encoder
from understudy.export.encoder_weights import encoder_weights
from understudy.export.graph import quantise_rows
from understudy.export.torch_graph import trace_encoder
from understudy.runtime.onnx_model import OnnxModel
from understudy.runtime.tokens import Tokenised
from understudy.training.base_encoder import BaseEncoder, resolve_base

TEXTS = ("the red shirt", "dog", "订单 a1 " * 9)


def row_head(width: int, columns: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.normal(size=(columns, width)).astype(np.float32), random.normal(size=columns).astype(
        np.float32
    )


def torch_outputs(base: BaseEncoder, tokens: Tokenised, read_out: ReadOut) -> dict[str, np.ndarray]:
    with torch.no_grad():
        model = base.torch_model().eval()
        has_types = model.config.model_type in ("bert", "roberta")
        more = {"token_type_ids": torch.from_numpy(tokens.types[None])} if has_types else {}
        mask = torch.ones(1, len(tokens.ids), dtype=torch.long)
        ids = torch.from_numpy(tokens.ids[None])
        states = model(input_ids=ids, attention_mask=mask, output_hidden_states=True, **more).hidden_states
    pooled = [states[at][:, 0] if read_out.pooling == "cls" else states[at].mean(1) for at in read_out.layers]
    if read_out.is_normalised:
        pooled = [one / one.norm(dim=1, keepdim=True) for one in pooled]
    made = {"row": torch.cat(pooled, dim=1).numpy()}
    if read_out.row is not None:
        made["row"] = made["row"] @ read_out.row[0].T + read_out.row[1]
    if read_out.token is not None:
        made["token"] = states[-1].numpy() @ read_out.token[0].T + read_out.token[1]
    return made


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
@pytest.mark.parametrize(
    "read_out",
    [
        ReadOut("mean", (0, 1, 2), is_normalised=True),
        ReadOut("cls", (2,), row=row_head(32, 3, 0)),
        ReadOut("mean", (2,), row=row_head(32, 2, 1), token=row_head(32, 6, 2)),
        ReadOut("mean", (2,), row=row_head(32, 0, 1), token=row_head(32, 3, 2)),
    ],
    ids=["features", "cls", "tokens", "tokens-only"],
)
def test_drawn_graphs_equal_torch(family: str, read_out: ReadOut, tmp_path: Path) -> None:
    base = resolve_base(str(write_tiny_encoder(tmp_path, family=family)))
    weights = encoder_weights(base.config, base.arrays())
    assert weights is not None
    models = {
        small: OnnxModel(draw_encoder(weights, read_out, is_quantised=small), 1) for small in (False, True)
    }
    tokeniser = base.tokeniser()
    for text in TEXTS:
        tokens = tokeniser((text, "a man"))
        wanted = torch_outputs(base, tokens, read_out)
        exact, rounded = models[False].run(tokens), models[True].run(tokens)
        for name in exact:
            np.testing.assert_allclose(exact[name], wanted[name], atol=2e-4)
            spread = np.abs(wanted[name]).max()
            assert np.abs(rounded[name] - wanted[name]).mean() < 0.1 * spread
        assert set(exact) == {name for name, value in wanted.items() if value.size}


def test_another_family_is_left_to_the_tracer(tmp_path: Path) -> None:
    base = resolve_base(str(write_tiny_encoder(tmp_path, family="mpnet")))
    assert encoder_weights(base.config, base.arrays()) is None


@pytest.mark.slow
def test_traced_graphs_equal_torch(tmp_path: Path) -> None:
    base = resolve_base(str(write_tiny_encoder(tmp_path, family="mpnet")))
    read_out = ReadOut("mean", (2,), row=row_head(32, 3, 0), token=row_head(32, 3, 1))
    exact = OnnxModel(trace_encoder(base.torch_model(), read_out, is_quantised=False), 1)
    rounded = OnnxModel(trace_encoder(base.torch_model(), read_out, is_quantised=True), 1)
    tokeniser = base.tokeniser()
    for text in TEXTS:
        tokens = tokeniser((text,))
        wanted = torch_outputs(base, tokens, read_out)
        for name, value in exact.run(tokens).items():
            np.testing.assert_allclose(value, wanted[name], atol=2e-4)
        assert np.abs(rounded.run(tokens)["row"] - wanted["row"]).mean() < 0.1 * np.abs(wanted["row"]).max()


@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 2**32 - 1), st.sampled_from([63, 127]))
def test_rounding_loses_at_most_half_a_step(rows: int, width: int, seed: int, levels: int) -> None:
    weights = np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)
    integers, scale = quantise_rows(weights, levels)
    assert np.abs(integers).max() <= levels
    assert (np.abs(integers * scale[:, None] - weights) <= scale[:, None] * 0.501).all()


def test_a_row_of_zeros_stays_zero() -> None:
    integers, scale = quantise_rows(np.zeros((2, 3), dtype=np.float32), 63)
    assert not integers.any()
    assert (scale == 1).all()
