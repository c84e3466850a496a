"""The shape of a decoder, dense or with experts: sizes, their checks, and how many parameters they make.

Knows no torch and no training. All counts are exact: a test compares them with the built model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from understudy.errors import ConfigError

__all__ = ["DecoderConfig", "ExpertsConfig", "Gate"]

Gate = Literal["softmax", "sigmoid"]
_GATES = ("softmax", "sigmoid")


def _check(is_good: bool, field: str, given: object, allowed: str) -> None:
    if not is_good:
        raise ConfigError(f"{field} must be {allowed}", given=f"{field} = {given!r}")


def _check_positive(config: object, fields: tuple[str, ...]) -> None:
    for field in fields:
        value = getattr(config, field)
        is_count = isinstance(value, int) and not isinstance(value, bool) and value > 0
        _check(is_count, field, value, "a whole number above 0")


@dataclass(frozen=True, slots=True)
class ExpertsConfig:
    """The mixture of experts that stands in place of a layer's feed-forward part.

    Attributes
    ----------
    n_experts, n_active
        Routed experts, and how many of them a token goes through (1 to `n_experts`).
    d_expert
        Hidden width of one expert (a SwiGLU of three matrices).
    n_shared
        Experts of the same width that every token goes through (Dai et al. 2024, DeepSeekMoE).
    gate
        What makes scores of the router's logits: ``softmax`` over experts (Shazeer et al. 2017), or a
        ``sigmoid`` for each (DeepSeek-V3, 2024).
    is_renormalised
        Whether the weights of the chosen experts are divided by their sum.
    routed_scale
        Factor on the routed experts' sum, after renormalising (above 0).
    every
        A layer in `every` has experts: those numbered ``every, 2 * every, ...``, counted from 1.
    capacity_factor
        In training an expert takes ``ceil(capacity_factor * tokens * n_active / n_experts)`` assignments at
        most, and the rest are dropped (Fedus et al. 2021, equation 3); ``None`` drops none.
    """

    n_experts: int
    n_active: int
    d_expert: int
    n_shared: int = 0
    gate: Gate = "softmax"
    is_renormalised: bool = True
    routed_scale: float = 1.0
    every: int = 1
    capacity_factor: float | None = None

    def __post_init__(self) -> None:
        _check_positive(self, ("n_experts", "n_active", "d_expert", "every"))
        _check(
            self.n_active <= self.n_experts,
            "n_active",
            self.n_active,
            f"at most n_experts ({self.n_experts})",
        )
        _check(isinstance(self.n_shared, int) and self.n_shared >= 0, "n_shared", self.n_shared, "0 or more")
        _check(self.gate in _GATES, "gate", self.gate, " or ".join(_GATES))
        _check(self.routed_scale > 0, "routed_scale", self.routed_scale, "above 0")
        capacity = self.capacity_factor
        _check(
            capacity is None or capacity > 0, "capacity_factor", capacity, "above 0, or None to drop nothing"
        )


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """A Llama-like decoder: RMS norms, rotary positions, SwiGLU, grouped-query attention, no biases.

    Attributes
    ----------
    vocab_size, d_model, n_layers
        Tokens known, width of the residual stream, layers.
    n_heads, n_kv_heads
        Query heads, and key-value heads (a divisor of `n_heads`; Ainslie et al. 2023).
    d_ff
        Hidden width of the feed-forward part of layers without experts.
    context_tokens
        Longest sequence.
    d_head
        Width of a head, an even number; ``None`` is ``d_model / n_heads``.
    is_tied
        Whether the output matrix is the input embedding.
    rope_theta, norm_eps
        Base of the rotary frequencies (Su et al. 2021); the norms' epsilon.
    experts
        The mixture of experts, or ``None`` for a dense model.
    """

    vocab_size: int
    d_model: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_ff: int
    context_tokens: int
    d_head: int | None = None
    is_tied: bool = True
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-6
    experts: ExpertsConfig | None = None

    def __post_init__(self) -> None:
        _check_positive(
            self,
            ("vocab_size", "d_model", "n_layers", "n_heads", "n_kv_heads", "d_ff", "context_tokens"),
        )
        _check(
            self.d_model % self.n_heads == 0,
            "d_model",
            self.d_model,
            f"a multiple of n_heads ({self.n_heads})",
        )
        _check(
            self.n_heads % self.n_kv_heads == 0,
            "n_kv_heads",
            self.n_kv_heads,
            f"a divisor of n_heads ({self.n_heads})",
        )
        _check(self.head_width % 2 == 0 and self.head_width > 0, "d_head", self.head_width, "even, above 0")
        _check(self.rope_theta > 0, "rope_theta", self.rope_theta, "above 0")
        _check(self.norm_eps > 0, "norm_eps", self.norm_eps, "above 0")
        if self.experts is not None:
            _check(
                self.experts.every <= self.n_layers,
                "every",
                self.experts.every,
                f"at most n_layers ({self.n_layers}), or no layer has experts",
            )

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.d_model // self.n_heads if self.d_head is None else self.d_head

    def has_experts_at(self, layer: int) -> bool:
        """Whether `layer` (counted from 0) has experts."""
        return self.experts is not None and (layer + 1) % self.experts.every == 0

    @property
    def n_expert_layers(self) -> int:
        """Layers with experts."""
        return sum(self.has_experts_at(layer) for layer in range(self.n_layers))

    def n_parameters(self, *, is_active_only: bool = False, has_embedding: bool = True) -> int:
        """Trained parameters.

        Parameters
        ----------
        is_active_only
            Count of the routed experts only the `n_active` that a token goes through; the router counts
            whole, as every token is scored against every expert. This is the "active parameters" of
            published models, embeddings included.
        has_embedding
            Whether to count the input embedding; a tied one is the output matrix and counts either way.
        """
        width = self.head_width
        embeddings = (int(has_embedding) + 1) if not self.is_tied else 1
        attention = 2 * self.d_model * width * (self.n_heads + self.n_kv_heads)
        count = embeddings * self.vocab_size * self.d_model + self.d_model
        count += self.n_layers * (attention + 2 * self.d_model)
        count += (self.n_layers - self.n_expert_layers) * 3 * self.d_model * self.d_ff
        if self.experts is not None:
            routed = self.experts.n_active if is_active_only else self.experts.n_experts
            per_layer = 3 * self.d_model * self.experts.d_expert * (routed + self.experts.n_shared)
            count += self.n_expert_layers * (per_layer + self.experts.n_experts * self.d_model)
        return count

    def train_flops_per_token(self, sequence_tokens: int) -> int:
        """Floating-point operations of a training step per token, as model FLOPs utilisation counts them.

        ``6 N + 12 L H Q T`` (Chowdhery et al. 2022, PaLM, appendix B), with N the active parameters without
        the input embedding, L layers, H heads of width Q, and T tokens in a sequence. Attention is counted
        in full although half of it is masked, and re-computation is not counted, as there.
        """
        attention = 12 * self.n_layers * self.n_heads * self.head_width * sequence_tokens
        return 6 * self.n_parameters(is_active_only=True, has_embedding=False) + attention

    def dense_twin(
        self, match: Literal["active", "total"] = "active", *, multiple_of: int = 8
    ) -> DecoderConfig:
        """Build a dense model with as many parameters as are active here (or as there are in total).

        Everything but the feed-forward width stays; the width is rounded to the nearest multiple of
        `multiple_of`, so that the counts differ by at most ``1.5 * d_model * multiple_of * n_layers``.
        """
        if match not in ("active", "total"):
            raise ConfigError("match must be active or total", given=f"match = {match!r}")
        if self.experts is None:
            return self
        bare = replace(self, experts=None)
        aim = self.n_parameters(is_active_only=match == "active")
        per_width = 3 * self.d_model * self.n_layers
        free = aim - (bare.n_parameters() - per_width * self.d_ff)
        return replace(bare, d_ff=max(1, round(free / per_width / multiple_of)) * multiple_of)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON takes it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> DecoderConfig:
        """Read what :meth:`to_dict` wrote.

        Raises
        ------
        ConfigError
            On an unknown or missing field, or a value out of range.
        """
        values = dict(given)
        try:
            if values.get("experts") is not None:
                values["experts"] = ExpertsConfig(**values["experts"])
            return cls(**values)
        except TypeError as error:
            raise ConfigError("the shape of a decoder cannot be read", given=str(error)) from error
