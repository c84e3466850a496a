"""Sparse upcycling: a mixture of experts out of a trained dense Llama, computing the same at first.

After Komatsuzaki et al. 2023 ("Sparse upcycling"). Which settings compute exactly what the dense model computes
(up to rounding) at step 0, and why, is said by :func:`upcycling_gap` and by each scheme below.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from transformers import LlamaForCausalLM, PreTrainedModel

from understudy.errors import ConfigError
from understudy.lm.config import ExpertsConfig, Gate
from understudy.lm.decoder import StudentDecoder, StudentDecoderConfig, shape_of
from understudy.lm.experts import ExpertBlock

__all__ = ["Scheme", "fitting_experts", "largest_change", "upcycle", "upcycling_gap"]

Scheme = Literal["copy", "shared", "granular"]
"""``copy``: every expert is the dense feed-forward part (Komatsuzaki et al. 2023). The weights of the chosen
experts must add up to 1.

``shared``: the shared experts together are the dense part, and the routed ones start with a slice of its gate and
up projections and a down projection of zeros, so that they add nothing until trained; any gate will do.

``granular``: the dense part is cut into `n_active` slices; the experts are copies of slices, and copies that
belong together have equal router rows, so that a token gets every slice once (He et al. 2024, "Upcycling large
language models into mixture of experts", virtual groups). The weights must all be 1: renormalised over `n_active`
equal scores and scaled by `n_active`.
"""
_SCHEMES = ("copy", "shared", "granular")


def upcycling_gap(experts: ExpertsConfig, scheme: Scheme) -> str | None:
    """Say why the mixture will not compute what the dense model does at step 0; ``None`` where it will.

    Exact: ``copy`` with renormalised weights and scale 1, softmax or sigmoid, any `n_active`; ``copy`` with a
    softmax over experts that are all active; ``shared`` always; ``granular`` with renormalised weights and scale
    `n_active`. A capacity limit breaks the copies in training, where assignments are dropped.
    """
    if scheme == "shared":
        return None
    is_whole = experts.gate == "softmax" and experts.n_active == experts.n_experts
    sums_to_one = experts.is_renormalised or is_whole
    scale = 1.0 if scheme == "copy" else float(experts.n_active)
    if not sums_to_one:
        return "the weights of the chosen experts do not add up to 1: set is_renormalised"
    if experts.routed_scale != scale:
        return f"the routed experts' sum is scaled: set routed_scale to {scale:g}"
    if experts.capacity_factor is not None:
        return "in training, assignments over capacity are dropped: set capacity_factor to None"
    return None


def fitting_experts(
    d_ff: int,
    scheme: Scheme,
    *,
    n_experts: int,
    n_active: int,
    n_shared: int = 1,
    gate: Gate = "softmax",
    every: int = 1,
) -> ExpertsConfig:
    """Give the mixture that fits a dense width and computes the same, by the rules of :func:`upcycling_gap`.

    Raises
    ------
    ConfigError
        If the scheme is unknown, or the width cannot be cut into the slices that it needs.
    """
    _check_scheme(scheme)
    slices = {"copy": 1, "shared": n_shared, "granular": n_active}[scheme]
    if slices < 1 or d_ff % slices:
        field = "n_shared" if scheme == "shared" else "n_active"
        raise ConfigError(
            f"{field} must divide the dense width ({d_ff}) for the scheme {scheme}",
            given=f"{field} = {slices}",
        )
    return ExpertsConfig(
        n_experts,
        n_active,
        d_ff // slices,
        n_shared=n_shared if scheme == "shared" else 0,
        gate=gate,
        routed_scale=float(n_active) if scheme == "granular" else 1.0,
        every=every,
    )


@torch.no_grad()
def largest_change(
    moe: PreTrainedModel, dense: PreTrainedModel, *, n_tokens: int = 64, seed: int = 0
) -> tuple[float, float]:
    """Measure on random tokens how far logits are from the dense model's, outside training.

    Returns
    -------
    tuple[float, float]
        The largest difference, and the dense model's largest logit.
    """
    random = torch.Generator().manual_seed(seed)
    n_tokens = min(n_tokens, dense.config.max_position_embeddings)
    ids = torch.randint(dense.config.vocab_size, (2, n_tokens), generator=random).to(dense.device)
    expected, found = (model.eval()(ids, use_cache=False).logits for model in (dense, moe))
    return float((found - expected).abs().max()), float(expected.abs().max())


def upcycle(
    dense: PreTrainedModel, experts: ExpertsConfig, *, scheme: Scheme = "copy", seed: int = 0
) -> StudentDecoder:
    """Make a mixture of experts of a dense Llama; everything but the feed-forward parts is copied as it is.

    Parameters
    ----------
    dense
        A ``LlamaForCausalLM``, for example from :func:`understudy.lm.decoder.load_decoder`. It is left as it was.
    experts
        The mixture; its width must fit the scheme: `d_expert` is the dense width for ``copy``, the dense width
        over `n_shared` for ``shared``, over `n_active` for ``granular``.
    scheme
        See :data:`Scheme`.
    seed
        Of the router's rows, normal with the deviation of the model's config (0.02).

    Raises
    ------
    ConfigError
        If the model is no dense Llama, or a width does not fit.
    """
    shape = shape_of(dense)
    if shape.experts is not None or not isinstance(dense, LlamaForCausalLM):
        raise ConfigError("only a dense Llama can be upcycled", given=type(dense).__name__)
    _check_fit(experts, shape.d_ff, scheme)
    words = dense.config.to_dict()
    for key in ("model_type", "architectures", "transformers_version"):
        words.pop(key, None)
    shape_with = StudentDecoderConfig(
        **words,
        experts={name: getattr(experts, name) for name in experts.__slots__},
        attn_implementation=dense.config._attn_implementation,  # noqa: SLF001  (there is no public word for it)
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        moe: StudentDecoder = StudentDecoder(shape_with).to(dtype=dense.dtype, device=dense.device)
    left = moe.load_state_dict(dense.state_dict(), strict=False).unexpected_keys
    assert all(".mlp." in key for key in left), left
    for layer, source in zip(moe.model.layers, dense.model.layers, strict=True):
        if isinstance(layer.mlp, ExpertBlock):
            _fill(layer.mlp, source.mlp, scheme)
    moe.train(dense.training)
    return moe


def _check_scheme(scheme: str) -> None:
    if scheme not in _SCHEMES:
        raise ConfigError(f"scheme must be one of {', '.join(_SCHEMES)}", given=f"scheme = {scheme!r}")


def _check_fit(experts: ExpertsConfig, d_ff: int, scheme: Scheme) -> None:
    _check_scheme(scheme)
    if scheme == "shared" and not experts.n_shared:
        raise ConfigError("n_shared must be above 0 for the scheme shared", given="n_shared = 0")
    if scheme != "shared" and experts.n_shared:
        raise ConfigError(
            f"n_shared must be 0 for the scheme {scheme}",
            given=f"n_shared = {experts.n_shared}",
            todo="use the scheme shared",
        )
    if scheme == "granular" and experts.n_experts % experts.n_active:
        raise ConfigError(
            "n_experts must be a multiple of n_active for the scheme granular",
            given=f"n_experts = {experts.n_experts}, n_active = {experts.n_active}",
        )
    slices = {"copy": 1, "shared": experts.n_shared, "granular": experts.n_active}[scheme]
    if experts.d_expert * slices != d_ff:
        raise ConfigError(
            f"d_expert must be the dense width over {slices}, {d_ff / slices:g}",
            given=f"d_expert = {experts.d_expert}, dense width = {d_ff}",
        )


@torch.no_grad()
def _fill(block: ExpertBlock, mlp: Any, scheme: Scheme) -> None:
    """Give the block the dense weights; slice i of the dense width goes to experts i, i + n, i + 2 n, ..."""
    config = block.experts.config
    gate, up, down = (getattr(mlp, f"{name}_proj").weight for name in ("gate", "up", "down"))
    width = config.d_expert
    for expert in range(config.n_experts):
        begin = expert * width % gate.shape[0]
        part = slice(begin, begin + width)
        block.experts.gate_up[expert] = torch.cat([gate[part], up[part]]).t()
        block.experts.down[expert] = 0.0 if scheme == "shared" else down[:, part].t()
    if scheme == "granular":
        heads = block.router.weight[:: config.n_active]
        block.router.weight.copy_(heads.repeat_interleave(config.n_active, dim=0))
    if block.shared is not None:
        for name, weight in (("gate", gate), ("up", up), ("down", down)):
            linear: Any = block.shared[f"{name}_proj"]
            linear.weight.copy_(weight)
