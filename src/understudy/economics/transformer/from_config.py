"""Read a shape from the ``config.json`` of a Hugging Face model.

Field names and defaults are those of the configuration classes in `transformers` 5; counts are checked
against its modules. A mapping is read, nothing is downloaded and no package is needed. Of a model with a
vision tower only the text part is read. Models with code of their own are known only if listed.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from understudy.economics.transformer.shape import ModelShape
from understudy.errors import ConfigError

__all__ = ["MODEL_TYPES", "shape_from_config"]

Config = Mapping[str, Any]
Sizes = dict[str, Any]


def shape_from_config(config: Config) -> ModelShape:
    """The shape that a configuration describes.

    Parameters
    ----------
    config
        ``config.json`` as a mapping; it must name its `model_type`.

    Raises
    ------
    ConfigError
        If `model_type` is missing or not known, or a needed size is missing or impossible.
    """
    kind = config.get("model_type")
    if kind in _TEXT_PARTS and isinstance(config.get("text_config"), Mapping):
        config, kind = config["text_config"], _TEXT_PARTS[kind]
    if kind not in _READERS:
        near = difflib.get_close_matches(str(kind), _READERS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ConfigError(
            "model_type is missing" if kind is None else "model_type is not known",
            given=None if kind is None else repr(kind),
            todo=f"{hint}known: {', '.join(MODEL_TYPES)}",
        )
    return ModelShape(**_READERS[kind](config), max_positions=_max_positions(config))


def _max_positions(config: Config) -> int | None:
    """Tokens that the positions reach; ``None`` where the file does not say."""
    if config.get("max_position_embeddings") is None:
        return None
    return _size(config, "max_position_embeddings")


def _size(config: Config, name: str, default: int | None = None) -> int:
    value = config.get(name)
    if value is None:
        value = default
    if value is None:
        raise ConfigError(
            f"{name} is missing from the configuration", given=f"model_type {config.get('model_type')}"
        )
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{name} must be a whole number", given=repr(value))
    return value


def _core(
    config: Config, *, n_heads: int | None = None, n_kv_heads: int | None = None, d_model: int | None = None
) -> Sizes:
    """What nearly every configuration names alike."""
    d_model = _size(config, "hidden_size", d_model)
    n_heads = _size(config, "num_attention_heads", n_heads)
    if n_heads < 1:
        raise ConfigError("num_attention_heads must be 1 or more", given=str(n_heads))
    return {
        "n_layers": _size(config, "num_hidden_layers"),
        "d_model": d_model,
        "n_heads": n_heads,
        "n_kv_heads": _size(config, "num_key_value_heads", n_kv_heads or n_heads),
        "d_head": _size(config, "head_dim", d_model // n_heads),
        "d_ff": _size(config, "intermediate_size"),
        "n_vocab": _size(config, "vocab_size"),
        "is_tied": bool(config.get("tie_word_embeddings", False)),
    }


def _windows(config: Config, is_sliding: Callable[[int], bool], *, default: int | None = None) -> Sizes:
    """Window and number of sliding layers: as listed in `layer_types`, else by `is_sliding` (layer from 0)."""
    window = config.get("sliding_window", default)
    kinds = config.get("layer_types")
    n_layers = _size(config, "num_hidden_layers")
    if kinds is not None:
        n_sliding = sum(kind == "sliding_attention" for kind in kinds[:n_layers])
    else:
        n_sliding = sum(is_sliding(layer) for layer in range(n_layers))
    if not window or not n_sliding:
        return {}
    return {"window": window, "n_window_layers": n_sliding}


def _biases(config: Config) -> Sizes:
    return {
        "attention_biases": "all" if config.get("attention_bias") else "none",
        "has_ff_biases": bool(config.get("mlp_bias", False)),
    }


def _llama(config: Config) -> Sizes:
    return {**_core(config), **_biases(config)}


def _mistral(config: Config) -> Sizes:
    return {**_core(config, n_kv_heads=8), **_windows(config, lambda _: True, default=4096)}


def _mixtral(config: Config) -> Sizes:
    return {
        **_core(config, n_kv_heads=8),
        **_windows(config, lambda _: True),
        "n_experts": _n_experts(config, 8),
        "n_active_experts": _size(config, "num_experts_per_tok", 2),
        "d_expert_ff": _size(config, "intermediate_size"),
    }


def _n_experts(config: Config, default: int) -> int:
    """Files say `num_experts` or `num_local_experts`, for one and the same type."""
    return _size({"n": config.get("num_local_experts", config.get("num_experts")), **config}, "n", default)


def _tied(config: Config) -> Sizes:
    return {"is_tied": bool(config.get("tie_word_embeddings", True))}


def _gemma(config: Config) -> Sizes:
    core = _core({"head_dim": 256, **config})
    return {**core, **_tied(config), "attention_biases": _biases(config)["attention_biases"]}


def _gemma2(config: Config) -> Sizes:
    windows = _windows(config, lambda layer: layer % 2 == 0, default=4096)
    return {**_gemma(config), **windows, "norms_per_layer": 4}


def _gemma3(config: Config) -> Sizes:
    # Early files left out what equals the class's defaults.
    known = {"head_dim": 256, "num_attention_heads": 8, "num_key_value_heads": 4, "vocab_size": 262_208}
    config = {**known, **config}
    every = _size(config, "sliding_window_pattern", 6)
    windows = _windows(config, lambda layer: (layer + 1) % every != 0, default=4096)
    return {**_gemma(config), **windows, "norms_per_layer": 4, "qk_norm": "head"}


def _qwen_windows(config: Config) -> Sizes:
    if not config.get("use_sliding_window", False):
        return {}
    first = _size(config, "max_window_layers", 28)
    return _windows(config, lambda layer: layer >= first, default=4096)


def _qwen2(config: Config) -> Sizes:
    return {**_core(config), **_qwen_windows(config), "attention_biases": "qkv"}


def _qwen3(config: Config) -> Sizes:
    core = _core({"head_dim": 128, **config})
    return {**core, **_qwen_windows(config), **_biases(config), "has_ff_biases": False, "qk_norm": "head"}


def _sparse_layers(config: Config) -> Sizes:
    """Qwen's way to say which layers are mixtures."""
    dense = set(config.get("mlp_only_layers") or ())
    step = _size(config, "decoder_sparse_step", 1)
    n_layers = _size(config, "num_hidden_layers")
    n_dense = sum(layer in dense or (layer + 1) % step != 0 for layer in range(n_layers))
    return {"n_dense_layers": n_dense}


