"""Fits, predicts with and exports an encoder network: what the rungs `tuned` and `distilled` share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from understudy.calls.call import InputParts
from understudy.export.bert_graph import ReadOut, draw_encoder
from understudy.export.encoder import export_encoder
from understudy.export.encoder_weights import encoder_weights
from understudy.export.vocabulary import drop_unused_words
from understudy.runtime.heads import Head, gather_predictions, head_answers
from understudy.runtime.prediction import FieldPrediction
from understudy.runtime.tokens import Tokeniser
from understudy.task.problem import Problem
from understudy.training.base_encoder import BaseEncoder
from understudy.training.batches import pad_batch
from understudy.training.loop import LoopSettings, Progress, TrainingRecord, numeric_scope, train
from understudy.training.losses import batch_loss
from understudy.training.network import EncoderNetwork, build_network
from understudy.training.rationale import RationaleTask
from understudy.training.rows import TrainingRows, prepare_rows
from understudy.training.target_arrays import FieldTargets

__all__ = ["FittedEncoder", "fit_encoder", "pick_device", "run_network"]

_BATCH = 64


def pick_device() -> str:
    """``cuda`` where there is one, else ``cpu``."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@dataclass(frozen=True, slots=True)
class FittedEncoder:
    """A trained network with what is needed to use it.

    Attributes
    ----------
    base
        The base encoder it grew from.
    network
        The network, in evaluation mode.
    tokeniser
        As in learning and serving.
    problems, heads
        What its outputs mean.
    parts_per_input
        Texts per input.
    record
        How training went.
    """

    base: BaseEncoder
    network: EncoderNetwork
    tokeniser: Tokeniser
    problems: tuple[Problem, ...]
    heads: tuple[Head, ...]
    parts_per_input: int
    record: TrainingRecord

    def predict(self, inputs: Sequence[InputParts]) -> list[FieldPrediction]:
        """The float network's predictions, one per problem."""
        tokens = [self.tokeniser(parts) for parts in inputs]
        rows, token_scores = run_network(self.network, self.base, self.tokeniser, inputs)
        answers = [
            head_answers(self.problems, self.heads, row, token, one, parts)
            for row, token, one, parts in zip(rows, token_scores, tokens, inputs, strict=True)
        ]
        return gather_predictions(self.problems, answers)

    def draw(self, *, is_quantised: bool) -> tuple[bytes, Tokeniser]:
        """The network as an ONNX graph, and the tokeniser whose ids it takes."""
        read_out = ReadOut(
            self.network.pooling,
            (self._layers,),
            row=self.network.head_arrays("row"),
            token=self.network.head_arrays("token"),
        )
        state = {
            name: tensor.detach().cpu().float().numpy()
            for name, tensor in self.network.encoder.state_dict().items()
        }
        weights = encoder_weights(self.base.config, state, self._layers)
        if weights is None:
            from understudy.export.torch_graph import trace_encoder

            graph = trace_encoder(self.network.encoder, read_out, is_quantised=is_quantised)
            return graph, self.tokeniser
        tokeniser, weights = drop_unused_words(self.tokeniser, weights)
        longest = tokeniser.max_tokens
        return draw_encoder(weights, read_out, is_quantised=is_quantised, max_tokens=longest), tokeniser

    @property
    def _layers(self) -> int:
        return int(self.network.encoder.config.num_hidden_layers)  # type: ignore[union-attr,arg-type]

    def export(self, folder: Path) -> None:
        """Write the int8 component."""
        graph, tokeniser = self.draw(is_quantised=True)
        export_encoder(
            folder,
            graph,
            tokeniser,
            self.problems,
            self.heads,
            parts_per_input=self.parts_per_input,
            base=self.base.provenance(),
        )


