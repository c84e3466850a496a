"""Loss on held-out text, sequence by sequence, with intervals; of two models on the same sequences, the difference.

Of a torch model in one pass, of an exported decoder token by token through its contract
(:class:`~understudy.runtime.decoder.Decoder`), so that what is measured is what is served. Both give the same figure
for the same function.

Intervals take sequences as independent draws of the text. Several of one file are not quite; intervals are then a
little too narrow. They say nothing of other seeds or other text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import special, stats
from torch.nn import functional
from transformers import PreTrainedModel

from understudy.lm.packing import NOTHING, Pack
from understudy.runtime.decoder import Decoder

__all__ = ["MeanLoss", "SequenceLosses", "decoder_losses", "loss_change", "mean_loss", "model_losses"]

_ROWS_AT_ONCE = 32
_Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SequenceLosses:
    """Of each held-out sequence: the sum of its losses in nats, and the tokens they are of; shapes (n,)."""

    sums: _Array
    counts: _Array


@dataclass(frozen=True, slots=True)
class MeanLoss:
    """A loss per token, or a difference of two, in nats.

    Attributes
    ----------
    value
        Over all tokens.
    lower, upper
        Ends of the interval; ``None`` with fewer than two sequences.
    confidence
        Of the interval.
    """

    value: float
    lower: float | None
    upper: float | None
    confidence: float

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def mean_loss(losses: SequenceLosses, *, confidence: float = 0.95) -> MeanLoss:
    """Loss per token with its interval: a ratio of sums, linearised (Cochran 1977, section 6.4), Student's t."""
    return _ratio(losses.sums, losses.counts, confidence)


def loss_change(after: SequenceLosses, before: SequenceLosses, *, confidence: float = 0.95) -> MeanLoss:
    """Loss per token `after` less `before`, paired by sequence: what both find hard falls out of the interval.

    The sequences must be the same ones in the same order.
    """
    assert np.array_equal(after.counts, before.counts), "losses of different sequences"
    return _ratio(after.sums - before.sums, after.counts, confidence)


def _ratio(sums: _Array, counts: _Array, confidence: float) -> MeanLoss:
    n, total = len(sums), float(counts.sum())
    value = float(sums.sum()) / total
    if n < 2:
        return MeanLoss(value, None, None, confidence)
    rest = sums - value * counts
    error = math.sqrt(n / (n - 1) * float(rest @ rest)) / total
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * error
    return MeanLoss(value, value - half, value + half, confidence)


@torch.no_grad()
def model_losses(model: PreTrainedModel, pack: Pack, *, batch_sequences: int = 8) -> SequenceLosses:
    """Losses of a torch model on the sequences of `pack`."""
    was_training = model.training
    model.eval()
    sums: list[_Array] = []
    for part in pack.to(model.device).split(batch_sequences):
        logits = model(
            input_ids=part.tokens_BS,
            position_ids=part.positions_BS,
            attention_mask=part.attends(),
            use_cache=False,
        ).logits
        flat, labels = logits.float().flatten(0, 1), part.labels_BS.flatten()
        each = functional.cross_entropy(flat, labels, ignore_index=NOTHING, reduction="none")
        sums.append(each.view_as(part.labels_BS).double().sum(1).cpu().numpy())
    model.train(was_training)
    return SequenceLosses(np.concatenate(sums), _counts(pack))


def decoder_losses(decoder: Decoder, pack: Pack) -> SequenceLosses:
    """Losses of a decoder on the same sequences: each piece is read token by token, and what comes next is scored."""
    pieces = list(_pieces(pack))
    sums = np.zeros(len(pack.tokens_BS))
    for begin in range(0, len(pieces), _ROWS_AT_ONCE):
        some = pieces[begin : begin + _ROWS_AT_ONCE]
        for (sequence, _, _), loss in zip(some, _score(decoder, some), strict=True):
            sums[sequence] += loss
    return SequenceLosses(sums, _counts(pack))


_Piece = tuple[int, list[int], list[int]]


def _pieces(pack: Pack) -> list[_Piece]:
    """Sequence, tokens and labels of each piece that is asked for anything, cut after its last label."""
    found: list[_Piece] = []
    for sequence, (tokens, pieces, labels) in enumerate(
        zip(pack.tokens_BS.tolist(), pack.pieces_BS.tolist(), pack.labels_BS.tolist(), strict=True)
    ):
        starts = [0, *(at for at in range(1, len(tokens)) if pieces[at] != pieces[at - 1]), len(tokens)]
        for begin, end in pairwise(starts):
            asked = [at for at in range(begin, end) if labels[at] != NOTHING]
            if asked:
                last = asked[-1] + 1
                found.append((sequence, tokens[begin:last], labels[begin:last]))
    return found


def _score(decoder: Decoder, pieces: Sequence[_Piece]) -> list[float]:
    """Sum of losses of each piece; pieces that have ended wait while the others go on."""
    # What is asked for nothing at the beginning (a prompt) is read at once.
    heads = [next(at for at, label in enumerate(labels) if label != NOTHING) for _, _, labels in pieces]
    decoding = decoder.start([tokens[: head + 1] for (_, tokens, _), head in zip(pieces, heads, strict=True)])
    try:
        sums = [0.0] * len(pieces)
        places = list(heads)
        rows, logits = list(range(len(pieces))), decoding.logits
        while True:
            log_sums = special.logsumexp(logits.astype(np.float64), axis=1)
            for at, row in enumerate(rows):
                label = pieces[row][2][places[row]]
                if label != NOTHING:
                    sums[row] += float(log_sums[at] - logits[at, label])
                places[row] += 1
            rows = [row for row in rows if places[row] < len(pieces[row][1])]
            if not rows:
                return sums
            logits = decoding.step(rows, [pieces[row][1][places[row]] for row in rows])
    finally:
        decoding.close()


def _counts(pack: Pack) -> _Array:
    return (pack.labels_BS != NOTHING).sum(1).double().cpu().numpy()
