"""Losses of the four problem modes, summed over what a batch's rows know.

Shapes: B rows of the batch, T tokens, R per-input columns, K per-token columns; P known (row, field) pairs of
`point` problems, D longest span, V values without a span.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from understudy.runtime.pointer import SpanBorders, span_borders
from understudy.training.rows import HeadTargets, TrainingRows

__all__ = ["batch_loss", "teacher_loss"]


def batch_loss(
    rows: TrainingRows, batch: npt.NDArray[np.int64], row_br: torch.Tensor, token_btk: torch.Tensor
) -> torch.Tensor:
    """Weighted loss of all heads on a batch, per row and known problem."""
    weights = torch.from_numpy(rows.weights[batch]).to(row_br.device)
    total = row_br.sum() * 0.0
    borders: dict[tuple[int, bool], SpanBorders] = {}
    for targets, lookup in zip(rows.heads, rows.lookup, strict=True):
        places = [(at, lookup[int(row)]) for at, row in enumerate(batch) if int(row) in lookup]
        if not places:
            continue
        if targets.problem.mode == "point":
            losses = _point_losses(rows, targets, batch, places, row_br, token_btk, borders)
        else:
            losses = _dense_losses(targets, places, row_br)
        total = total + (losses * weights[[at for at, _ in places]]).sum()
    return total / (len(batch) * max(rows.known_per_row, 1e-6))


def _dense_losses(targets: HeadTargets, places: list[tuple[int, int]], row_br: torch.Tensor) -> torch.Tensor:
    dense = np.zeros((0, 0), dtype=np.float32) if targets.dense is None else targets.dense
    outputs = row_br[[at for at, _ in places], targets.head.row[0] : targets.head.row[1]]
    wanted = torch.from_numpy(dense[[at for _, at in places]]).to(outputs.device)
    if targets.problem.mode == "classify":
        return functional.cross_entropy(outputs, wanted, reduction="none")
    if targets.problem.mode == "multilabel":
        return functional.binary_cross_entropy_with_logits(outputs, wanted, reduction="none").sum(1)
    return functional.smooth_l1_loss(outputs, wanted, reduction="none").sum(1)


def _point_losses(
    rows: TrainingRows,
    targets: HeadTargets,
    batch: npt.NDArray[np.int64],
    places: list[tuple[int, int]],
    row_br: torch.Tensor,
    token_btk: torch.Tensor,
    borders: dict[tuple[int, bool], SpanBorders],
) -> torch.Tensor:
    """Negative log probability of the right spans (together) or the right void, shape (P,)."""
    head = targets.head
    first_column = head.token or 0
    picked = [at for at, _ in places]
    count, width = token_btk.shape[1], min(head.longest_span, token_btk.shape[1])
    legal = np.zeros((len(places), count, width), dtype=np.bool_)
    right = np.zeros_like(legal)
    for at, (place, own) in enumerate(places):
        key = (place, head.is_snapped)
        row = int(batch[place])
        if key not in borders:
            borders[key] = span_borders(rows.tokens[row], rows.inputs[row], is_snapped=head.is_snapped)
        _mark_legal(legal[at], borders[key])
        for first, more in targets.points[own].spans:
            if more < width:
                right[at, first, more] = legal[at, first, more] = True
    scores = _span_scores(token_btk[picked][..., first_column : first_column + 3], width)
    minus = torch.finfo(scores.dtype).min
    device = scores.device
    scores = scores.masked_fill(~torch.from_numpy(legal).to(device), minus).flatten(1)
    voids = row_br[picked, head.row[0] : head.row[1]]
    whole = torch.logsumexp(torch.cat((scores, voids), dim=1), dim=1)
    of_spans = torch.logsumexp(
        scores.masked_fill(~torch.from_numpy(right).to(device).flatten(1), minus), dim=1
    )
    void_at = torch.tensor([targets.points[own].void for _, own in places], device=device)
    if not voids.shape[1]:
        return whole - of_spans
    of_void = voids.gather(1, void_at.clamp(min=0)[:, None])[:, 0]
    return whole - torch.where(void_at >= 0, of_void, of_spans)


def _mark_legal(legal_td: npt.NDArray[np.bool_], borders: SpanBorders) -> None:
    count, width = len(borders.part), legal_td.shape[1]
    for more in range(min(width, count)):
        stop = count - more
        legal_td[:stop, more] = (
            borders.may_begin[:stop]
            & borders.may_end[more:count]
            & (borders.part[:stop] == borders.part[more:count])
        )


def _span_scores(scores_pt3: torch.Tensor, width: int) -> torch.Tensor:
    """As ``runtime.pointer.span_scores``, for a batch and without the mask: shape (P, T, D)."""
    begin, end, inside = scores_pt3.unbind(-1)
    sums = functional.pad(inside.cumsum(1), (1, 0))
    ends = functional.pad(end + sums[:, 1:], (0, width - 1)).unfold(1, width, 1)
    return (begin - sums[:, :-1])[..., None] + ends


def teacher_loss(
    rows: TrainingRows,
    row_br: torch.Tensor,
    teacher_br: torch.Tensor,
    token_btk: torch.Tensor,
    teacher_btk: torch.Tensor | None,
    mask_bt: torch.Tensor,
    temperature: float,
) -> torch.Tensor:
    """How far a student's outputs are from a teacher network's, per row and problem.

    Classes by Kullback-Leibler divergence at `temperature` (times its square, so that slopes keep their size:
    Hinton et al. 2015), labels by cross-entropy, numbers and pointer scores by squared distance.
    """
    total = row_br.sum() * 0.0
    for targets in rows.heads:
        own = slice(*targets.head.row)
        ours, theirs = row_br[:, own], teacher_br[:, own]
        if targets.problem.mode == "classify":
            wanted = functional.log_softmax(theirs / temperature, dim=1)
            said = functional.log_softmax(ours / temperature, dim=1)
            total = total + temperature**2 * functional.kl_div(
                said, wanted, log_target=True, reduction="batchmean"
            )
        elif targets.problem.mode == "multilabel":
            total = (
                total
                + functional.binary_cross_entropy_with_logits(ours, torch.sigmoid(theirs), reduction="none")
                .sum(1)
                .mean()
            )
        elif ours.shape[1]:
            total = total + functional.mse_loss(ours, theirs)
        if targets.head.token is not None and teacher_btk is not None:
            columns = slice(targets.head.token, targets.head.token + 3)
            gap = (token_btk[..., columns] - teacher_btk[..., columns]).square().mean(-1)
            total = total + (gap * mask_bt).sum() / mask_bt.sum()
    return total / len(rows.heads)