def fit_encoder(
    base: BaseEncoder,
    inputs: Sequence[InputParts],
    targets: Sequence[FieldTargets],
    settings: LoopSettings,
    *,
    sample_weight: npt.NDArray[np.float64] | None = None,
    rationales: Sequence[str | None] | None = None,
    dropout: float = 0.1,
    max_tokens: int | None = None,
    on_progress: Progress | None = None,
    checkpoint: Path | None = None,
) -> FittedEncoder:
    """Fine-tune `base` with one head per target.

    Parameters
    ----------
    base
        The base encoder.
    inputs, targets, sample_weight
        `n` inputs, the targets of each field, weights of shape (n,).
    settings
        Of the loop.
    rationales
        Why the teacher answered as it did, per row; see :class:`~understudy.training.rationale.RationaleTask`.
    dropout
        On the sentence vector and the token states.
    max_tokens, on_progress, checkpoint
        Longest sequence; called with step, steps and loss; file to resume from.

    Raises
    ------
    DataError
        If a field has no value that can be learnt from.
    """
    tokeniser = base.tokeniser(max_tokens)
    rows = prepare_rows(inputs, targets, tokeniser, sample_weight)
    network = build_network(base, rows.row_width, rows.token_width, dropout, settings.seed)
    start_at_shares(network, rows)
    device = pick_device()
    reasons = RationaleTask.of(base, rationales, settings.seed)
    if reasons is not None:
        network.add_module("rationale", reasons.layer)
    network.to(device)
    pad_id = int(base.config.get("pad_token_id") or 0)

    def loss_of_batch(batch: npt.NDArray[np.int64]) -> torch.Tensor:
        ids, types, mask = pad_batch([rows.tokens[int(row)] for row in batch], pad_id, device)
        with numeric_scope(device, settings.precision):
            row_br, token_btk, pooled_bh = network(ids, types, mask)
        loss = batch_loss(rows, batch, row_br.float(), token_btk.float())
        return loss if reasons is None else loss + reasons.loss(batch, pooled_bh)

    record = train(
        network,
        np.array([len(one.ids) for one in rows.tokens]),
        loss_of_batch,
        settings,
        on_progress=on_progress,
        checkpoint=checkpoint,
    )
    if reasons is not None:
        del network.rationale  # it has taught what it could; nothing of it is served
    network.to("cpu")
    heads = finished_heads(network, base, tokeniser, rows)
    return FittedEncoder(
        base, network, tokeniser, tuple(target.problem for target in targets), heads, len(inputs[0]), record
    )


def start_at_shares(network: EncoderNetwork, rows: TrainingRows) -> None:
    """Begin class biases at the log share of each class: rare and unseen classes need not be unlearnt."""
    with torch.no_grad():
        for targets in rows.heads:
            if targets.problem.mode == "classify" and targets.dense is not None:
                share = (targets.dense.sum(0) + 0.05) / (targets.dense.sum() + 0.05 * targets.dense.shape[1])
                network.row_bias[slice(*targets.head.row)] = torch.from_numpy(
                    np.log(share).astype(np.float32)
                )


def finished_heads(
    network: EncoderNetwork, base: BaseEncoder, tokeniser: Tokeniser, rows: TrainingRows
) -> tuple[Head, ...]:
    """The heads, with the errors of number heads (on rows they learnt from: too small, to be calibrated)."""
    heads = []
    for targets in rows.heads:
        head = targets.head
        if head.scale is not None and targets.dense is not None:
            inputs = [rows.inputs[int(row)] for row in targets.rows[:2000]]
            outputs, _ = run_network(network, base, tokeniser, inputs)
            said = np.array([row[head.row[0]] for row in outputs])
            errors = np.abs(said - targets.dense[: len(said), 0])
            head = replace(head, scale=head.scale.with_errors(errors))
        heads.append(head)
    return tuple(heads)


def run_network(
    network: EncoderNetwork, base: BaseEncoder, tokeniser: Tokeniser, inputs: Sequence[InputParts]
) -> tuple[list[npt.NDArray[np.float64]], list[npt.NDArray[np.float64]]]:
    """Float outputs per input: (r,) and (t, k) each."""
    tokens = [tokeniser(parts) for parts in inputs]
    pad_id = int(base.config.get("pad_token_id") or 0)
    order = np.argsort([len(one.ids) for one in tokens], kind="stable")
    rows: list[npt.NDArray[np.float64]] = [np.zeros(0)] * len(inputs)
    token_scores: list[npt.NDArray[np.float64]] = [np.zeros((0, 0))] * len(inputs)
    with torch.inference_mode():
        for at in range(0, len(order), _BATCH):
            batch = order[at : at + _BATCH]
            ids, types, mask = pad_batch([tokens[int(row)] for row in batch], pad_id, "cpu")
            row_br, token_btk, _ = network(ids, types, mask)
            for place, row in enumerate(batch.tolist()):
                rows[row] = row_br[place].double().numpy()
                token_scores[row] = token_btk[place, : len(tokens[row].ids)].double().numpy()
    return rows, token_scores
