"""Tiny configurations of every architecture that a shape is read from, and the models built from them."""

from __future__ import annotations

from typing import Any

import pytest

_SMALL: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_LATENT = {"kv_lora_rank": 12, "qk_rope_head_dim": 4, "qk_nope_head_dim": 8, "v_head_dim": 6}
_ROUTED = {
    "n_routed_experts": 6,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 20,
    "first_k_dense_replace": 1,
    "num_key_value_heads": 4,
}

CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "multi-head": ("Llama", {**_SMALL, "num_key_value_heads": 4}),
    "grouped-query": ("Llama", {**_SMALL, "num_key_value_heads": 2, "tie_word_embeddings": True}),
    "multi-query": ("Llama", {**_SMALL, "num_key_value_heads": 1, "head_dim": 16}),
    "biases": ("Llama", {**_SMALL, "attention_bias": True, "mlp_bias": True}),
    "sliding": ("Mistral", {**_SMALL, "num_key_value_heads": 2, "sliding_window": 8}),
    "gemma": ("Gemma", {**_SMALL, "num_key_value_heads": 1, "head_dim": 16}),
    "gemma2": ("Gemma2", {**_SMALL, "num_key_value_heads": 2, "head_dim": 8, "sliding_window": 8}),
    "gemma3": (
        "Gemma3",
        {**_SMALL, "num_hidden_layers": 7, "num_key_value_heads": 1, "head_dim": 8, "sliding_window": 8},
    ),
    "qwen2": ("Qwen2", {**_SMALL, "num_key_value_heads": 2}),
    "qwen2-windows": (
        "Qwen2",
        {
            **_SMALL,
            "num_key_value_heads": 2,
            "use_sliding_window": True,
            "sliding_window": 8,
            "max_window_layers": 3,
        },
    ),
    "qwen3": ("Qwen3", {**_SMALL, "num_key_value_heads": 2, "head_dim": 16}),
    "qwen2-moe": (
        "Qwen2Moe",
        {
            **_SMALL,
            "num_key_value_heads": 2,
            "num_experts": 6,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 20,
            "shared_expert_intermediate_size": 40,
            "mlp_only_layers": [1],
        },
    ),
    "qwen3-moe": (
        "Qwen3Moe",
        {
            **_SMALL,
            "num_key_value_heads": 2,
            "num_experts": 6,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 20,
            "decoder_sparse_step": 2,
        },
    ),
    "mixtral": ("Mixtral", {**_SMALL, "num_key_value_heads": 2, "num_local_experts": 4}),
    "olmo": ("Olmo", _SMALL),
    "olmo2": ("Olmo2", {**_SMALL, "num_key_value_heads": 2}),
    "olmo3": ("Olmo3", {**_SMALL, "sliding_window": 8}),
    "olmoe": ("Olmoe", {**_SMALL, "num_experts": 6, "num_experts_per_tok": 2}),
    "phi": ("Phi", _SMALL),
    "phi3": ("Phi3", {**_SMALL, "num_key_value_heads": 2}),
    "smollm3": ("SmolLM3", {**_SMALL, "num_key_value_heads": 2}),
    "minicpm3": ("MiniCPM3", {**_SMALL, **_LATENT, "q_lora_rank": 10}),
    "deepseek-v2": (
        "DeepseekV2",
        {**_SMALL, **_LATENT, **_ROUTED, "q_lora_rank": None, "n_shared_experts": 2},
    ),
    "deepseek-v3": (
        "DeepseekV3",
        {
            **_SMALL,
            **_LATENT,
            **_ROUTED,
            "q_lora_rank": 10,
            "n_shared_experts": 1,
            "n_group": 2,
            "topk_group": 1,
            "attention_bias": True,
        },
    ),
    "jetmoe": (
        "JetMoe",
        {
            **{name: size for name, size in _SMALL.items() if name != "num_attention_heads"},
            "num_key_value_heads": 2,
            "kv_channels": 8,
            "num_local_experts": 4,
        },
    ),
    "gpt2": (
        "GPT2",
        {
            "vocab_size": 97,
            "n_embd": 32,
            "n_layer": 3,
            "n_head": 4,
            "n_positions": 64,
            "bos_token_id": 1,
            "eos_token_id": 2,
        },
    ),
}


def build(name: str) -> tuple[Any, dict[str, Any]]:
    """A random model, and its configuration as a mapping."""
    torch = pytest.importorskip("torch")
    # Older releases cache otherwise: latent attention expanded, windows whole.
    transformers = pytest.importorskip("transformers", minversion="5.24")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    prefix, sizes = CONFIGS[name]
    suffix = "TextConfig" if prefix == "Gemma3" else "Config"
    config = getattr(transformers, prefix + suffix)(**sizes)
    ending = "LMHeadModel" if prefix == "GPT2" else "ForCausalLM"
    model = getattr(transformers, prefix + ending)(config).eval()
    return model, config.to_dict()