def _qwen2_moe(config: Config) -> Sizes:
    shared = _size(config, "shared_expert_intermediate_size", 5632)
    return {
        **_core(config),
        **_qwen_windows(config),
        "attention_biases": "qkv" if config.get("qkv_bias", True) else "none",
        "n_experts": _n_experts(config, 60),
        "n_active_experts": _size(config, "num_experts_per_tok", 4),
        "d_expert_ff": _size(config, "moe_intermediate_size", 1408),
        "n_shared_experts": 1 if shared else 0,
        "d_shared_ff": shared,
        "has_shared_gate": True,
        **_sparse_layers(config),
    }


def _qwen3_moe(config: Config) -> Sizes:
    return {
        **_core(config, n_kv_heads=4),
        **_qwen_windows(config),
        "attention_biases": _biases(config)["attention_biases"],
        "qk_norm": "head",
        "n_experts": _n_experts(config, 128),
        "n_active_experts": _size(config, "num_experts_per_tok", 8),
        "d_expert_ff": _size(config, "moe_intermediate_size", 768),
        **_sparse_layers(config),
    }


def _olmo(config: Config) -> Sizes:
    return {**_core(config), "attention_biases": _biases(config)["attention_biases"], "norm": "none"}


def _olmo2(config: Config) -> Sizes:
    return {**_core(config), "attention_biases": _biases(config)["attention_biases"], "qk_norm": "width"}


def _olmo3(config: Config) -> Sizes:
    return {**_olmo2(config), **_windows(config, lambda layer: (layer + 1) % 4 != 0, default=4096)}


def _olmoe(config: Config) -> Sizes:
    return {
        **_olmo2(config),
        "n_experts": _n_experts(config, 64),
        "n_active_experts": _size(config, "num_experts_per_tok", 8),
        "d_expert_ff": _size(config, "intermediate_size"),
    }


