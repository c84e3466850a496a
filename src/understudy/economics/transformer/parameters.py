"""Exact parameter counts of a shape: total, active per token, embedding, per layer.

Every weight that training changes is counted once, norms and biases too; buffers are not (rotary tables, the
router's balancing bias of DeepSeek-V3). Checked against the modules of `transformers`, weight for weight.
Vision towers and the extra layers for multi-token prediction are not part of a shape.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from understudy.economics.transformer.shape import ModelShape

__all__ = ["ParameterCounts", "attention_parameters", "count_parameters", "expert_parameters"]


@dataclass(frozen=True, slots=True)
class ParameterCounts:
    """Parameters of a model.

    Attributes
    ----------
    total
        All, a tied head counted once.
    active
        Those that take part for one token: `total` less the experts it does not visit.
    embedding
        Token table, position table, and the head where it is not tied.
    non_embedding
        `total` less `embedding`: what Kaplan et al. (arXiv:2001.08361) call N.
    attention_per_layer, dense_ff_per_layer, mixture_ff_per_layer
        One layer's parts, without norms; 0 where no layer has that part.
    expert
        One expert that a router picks.
    multiplied
        Those that one token is multiplied with, the head included: `active` less the tables that are only
        looked up. Twice this is the arithmetic of a token outside attention.
    """

    total: int
    active: int
    embedding: int
    non_embedding: int
    attention_per_layer: int
    dense_ff_per_layer: int
    mixture_ff_per_layer: int
    expert: int
    multiplied: int

    def to_dict(self) -> dict[str, int]:
        """JSON form."""
        return asdict(self)


def attention_parameters(shape: ModelShape) -> tuple[int, int]:
    """Weights of one layer's attention, biases and query-key norms included: (all, active per token)."""
    if shape.attention == "latent":
        count = _latent(shape)
        return count, count
    d_q, d_kv = shape.n_heads * shape.d_head, shape.n_kv_heads * shape.d_head
    keys_values = 2 * shape.d_model * d_kv
    if shape.attention == "mixture":
        # One expert maps to n_kv_heads query heads and back; router and output bias as in JetMoE's code.
        expert = 2 * shape.d_model * d_kv
        rest = keys_values + shape.d_model * shape.n_experts + shape.d_model
        return shape.n_experts * expert + rest, shape.n_active_experts * expert + rest
    count = 2 * shape.d_model * d_q + keys_values
    if shape.attention_biases != "none":
        count += d_q + 2 * d_kv
    if shape.attention_biases == "all":
        count += shape.d_model
    if shape.qk_norm != "none":
        width = 2 * shape.d_head if shape.qk_norm == "head" else d_q + d_kv
        count += _norm_vectors(shape) * width
    return count, count


def _latent(shape: ModelShape) -> int:
    d_qk = shape.qk_nope_head_dim + shape.qk_rope_head_dim
    d_q, d_out = shape.n_heads * d_qk, shape.n_heads * shape.v_head_dim
    count = shape.d_model * (shape.kv_lora_rank + shape.qk_rope_head_dim) + shape.kv_lora_rank
    count += shape.kv_lora_rank * shape.n_heads * (shape.qk_nope_head_dim + shape.v_head_dim)
    count += d_out * shape.d_model
    if shape.q_lora_rank:
        count += shape.d_model * shape.q_lora_rank + shape.q_lora_rank + shape.q_lora_rank * d_q
    else:
        count += shape.d_model * d_q
    if shape.attention_biases == "all":
        count += shape.q_lora_rank + shape.kv_lora_rank + shape.qk_rope_head_dim + shape.d_model
    return count


def expert_parameters(shape: ModelShape) -> int:
    """Weights of one expert that a router picks; 0 for a dense model."""
    return _feed_forward(shape, shape.d_expert_ff)


def _feed_forward(shape: ModelShape, width: int) -> int:
    if not width:
        return 0
    n_in = 2 if shape.is_gated else 1
    biases = n_in * width + shape.d_model if shape.has_ff_biases else 0
    return (n_in + 1) * shape.d_model * width + biases


def _mixture(shape: ModelShape, n_experts: int) -> int:
    """One mixture layer with `n_experts` of its experts: router, shared experts and their gate included."""
    count = n_experts * expert_parameters(shape) + shape.d_model * shape.n_experts
    count += shape.n_shared_experts * _feed_forward(shape, shape.d_shared_ff)
    if shape.has_shared_gate:
        count += shape.d_model
    if shape.attention == "mixture":
        count += shape.d_model  # JetMoE's experts share an output bias
    return count


def _norm_vectors(shape: ModelShape) -> int:
    return {"rms": 1, "layer": 2, "none": 0}[shape.norm]


def count_parameters(shape: ModelShape) -> ParameterCounts:
    """Count the parameters of a shape.

    Exact for the architectures that :mod:`~understudy.economics.transformer.from_config` reads.
    """
    attention, active_attention = attention_parameters(shape)
    n_dense = shape.n_layers - shape.n_mixture_layers
    dense = _feed_forward(shape, shape.d_ff) if n_dense else 0
    mixture = _mixture(shape, shape.n_experts) if shape.is_mixture else 0
    active_mixture = _mixture(shape, shape.n_active_experts) if shape.is_mixture else 0
    norms = _norm_vectors(shape) * shape.d_model
    shared = n_dense * dense + (shape.n_layers * shape.norms_per_layer + 1) * norms
    body = shape.n_layers * attention + shape.n_mixture_layers * mixture + shared
    active_body = shape.n_layers * active_attention + shape.n_mixture_layers * active_mixture + shared
    table = shape.n_vocab * shape.d_model
    positions = shape.n_positions * shape.d_model
    head_bias = shape.n_vocab if shape.has_head_bias else 0
    embedding = table * (1 if shape.is_tied else 2) + positions + head_bias
    return ParameterCounts(
        total=body + embedding,
        active=active_body + embedding,
        embedding=embedding,
        non_embedding=body,
        attention_per_layer=attention,
        dense_ff_per_layer=dense,
        mixture_ff_per_layer=mixture,
        expert=expert_parameters(shape) if shape.is_mixture else 0,
        multiplied=active_body + table + head_bias,
    )
