"""Losses straight from hidden states and output matrices, a few positions at a time, so that the logits of a batch are
never in memory together. Knows no particular loss: any function of a chunk's logits will do.

The gradient is computed in the forward pass, chunk by chunk, and only scaled in the backward pass: a scalar loss
allows that, and nothing has to be computed twice. The idea is that of Liger Kernel's fused linear losses (Hsu et al.
2024, "Liger Kernel: Efficient Triton Kernels for LLM Training", its FusedLinearCrossEntropy and FusedLinearJSD); here
it is plain torch, for any loss, on any device. Loss and gradients equal those of the naive computation up to the
order of sums.

Not covered: output layers with a bias or with capped logits, and second derivatives. Autocast does not reach inside:
products are computed in the type of the tensors given, losses in float32 at least.

Shapes: ... leading dimensions, n positions that count, c positions of a chunk, v vocabulary, h hidden size (that of the
teacher may differ).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from understudy.errors import ConfigError, DataError
from understudy.lm.losses.checks import check_positive
from understudy.lm.losses.pointwise import FORWARD_KL, Divergence
from understudy.lm.losses.positions import normalise_in_place, pick_positions, wide_type

__all__ = ["RowLosses", "chunked_divergence", "chunked_head_loss", "default_chunk_positions"]

RowLosses = Callable[[torch.Tensor, slice], torch.Tensor]
"""Takes a chunk's logits (c, v), in float32 at least, and which of the n positions they are; gives losses (c,)."""

_ChunkLosses = Callable[[slice, bool], tuple[torch.Tensor, torch.Tensor | None]]
"""Takes which positions, and whether slopes are wanted; gives losses (c,) and slopes (c, v)."""

_CHUNK_BYTES = 2**25
_LEAST_CHUNK = 16


