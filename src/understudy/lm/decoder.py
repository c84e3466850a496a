"""The decoder: transformers' Llama, with the feed-forward part of some layers replaced by experts.

Saving, loading, generation, caches and tokenizers are those of transformers. A dense model is a plain
``LlamaForCausalLM``, so that whatever reads Llama checkpoints reads it; a mixture is a :class:`StudentDecoder`,
whose folders ``AutoModelForCausalLM`` reads once this module has been imported.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaModel,
    LlamaPreTrainedModel,
    PreTrainedModel,
)
from transformers.utils import logging

from understudy.errors import ArtefactError, ConfigError
from understudy.lm.config import DecoderConfig, ExpertsConfig
from understudy.lm.experts import ExpertBlock, Experts, Router

__all__ = [
    "StudentDecoder",
    "StudentDecoderConfig",
    "build_decoder",
    "expert_blocks",
    "llama_config",
    "load_decoder",
    "quiet_transformers",
    "shape_of",
]


class StudentDecoderConfig(LlamaConfig):  # type: ignore[misc]
    """A Llama config with an ``experts`` entry: the fields of :class:`ExpertsConfig`, or ``None``."""

    model_type = "understudy-decoder"
    experts: dict[str, Any] | None = None

    def experts_at(self, layer: int) -> ExpertsConfig | None:
        """Give the experts of `layer` (counted from 0), or ``None`` where it is dense."""
        experts = None if self.experts is None else ExpertsConfig(**self.experts)
        return experts if experts is not None and (layer + 1) % experts.every == 0 else None


class _DrawsExperts(LlamaPreTrainedModel):  # type: ignore[misc]
    """Draws routers and experts like every other matrix of a Llama; the router's bias starts at 0."""

    config_class = StudentDecoderConfig

    @torch.no_grad()
    def _init_weights(self, module: torch.nn.Module) -> None:
        super()._init_weights(module)
        std = self.config.initializer_range
        if isinstance(module, Experts):
            torch.nn.init.normal_(module.gate_up, std=std)
            torch.nn.init.normal_(module.down, std=std)
        elif isinstance(module, Router):
            torch.nn.init.normal_(module.weight, std=std)
            torch.nn.init.zeros_(module.bias)


class _StudentModel(_DrawsExperts, LlamaModel):  # type: ignore[misc]
    """The decoder without its output matrix."""

    def __init__(self, config: StudentDecoderConfig) -> None:
        super().__init__(config)
        for number, layer in enumerate(self.layers):
            experts = config.experts_at(number)
            if experts is not None:
                layer.mlp = ExpertBlock(config.hidden_size, experts)
        self.post_init()


class StudentDecoder(_DrawsExperts, LlamaForCausalLM):  # type: ignore[misc]
    """A Llama whose layers may have experts."""

    def __init__(self, config: StudentDecoderConfig) -> None:
        super().__init__(config)
        self.model = _StudentModel(config)
        self.post_init()


AutoConfig.register(StudentDecoderConfig.model_type, StudentDecoderConfig, exist_ok=True)
AutoModelForCausalLM.register(StudentDecoderConfig, StudentDecoder, exist_ok=True)


def llama_config(config: DecoderConfig, *, end_token: int | None = None) -> LlamaConfig:
    """Say a decoder's shape in transformers' words; `end_token` is the id that ends a text."""
    words: dict[str, Any] = {
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "intermediate_size": config.d_ff,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_kv_heads,
        "head_dim": config.head_width,
        "max_position_embeddings": config.context_tokens,
        "rms_norm_eps": config.norm_eps,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "tie_word_embeddings": config.is_tied,
        "bos_token_id": None,
        "eos_token_id": end_token,
        "pad_token_id": None,
        "attn_implementation": "sdpa",
    }
    if config.experts is None:
        return LlamaConfig(**words)
    return StudentDecoderConfig(**words, experts=config.to_dict()["experts"])


def shape_of(model: PreTrainedModel) -> DecoderConfig:
    """Read the shape of a Llama or a :class:`StudentDecoder` back.

    Raises
    ------
    ConfigError
        If it is neither, or has biases, or rotary positions that are scaled.
    """
    config = model.config
    if config.model_type not in ("llama", StudentDecoderConfig.model_type):
        raise ConfigError("only Llama checkpoints are understood", given=f"model_type = {config.model_type}")
    rope = config.rope_parameters
    for field, is_there in (
        ("attention_bias", config.attention_bias),
        ("mlp_bias", config.mlp_bias),
        ("rope_type", rope["rope_type"] != "default"),
    ):
        if is_there:
            raise ConfigError(
                "this kind of Llama is not understood",
                given=f"{field} = {rope['rope_type'] if field == 'rope_type' else True}",
                todo="biases and scaled rotary positions have no place in a DecoderConfig",
            )
    experts = getattr(config, "experts", None)
    return DecoderConfig(
        vocab_size=config.vocab_size,
        d_model=config.hidden_size,
        n_layers=config.num_hidden_layers,
        n_heads=config.num_attention_heads,
        n_kv_heads=config.num_key_value_heads,
        d_ff=config.intermediate_size,
        context_tokens=config.max_position_embeddings,
        d_head=None
        if config.head_dim * config.num_attention_heads == config.hidden_size
        else config.head_dim,
        is_tied=config.tie_word_embeddings,
        rope_theta=rope["rope_theta"],
        norm_eps=config.rms_norm_eps,
        experts=None if experts is None else ExpertsConfig(**experts),
    )


def build_decoder(config: DecoderConfig, *, seed: int, end_token: int | None = None) -> PreTrainedModel:
    """Build a decoder with random weights: normal with deviation 0.02, as transformers draws a Llama's.

    The same seed gives the same weights on one machine; the random state of the caller is left as it was.
    """
    words = llama_config(config, end_token=end_token)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return (LlamaForCausalLM if config.experts is None else StudentDecoder)(words)


def load_decoder(folder: Path) -> PreTrainedModel:
    """Load a decoder from a folder of transformers' kind, dense Llama or mixture, as float32.

    Raises
    ------
    ConfigError
        If there is no such model in `folder`.
    ArtefactError
        If its weights cannot be read or do not fit its config.
    """
    if not (folder / "config.json").is_file():
        raise ConfigError(
            "this folder holds no model",
            given=str(folder),
            todo="it needs config.json and model.safetensors",
        )
    try:
        with quiet_transformers():
            model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    except Exception as error:  # safetensors, JSON and transformers raise what they like
        raise ArtefactError("the model cannot be read", given=f"{folder}: {error}") from error
    shape_of(model)
    return model


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers' progress bars and remarks off stderr, where our own progress is."""
    verbosity, had_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if had_bars:
            logging.enable_progress_bar()


def expert_blocks(model: torch.nn.Module) -> list[ExpertBlock]:
    """Give the mixture-of-experts blocks of a model, in the order of layers."""
    return [module for module in model.modules() if isinstance(module, ExpertBlock)]
