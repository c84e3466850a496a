"""Held-out losses: both ways give one figure, and intervals hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from loud_decoder import dense, text
from torch_decoder import TorchDecoder

from understudy.lm.packing import Pack
from understudy.lm.quality import SequenceLosses, decoder_losses, loss_change, mean_loss, model_losses
from understudy.lm.rows import RowBatches, TokenRow
from understudy.lm.speed import writing_speed
from understudy.lm.train import next_token_loss


def rows() -> Pack:
    dice = torch.Generator().manual_seed(7)
    some = [
        TokenRow(
            tuple(torch.randint(1, 80, (2 + n % 3,), generator=dice).tolist()),
            tuple(torch.randint(1, 80, (1 + n % 5,), generator=dice).tolist()),
        )
        for n in range(12)
    ]
    data = RowBatches(some, sequence_tokens=16, pad_id=0)
    return data.take(range(data.n_sequences))


@pytest.mark.parametrize("given", [text(), rows()], ids=["text", "rows"])
def test_a_decoder_measures_as_the_model_it_is(given: Pack) -> None:
    model = dense()
    whole = model_losses(model, given, batch_sequences=3)
    with torch.no_grad():
        assert whole.sums.sum() == pytest.approx(float(next_token_loss(model, given)), rel=1e-5)
    assert whole.counts.sum() == given.n_labels
    by_token = decoder_losses(TorchDecoder(model), given)
    np.testing.assert_allclose(by_token.sums, whole.sums, rtol=1e-4)
    np.testing.assert_array_equal(by_token.counts, whole.counts)


def test_equal_counts_give_the_interval_of_a_mean() -> None:
    sums = np.array([4.0, 6.0, 8.0, 5.0])
    found = mean_loss(SequenceLosses(sums, np.full(4, 2.0)))
    half = 3.1824463 * (sums / 2).std(ddof=1) / 2
    assert found.value == pytest.approx(2.875)
    assert (found.lower, found.upper) == (pytest.approx(2.875 - half), pytest.approx(2.875 + half))


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    dice = np.random.default_rng(1)
    held = 0
    for _ in range(600):
        counts = dice.integers(20, 60, 30).astype(float)
        found = mean_loss(SequenceLosses(counts * dice.normal(2.0, 0.5, 30), counts), confidence=0.9)
        assert found.lower is not None
        assert found.upper is not None
        held += found.lower <= 2.0 <= found.upper
    assert 0.86 < held / 600 < 0.94


def test_pairing_takes_out_what_both_find_hard() -> None:
    dice = np.random.default_rng(2)
    counts = np.full(50, 10.0)
    before = SequenceLosses(10 * dice.normal(3, 1, 50), counts)
    after = SequenceLosses(before.sums + 10 * dice.normal(0.1, 0.01, 50), counts)
    change = loss_change(after, before)
    assert change.lower is not None
    assert change.upper is not None
    assert 0.09 < change.lower < change.value < change.upper < 0.11


def test_one_sequence_has_no_interval() -> None:
    found = mean_loss(SequenceLosses(np.array([6.0]), np.array([3.0])))
    assert (found.value, found.lower, found.upper) == (2.0, None, None)


def test_speed_counts_tokens_of_all_sequences() -> None:
    decoder = TorchDecoder(dense())
    assert writing_speed(decoder, n_tokens=2, turns=1).times_reference is None
    found = writing_speed(decoder, reference=decoder, n_sequences=2, prompt_tokens=100, n_tokens=3, turns=1)
    assert found.n_sequences == 2
    assert found.tokens_per_cpu_second > 0
    assert found.tokens_per_second > 0
    assert found.times_reference is not None