def _phi(config: Config) -> Sizes:
    return {
        **_core(config),
        "is_gated": False,
        "attention_biases": "all",
        "has_ff_biases": True,
        "has_head_bias": True,
        "norm": "layer",
        "norms_per_layer": 1,
        "qk_norm": "head" if config.get("qk_layernorm") else "none",
    }


def _phi3(config: Config) -> Sizes:
    return {**_core(config), **_windows(config, lambda _: True)}


def _smollm3(config: Config) -> Sizes:
    core = _core(config, n_kv_heads=4)
    windows = _windows(config, lambda _: False) if config.get("use_sliding_window") else {}
    return {**core, **_tied(config), **_biases(config), **windows}


def _latent(config: Config) -> Sizes:
    core = _core({**config, "num_key_value_heads": None, "head_dim": None})
    n_dims = {name: _size(config, name) for name in ("kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim")}
    v_head_dim = _size(config, "v_head_dim", core["d_head"])
    return {
        **core,
        **n_dims,
        "v_head_dim": v_head_dim,
        "d_head": v_head_dim,
        "attention": "latent",
        "q_lora_rank": config.get("q_lora_rank") or 0,
        **_biases(config),
    }


def _minicpm3(config: Config) -> Sizes:
    return {**_latent(config), **_tied(config)}


def _deepseek(config: Config) -> Sizes:
    n_shared = _size(config, "n_shared_experts", 0)
    width = _size(config, "moe_intermediate_size")
    mixture: Sizes = {
        "n_experts": _size(config, "n_routed_experts"),
        "n_active_experts": _size(config, "num_experts_per_tok"),
        "d_expert_ff": width,
        "n_shared_experts": n_shared,
        "d_shared_ff": width if n_shared else 0,
        "n_dense_layers": _size(config, "first_k_dense_replace", 0),
    }
    return {**_latent(config), **mixture}


def _gpt2(config: Config) -> Sizes:
    d_model, n_heads = _size(config, "n_embd"), _size(config, "n_head")
    return {
        "n_layers": _size(config, "n_layer"),
        "d_model": d_model,
        "n_heads": n_heads,
        "n_kv_heads": n_heads,
        "d_head": d_model // max(1, n_heads),
        "d_ff": _size(config, "n_inner", 4 * d_model),
        "n_vocab": _size(config, "vocab_size"),
        **_tied(config),
        "is_gated": False,
        "attention_biases": "all",
        "has_ff_biases": True,
        "norm": "layer",
        "n_positions": _size(config, "n_positions", 1024),
    }


def _jetmoe(config: Config) -> Sizes:
    n_active, n_kv_heads = _size(config, "num_experts_per_tok", 2), _size(config, "num_key_value_heads", 16)
    known = {"num_attention_heads": n_active * n_kv_heads, "head_dim": _size(config, "kv_channels", 128)}
    return {
        **_core({**config, **known}),
        **_tied(config),
        "attention": "mixture",
        "n_experts": _n_experts(config, 8),
        "n_active_experts": n_active,
        "d_expert_ff": _size(config, "intermediate_size"),
    }


_TEXT_PARTS = {"gemma3": "gemma3_text"}
_READERS: dict[Any, Callable[[Config], Sizes]] = {
    "deepseek_v2": _deepseek,
    "deepseek_v3": _deepseek,
    "gemma": _gemma,
    "gemma2": _gemma2,
    "gemma3_text": _gemma3,
    "gpt2": _gpt2,
    "jetmoe": _jetmoe,
    "llama": _llama,
    "minicpm3": _minicpm3,
    "mistral": _mistral,
    "mixtral": _mixtral,
    "olmo": _olmo,
    "olmo2": _olmo2,
    "olmo3": _olmo3,
    "olmoe": _olmoe,
    "phi": _phi,
    "phi3": _phi3,
    "qwen2": _qwen2,
    "qwen2_moe": _qwen2_moe,
    "qwen3": _qwen3,
    "qwen3_moe": _qwen3_moe,
    "smollm3": _smollm3,
}

MODEL_TYPES: tuple[str, ...] = tuple(_READERS)
"""The values of `model_type` that are read; ``gemma3`` with a `text_config` too."""
