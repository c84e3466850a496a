"""The shape of a decoder-only transformer: every size that decides parameters, memory and arithmetic.

Sizes only. It does not know what the model can do, how positions are rotated, how norms are placed, or how
a router picks experts: none of that changes a count. Which layers have a window does not matter either, only
how many.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from understudy.errors import ConfigError

__all__ = ["AttentionBiases", "AttentionKind", "ModelShape", "Norm", "QueryKeyNorm"]

AttentionKind = Literal["full", "latent", "mixture"]
"""``full``: multi-head, grouped-query or multi-query by `n_kv_heads`. ``latent``: multi-head latent attention
(DeepSeek-V2, arXiv:2405.04434). ``mixture``: query and output maps are experts too (JetMoE,
arXiv:2404.07413)."""

AttentionBiases = Literal["none", "qkv", "all"]
Norm = Literal["rms", "layer", "none"]
QueryKeyNorm = Literal["none", "head", "width"]

_POSITIVE = ("n_layers", "d_model", "n_heads", "n_kv_heads", "d_head", "d_ff", "n_vocab")
_LATENT = ("kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim")
_CHOICES = {
    "attention": AttentionKind,
    "attention_biases": AttentionBiases,
    "norm": Norm,
    "qk_norm": QueryKeyNorm,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """The sizes of a decoder-only transformer.

    Attributes
    ----------
    n_layers, d_model, n_heads, n_kv_heads, d_head, d_ff, n_vocab
        Layers; width; query heads; key-value heads (1 is multi-query); width of a head; width of the dense
        feed-forward; rows of the embedding as allocated. Where every layer is a mixture, `d_ff` is not used.
    is_gated
        Whether the feed-forward has three matrices (SwiGLU, GeGLU; Shazeer 2020) instead of two.
    is_tied
        Whether embedding and output head are one matrix.
    attention
        See :data:`AttentionKind`.
    attention_biases
        Which attention maps carry a bias: none, query-key-value (Qwen2) or all four (GPT-2). For ``latent``,
        ``all`` is the two compressing maps and the output, as in DeepSeek's code.
    has_ff_biases, has_head_bias
        Biases of the feed-forward and of the output head.
    norm
        ``rms`` one vector, ``layer`` two (weight and bias), ``none`` no parameters (OLMo 1).
    norms_per_layer
        2 as a rule; 4 in Gemma 2 and 3; 1 where attention and feed-forward run side by side (Phi-2).
    qk_norm
        Norm of queries and keys: none, one vector per layer of a head's width (Qwen3, Gemma 3), or of the
        whole width (OLMo 2).
    n_positions
        Rows of a learnt position table; 0 where positions are rotated.
    max_positions
        Tokens up to which rotated positions were trained or extended; ``None`` where unknown. It changes no count.
    kv_lora_rank, q_lora_rank, qk_rope_head_dim, qk_nope_head_dim, v_head_dim
        Sizes of latent attention; `q_lora_rank` 0 where queries are not compressed.
    window, n_window_layers
        Tokens that a sliding layer sees, itself included; how many layers slide. ``None`` and 0 for none.
    n_experts, n_active_experts, d_expert_ff
        Experts per mixture layer; how many a token visits; width of one. 0 for a dense model.
    n_shared_experts, d_shared_ff
        Experts that every token visits, and the width of one.
    has_shared_gate
        Whether a gate of `d_model` parameters scales the shared experts (Qwen2-MoE).
    n_dense_layers
        Layers of a mixture model that keep the dense feed-forward.

    Raises
    ------
    ConfigError
        If a size is impossible; it names the field and the allowed values.
    """

    n_layers: int
    d_model: int
    n_heads: int
    n_kv_heads: int
    d_head: int
    d_ff: int
    n_vocab: int
    is_gated: bool = True
    is_tied: bool = False
    attention: AttentionKind = "full"
    attention_biases: AttentionBiases = "none"
    has_ff_biases: bool = False
    has_head_bias: bool = False
    norm: Norm = "rms"
    norms_per_layer: int = 2
    qk_norm: QueryKeyNorm = "none"
    n_positions: int = 0
    max_positions: int | None = None
    kv_lora_rank: int = 0
    q_lora_rank: int = 0
    qk_rope_head_dim: int = 0
    qk_nope_head_dim: int = 0
    v_head_dim: int = 0
    window: int | None = None
    n_window_layers: int = 0
    n_experts: int = 0
    n_active_experts: int = 0
    d_expert_ff: int = 0
    n_shared_experts: int = 0
    d_shared_ff: int = 0
    has_shared_gate: bool = False
    n_dense_layers: int = 0

    def __post_init__(self) -> None:
        self._check_numbers()
        self._check_attention()
        self._check_window()
        self._check_experts()

    @property
    def is_mixture(self) -> bool:
        """Whether some layer is a mixture of experts."""
        return self.n_experts > 0

    @property
    def n_mixture_layers(self) -> int:
        """Layers whose feed-forward is a mixture."""
        return self.n_layers - self.n_dense_layers if self.is_mixture else 0

    @property
    def n_full_layers(self) -> int:
        """Layers that see the whole context."""
        return self.n_layers - self.n_window_layers

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)

    def _check_numbers(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name in _CHOICES:
                allowed = get_args(_CHOICES[one.name])
                if value not in allowed:
                    raise ConfigError(f"{one.name} must be {' or '.join(allowed)}", given=repr(value))
            elif one.name.startswith(("is_", "has_")):
                if not isinstance(value, bool):
                    raise ConfigError(f"{one.name} must be true or false", given=repr(value))
            elif one.name == "max_positions" and value is None:
                continue
            elif one.name != "window":
                least = 1 if one.name in (*_POSITIVE, "max_positions") else 0
                if isinstance(value, bool) or not isinstance(value, int) or value < least:
                    raise ConfigError(
                        f"{one.name} must be a whole number, {least} or more", given=repr(value)
                    )

    def _check_attention(self) -> None:
        if self.n_heads % self.n_kv_heads:
            divisors = [n for n in range(1, self.n_heads + 1) if self.n_heads % n == 0]
            raise ConfigError(
                f"n_kv_heads must divide n_heads ({self.n_heads})",
                given=str(self.n_kv_heads),
                todo=f"one of {', '.join(map(str, divisors))}",
            )
        is_latent = self.attention == "latent"
        for name in (*_LATENT, "q_lora_rank"):
            size = getattr(self, name)
            if is_latent and name != "q_lora_rank" and size < 1:
                raise ConfigError(f"{name} must be 1 or more where attention is latent", given=str(size))
            if not is_latent and size:
                raise ConfigError(f"{name} must be 0 unless attention is latent", given=str(size))
        if self.attention == "mixture" and self.n_heads != self.n_active_experts * self.n_kv_heads:
            raise ConfigError(
                "n_heads must be n_active_experts times n_kv_heads where attention is a mixture",
                given=str(self.n_heads),
                todo=f"{self.n_active_experts * self.n_kv_heads}",
            )

    def _check_window(self) -> None:
        if self.window is None:
            if self.n_window_layers:
                raise ConfigError(
                    "n_window_layers must be 0 without a window", given=str(self.n_window_layers)
                )
            return
        if isinstance(self.window, bool) or not isinstance(self.window, int) or self.window < 1:
            raise ConfigError("window must be a whole number, 1 or more, or none", given=repr(self.window))
        if not 1 <= self.n_window_layers <= self.n_layers:
            raise ConfigError(
                f"n_window_layers must be from 1 to n_layers ({self.n_layers}) where there is a window",
                given=str(self.n_window_layers),
            )

    def _check_experts(self) -> None:
        if not self.n_experts:
            names = ("n_active_experts", "d_expert_ff", "n_shared_experts", "d_shared_ff", "n_dense_layers")
            for name in names:
                if getattr(self, name):
                    raise ConfigError(f"{name} must be 0 without experts", given=str(getattr(self, name)))
            if self.has_shared_gate:
                raise ConfigError("has_shared_gate must be false without experts", given="True")
            return
        limits = {
            "n_active_experts": (1, self.n_experts, "n_experts"),
            "n_dense_layers": (0, self.n_layers - 1, "n_layers - 1"),
        }
        for name, (least, most, meaning) in limits.items():
            if not least <= getattr(self, name) <= most:
                raise ConfigError(
                    f"{name} must be from {least} to {meaning} ({most})", given=str(getattr(self, name))
                )
        if not self.d_expert_ff:
            raise ConfigError("d_expert_ff must be 1 or more where there are experts", given="0")
        if (self.n_shared_experts > 0) != (self.d_shared_ff > 0):
            raise ConfigError(
                "n_shared_experts and d_shared_ff must both be 0 or both be 1 or more",
                given=f"{self.n_shared_experts} and {self.d_shared_ff}",
            )
