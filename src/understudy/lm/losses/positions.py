"""Which positions count, and what their losses are divided by. Knows no loss.

Shapes: ... leading dimensions of a batch (often rows and tokens), V vocabulary, n positions that count.
"""

from __future__ import annotations

import torch

from understudy.errors import DataError
from understudy.lm.losses.checks import check_positive

__all__ = ["log_probabilities", "normalise_in_place", "pick_positions", "token_mean", "wide_type"]

# Stands in for a logit of minus infinity. exp() of it is 0 in every float type, so probabilities are exact; but
# differences stay numbers, where (-inf) - (-inf) would be NaN. Far from float32's smallest number, 3.4e38, so that
# dividing by a temperature does not bring infinity back.
_LEAST_LOGIT = -1e30


def pick_positions(
    tensor: torch.Tensor, mask: torch.Tensor | None, *, has_columns: bool = True
) -> torch.Tensor:
    """The positions that count, in one row each.

    Parameters
    ----------
    tensor
        Shape (..., D), or (...) where it has no columns.
    mask
        Boolean, shape (...): true where a position counts. ``None``: all count.
    has_columns
        Whether the last dimension belongs to a position.

    Returns
    -------
    torch.Tensor
        Shape (n, D), or (n,). Gradients of positions that do not count are exactly 0.

    Raises
    ------
    DataError
        If the mask is not boolean or has another shape than the positions.
    """
    leading = tensor.shape[:-1] if has_columns else tensor.shape
    if mask is None:
        return tensor.reshape(-1, tensor.shape[-1]) if has_columns else tensor.reshape(-1)
    if mask.dtype != torch.bool or mask.shape != leading:
        raise DataError(
            "mask must be boolean and have one entry for each position",
            given=f"{mask.dtype} {tuple(mask.shape)} for positions {tuple(leading)}",
        )
    return tensor[mask]


def wide_type(tensor: torch.Tensor) -> torch.dtype:
    """The type that losses are computed in: float64 for float64, float32 for everything else."""
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def log_probabilities(logits_nv: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    """Log-softmax of ``logits / temperature``, in float32 at least.

    Half-precision logits are widened first: bfloat16 keeps 8 bits, which is too few for a sum over a vocabulary.
    A logit of minus infinity counts as -1e30: its probability is exactly 0, yet differences of two such logs are
    numbers. The price: where a divergence would be infinite it is about 1e30.

    Raises
    ------
    ConfigError
        If the temperature is not finite and above 0.
    """
    check_positive("temperature", temperature)
    wide_nv = logits_nv.to(wide_type(logits_nv))
    return torch.log_softmax(wide_nv.clamp(min=_LEAST_LOGIT) / temperature, dim=-1)


def normalise_in_place(logits_nv: torch.Tensor, out_nv: torch.Tensor, temperature: float = 1.0) -> None:
    """As :func:`log_probabilities`, without new arrays and without a gradient.

    Parameters
    ----------
    logits_nv
        In the wide type; becomes log-probabilities.
    out_nv
        Of the same shape and type; becomes probabilities.
    """
    logits_nv.clamp_(min=_LEAST_LOGIT)
    if temperature != 1:
        logits_nv.div_(temperature)
    logits_nv.sub_(logits_nv.amax(-1, keepdim=True))
    sums_n1 = torch.exp(logits_nv, out=out_nv).sum(-1, keepdim=True)
    logits_nv.sub_(sums_n1.log())
    out_nv.div_(sums_n1)


def token_mean(losses_n: torch.Tensor, normaliser: float | None = None) -> torch.Tensor:
    """The sum over positions, divided by `normaliser`.

    Parameters
    ----------
    losses_n
        One loss for each position that counts.
    normaliser
        ``None``: the number of positions, so the result is the mean per token. With accumulated gradients or several
        machines, give the number of tokens that count in the whole step: then the sum of the parts is the mean over
        the step, where the mean of means would weigh a token of a short part more.

    Returns
    -------
    torch.Tensor
        A scalar. Without any position it is 0 and carries a gradient of zeros, so a step that happens to have none
        can still go backward.

    Raises
    ------
    ConfigError
        If the normaliser is not finite and above 0.
    """
    if normaliser is None:
        return losses_n.sum() / max(len(losses_n), 1)
    return losses_n.sum() / check_positive("normaliser", normaliser)
