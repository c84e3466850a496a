"""Rows share sequences without seeing each other, and only answers are asked for."""

import pytest
import torch
from transformers import LlamaForCausalLM

from understudy.errors import DataError
from understudy.lm.config import DecoderConfig
from understudy.lm.decoder import build_decoder
from understudy.lm.packing import NOTHING
from understudy.lm.rows import RowBatches, TokenRow
from understudy.lm.train import next_token_loss

ROWS = [TokenRow((1, 2, 3), (4, 5, 0)), TokenRow((6,), (7, 0)), TokenRow((1, 2), (3, 0), weight=0.5)]


def _tiny() -> LlamaForCausalLM:
    return build_decoder(DecoderConfig(16, 16, 2, 2, 1, 32, 32), seed=0).eval()


def test_every_row_is_packed_once_and_only_its_answer_is_asked_for() -> None:
    data = RowBatches(ROWS, sequence_tokens=10, pad_id=0)
    pack = data.take(range(data.n_sequences))
    asked = sorted(pack.labels_BS[pack.labels_BS != NOTHING].tolist())
    assert asked == sorted(token for row in ROWS for token in row.answer)
    assert data.n_sequences == 2


def test_packed_loss_is_the_sum_of_the_rows_losses_alone() -> None:
    model = _tiny()
    together = RowBatches(ROWS, sequence_tokens=16, pad_id=0).take([0])
    alone = [RowBatches([row], sequence_tokens=len(row), pad_id=0).take([0]) for row in ROWS]
    with torch.no_grad():
        total = next_token_loss(model, together)
        parts = sum(next_token_loss(model, pack) for pack in alone)
    torch.testing.assert_close(total, parts)


def test_batches_are_functions_of_their_number_and_cover_an_epoch() -> None:
    rows = [TokenRow((1,), (at % 15 + 1, 0)) for at in range(12)]
    data = RowBatches(rows, sequence_tokens=3, pad_id=0, seed=3)
    again = RowBatches(rows, sequence_tokens=3, pad_id=0, seed=3)
    again.batch(7, 4)
    assert torch.equal(data.batch(1, 4).tokens_BS, again.batch(1, 4).tokens_BS)
    seen = torch.cat([data.batch(number, 4).tokens_BS for number in range(3)])[:, 1]
    assert sorted(seen.tolist()) == sorted(row.answer[0] for row in rows)


def test_a_row_that_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match="longer than a sequence"):
        RowBatches(ROWS, sequence_tokens=5, pad_id=0)
    with pytest.raises(DataError, match="no rows"):
        RowBatches([], sequence_tokens=5, pad_id=0)
