"""Teaches a shorter encoder what a tuned one says: its scores, its sentence vectors, and the labels
themselves.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from understudy.calls.call import InputParts
from understudy.errors import ConfigError
from understudy.runtime.tokens import Tokenised
from understudy.training.batches import pad_batch
from understudy.training.fit_encoder import FittedEncoder, finished_heads, pick_device
from understudy.training.loop import LoopSettings, Progress, numeric_scope, train
from understudy.training.losses import batch_loss, teacher_loss
from understudy.training.network import EncoderNetwork, encoder_layers, keep_layers
from understudy.training.rows import prepare_rows
from understudy.training.target_arrays import FieldTargets

__all__ = ["DistilSettings", "distil_encoder", "even_layers"]

_BATCH = 64


@dataclass(frozen=True, slots=True)
class DistilSettings:
    """How much each teacher counts.

    Attributes
    ----------
    layers
        Transformer layers to keep.
    temperature
        At which class scores are compared.
    label_share
        Weight of the labels; the rest is the teacher's scores.
    vector_weight
        Weight of the distance between the sentence vectors, in units of the teacher's variance.
    dropout
        On the sentence vector while training.
    """

    layers: int = 3
    temperature: float = 2.0
    label_share: float = 0.3
    vector_weight: float = 1.0
    dropout: float = 0.1


@dataclass(frozen=True, slots=True)
class _Lesson:
    """What the teacher says of rows: row scores (n, r), vectors (n, h), token scores (t, k) each."""

    rows: torch.Tensor
    vectors: torch.Tensor
    tokens: list[torch.Tensor]


def even_layers(total: int, kept: int) -> tuple[int, ...]:
    """Numbers of `kept` evenly spaced layers of `total`, the last among them.

    Raises
    ------
    ConfigError
        If there are not that many layers.
    """
    if not 1 <= kept <= total:
        raise ConfigError(
            "an encoder can only be shortened",
            given=f"{kept} of {total} layers",
            todo=f"keep 1 to {total}",
        )
    return tuple(round((at + 1) * total / kept) - 1 for at in range(kept))


def distil_encoder(
    teacher: FittedEncoder,
    inputs: Sequence[InputParts],
    targets: Sequence[FieldTargets],
    settings: LoopSettings,
    distil: DistilSettings,
    *,
    sample_weight: npt.NDArray[np.float64] | None = None,
    on_progress: Progress | None = None,
    checkpoint: Path | None = None,
) -> FittedEncoder:
    """Train a copy of the teacher with fewer layers on the rows that taught the teacher."""
    rows = prepare_rows(inputs, targets, teacher.tokeniser, sample_weight)
    if tuple(target.problem for target in targets) != teacher.problems:
        raise ConfigError("the tuned student answers other fields than it is to teach")
    device = pick_device()
    teacher.network.to(device)
    network = copy.deepcopy(teacher.network)
    network.dropout.p = distil.dropout  # not the teacher's: one read back from disk has none
    _, _, layers = encoder_layers(network.encoder)
    keep_layers(network.encoder, even_layers(len(layers), distil.layers))
    pad_id = int(teacher.base.config.get("pad_token_id") or 0)
    lessons = _Lessons(teacher.network, pad_id, device, settings.precision)
    everything = lessons.of([rows.tokens[at] for at in range(len(rows.tokens))])
    variance = float(everything.vectors.var(dim=0).sum()) or 1.0

    def loss_of_batch(batch: npt.NDArray[np.int64]) -> torch.Tensor:
        ids, types, mask = pad_batch([rows.tokens[int(row)] for row in batch], pad_id, device)
        with numeric_scope(device, settings.precision):
            row_br, token_btk, pooled_bh = network(ids, types, mask)
        row_br, token_btk = row_br.float(), token_btk.float()
        said_btk = _pad_scores([everything.tokens[int(row)] for row in batch], ids.shape[1])
        picked = torch.from_numpy(batch).to(device)
        by_scores = teacher_loss(
            rows, row_br, everything.rows[picked], token_btk, said_btk, mask, distil.temperature
        )
        by_labels = batch_loss(rows, batch, row_br, token_btk)
        gap = (pooled_bh - everything.vectors[picked]).square().sum(1).mean() / variance
        by_both: torch.Tensor = (1.0 - distil.label_share) * by_scores + distil.label_share * by_labels
        whole: torch.Tensor = by_both + distil.vector_weight * gap
        return whole

    lengths = np.array([len(one.ids) for one in rows.tokens])
    record = train(network, lengths, loss_of_batch, settings, on_progress=on_progress, checkpoint=checkpoint)
    network.to("cpu")
    teacher.network.to("cpu")
    heads = finished_heads(network, teacher.base, teacher.tokeniser, rows)
    return FittedEncoder(
        teacher.base, network, teacher.tokeniser, teacher.problems, heads, teacher.parts_per_input, record
    )


class _Lessons:
    """Runs the teacher without dropout or slopes."""

    def __init__(self, network: EncoderNetwork, pad_id: int, device: str, precision: str) -> None:
        self._network, self._pad_id = network.eval(), pad_id
        self._device, self._precision = device, precision

    def of(self, tokens: list[Tokenised]) -> _Lesson:
        """What the teacher says of these rows."""
        order = np.argsort([len(one.ids) for one in tokens], kind="stable")
        rows: list[torch.Tensor] = [torch.empty(0)] * len(tokens)
        vectors, scores = rows.copy(), rows.copy()
        with torch.no_grad(), numeric_scope(self._device, self._precision):
            for at in range(0, len(order), _BATCH):
                batch = order[at : at + _BATCH].tolist()
                ids, types, mask = pad_batch([tokens[row] for row in batch], self._pad_id, self._device)
                row_br, token_btk, pooled_bh = self._network(ids, types, mask)
                for place, row in enumerate(batch):
                    rows[row], vectors[row] = row_br[place].float(), pooled_bh[place].float()
                    scores[row] = token_btk[place, : len(tokens[row].ids)].float()
        return _Lesson(torch.stack(rows), torch.stack(vectors), scores)


def _pad_scores(scores: list[torch.Tensor], longest: int) -> torch.Tensor | None:
    if not scores[0].shape[1]:
        return None
    return torch.stack([functional.pad(one, (0, 0, 0, longest - len(one))) for one in scores])