def default_chunk_positions(vocabulary: int) -> int:
    """Positions of which the float32 logits take 32 MiB, and 16 at least.

    Fewer make the products with the output matrix slow, because all of it is read for each chunk; more take memory and
    save little time (``docs/distillation.md`` has the measurement).
    """
    return max(_LEAST_CHUNK, _CHUNK_BYTES // (4 * vocabulary))


def chunked_divergence(
    student_hidden: torch.Tensor,
    student_head: torch.Tensor,
    teacher_hidden: torch.Tensor,
    teacher_head: torch.Tensor,
    *,
    divergence: Divergence = FORWARD_KL,
    mask: torch.Tensor | None = None,
    temperature: float = 1.0,
    normaliser: float | None = None,
    chunk_positions: int | None = None,
) -> torch.Tensor:
    """Divergence of the student's next-token distributions from the teacher's, without full logits of either.

    Equals ``divergence_loss(divergence, student_hidden @ student_head.T, teacher_hidden @ teacher_head.T, ...)``.

    Parameters
    ----------
    student_hidden, teacher_hidden
        Last hidden states, shapes (..., h) and (..., h'). No gradient flows to the teacher.
    student_head, teacher_head
        Output matrices, (v, h) and (v, h').
    divergence
        One of :mod:`~understudy.lm.losses.pointwise`, such as ``jensen_shannon_of(0.5)``.
    mask, normaliser
        As in :mod:`~understudy.lm.losses.divergence`.
    temperature
        Above 0; the result is not multiplied by its square.
    chunk_positions
        How many positions at a time; ``None``: :func:`default_chunk_positions`.

    Returns
    -------
    torch.Tensor
        A scalar in nats; 0 with gradients of zeros where no position counts. Memory beside the gradients themselves:
        four arrays of a chunk's logits.

    Raises
    ------
    ConfigError
        If an option is out of range.
    DataError
        If shapes or types do not fit.
    """
    if student_hidden.shape[:-1] != teacher_hidden.shape[:-1] or len(student_head) != len(teacher_head):
        raise DataError(
            "student and teacher must have the same positions and the same vocabulary",
            given=f"hidden {tuple(student_hidden.shape)} and {tuple(teacher_hidden.shape)}, "
            f"heads {tuple(student_head.shape)} and {tuple(teacher_head.shape)}",
            todo="with two tokenisers, see understudy.lm.losses.cross_tokenizer",
        )
    check_positive("temperature", temperature)
    student_nh, teacher_nh = pick_positions(student_hidden, mask), pick_positions(teacher_hidden, mask)
    wide = wide_type(student_nh)
    room: list[torch.Tensor] = []

    def chunk_losses(rows: slice, wants_slopes: bool) -> tuple[torch.Tensor, torch.Tensor]:
        del wants_slopes  # they come with the losses
        count = rows.stop - rows.start
        if not room:
            # Once, not for each chunk: on a CPU, fresh pages take longer than the arithmetic done in them.
            shape = (count, len(student_head))
            room.extend(torch.empty(shape, dtype=wide, device=student_nh.device) for _ in range(4))
        q_cv, log_q_cv, p_cv, log_p_cv = (part[:count] for part in room)
        normalise_in_place(_product(student_nh[rows], student_head, log_q_cv), q_cv, temperature)
        normalise_in_place(_product(teacher_nh[rows], teacher_head, log_p_cv), p_cv, temperature)
        gap_cv = log_p_cv.sub_(log_q_cv)
        losses_c, slopes_cv = divergence.losses_and_slopes(p_cv, q_cv, gap_cv, log_q_cv)
        return losses_c, slopes_cv if temperature == 1 else slopes_cv.div_(temperature)

    return _apply(student_nh, student_head, chunk_losses, normaliser, chunk_positions)


def chunked_head_loss(
    hidden_nh: torch.Tensor,
    head_vh: torch.Tensor,
    row_losses: RowLosses,
    *,
    normaliser: float | None = None,
    chunk_positions: int | None = None,
) -> torch.Tensor:
    """``sum(row_losses(hidden_nh @ head_vh.T)) / normaliser``, chunk by chunk, for any loss of the logits.

    Parameters
    ----------
    hidden_nh, head_vh
        Of one floating type. Both get gradients where they ask for them.
    row_losses
        Called once for each chunk; autograd differentiates it. Gradients flow to its logits alone, not to other tensors
        that it reads.
    normaliser
        ``None``: n. See :func:`~understudy.lm.losses.positions.token_mean`.
    chunk_positions
        ``None``: :func:`default_chunk_positions`. Results do not depend on it but for rounding.

    Returns
    -------
    torch.Tensor
        A scalar, in float32 at least. Memory beside the gradients themselves: what `row_losses` needs for one chunk.

    Raises
    ------
    ConfigError
        If an option is not above 0.
    DataError
        If shapes or types do not fit.
    """

    def chunk_losses(rows: slice, wants_slopes: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
        logits_cv = (hidden_nh[rows] @ head_vh.T).to(wide_type(hidden_nh))
        if not wants_slopes:
            return row_losses(logits_cv, rows), None
        with torch.enable_grad():
            losses_c = row_losses(logits_cv.requires_grad_(), rows)
            (slopes_cv,) = torch.autograd.grad(losses_c.sum(), logits_cv)
        return losses_c.detach(), slopes_cv

    return _apply(hidden_nh, head_vh, chunk_losses, normaliser, chunk_positions)


def _product(hidden_ch: torch.Tensor, head_vh: torch.Tensor, out_cv: torch.Tensor) -> torch.Tensor:
    """``hidden @ head.T``, multiplied in the type of the two and written in the type of `out_cv`."""
    if hidden_ch.dtype == out_cv.dtype:
        return torch.matmul(hidden_ch, head_vh.T, out=out_cv)
    return out_cv.copy_(hidden_ch @ head_vh.T)


def _apply(
    hidden_nh: torch.Tensor,
    head_vh: torch.Tensor,
    chunk_losses: _ChunkLosses,
    normaliser: float | None,
    chunk_positions: int | None,
) -> torch.Tensor:
    if hidden_nh.ndim != 2 or hidden_nh.shape[1] != head_vh.shape[1] or hidden_nh.dtype != head_vh.dtype:
        given = f"{hidden_nh.dtype} {tuple(hidden_nh.shape)} and {head_vh.dtype} {tuple(head_vh.shape)}"
        raise DataError("hidden states and head must be matrices of one type and width", given=given)
    chunk = default_chunk_positions(len(head_vh)) if chunk_positions is None else chunk_positions
    check_positive("chunk_positions", chunk)
    if normaliser is None:
        normaliser = max(len(hidden_nh), 1)
    scale = 1.0 / check_positive("normaliser", normaliser)
    loss: torch.Tensor = _ChunkedHeadLoss.apply(  # type: ignore[no-untyped-call]
        hidden_nh, head_vh, chunk_losses, int(chunk), scale, torch.is_grad_enabled()
    )
    return loss


class _ChunkedHeadLoss(torch.autograd.Function):
    """Sums losses and gradients over chunks; keeps two gradients, and no logits, for the backward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_nh: torch.Tensor,
        head_vh: torch.Tensor,
        chunk_losses: _ChunkLosses,
        chunk: int,
        scale: float,
        is_training: bool,
    ) -> torch.Tensor:
        wants_hidden, wants_head = (is_training and wanted for wanted in ctx.needs_input_grad[:2])
        # Sums over chunks are kept wide: bfloat16 would lose what a late chunk adds to a large sum.
        wide = wide_type(hidden_nh)
        total = torch.zeros((), dtype=wide, device=hidden_nh.device)
        slope_nh = torch.empty_like(hidden_nh) if wants_hidden else None
        slope_vh = torch.zeros_like(head_vh, dtype=wide) if wants_head else None
        with torch.autocast(hidden_nh.device.type, enabled=False):
            for start in range(0, len(hidden_nh), chunk):
                rows = slice(start, min(start + chunk, len(hidden_nh)))
                losses_c, slopes_cv = chunk_losses(rows, wants_hidden or wants_head)
                total += losses_c.sum()
                if slopes_cv is None:
                    continue
                slopes_cv = slopes_cv.mul_(scale).to(hidden_nh.dtype)
                if slope_nh is not None:
                    slope_nh[rows] = slopes_cv @ head_vh
                if slope_vh is not None and wide == hidden_nh.dtype:
                    slope_vh.addmm_(slopes_cv.T, hidden_nh[rows])
                elif slope_vh is not None:
                    slope_vh += slopes_cv.T @ hidden_nh[rows]
        ctx.save_for_backward(slope_nh, None if slope_vh is None else slope_vh.to(head_vh.dtype))
        return total * scale

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        if torch.is_grad_enabled():
            # The kept gradients are constants to autograd: a second derivative would come out as 0 in silence.
            raise ConfigError(
                "chunked losses have no second derivative",
                given="create_graph=True",
                todo="compute the loss from full logits: understudy.lm.losses.divergence",
            )
        # Scaling by 1 would copy both gradients, the larger as large as the output matrix, for nothing.
        is_scaled = bool(upstream != 1)
        slopes = (
            slope * upstream.to(slope.dtype) if slope is not None and is_scaled else slope
            for slope in ctx.saved_tensors
        )
        return (*slopes, None, None, None, None)
