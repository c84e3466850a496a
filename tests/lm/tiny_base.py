"""Bases small enough to train in a second: folders as transformers writes them, from random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from understudy.lm.decoder import quiet_transformers
from understudy.lm.tokeniser import save_tokeniser, train_tokeniser

_KINDS: dict[str, tuple[Any, Any]] = {
    "llama": (LlamaConfig, LlamaForCausalLM),
    "mistral": (MistralConfig, MistralForCausalLM),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM),
}
TEXTS = ["red shirt, size 12: shirts/red", "blue dog, size 7: dogs/blue"] * 3


def make_base(folder: Path, kind: str = "llama", *, vocab_size: int = 320, **words: Any) -> Path:
    """A base of `kind` with a byte-level tokenizer."""
    tokeniser = train_tokeniser(TEXTS, vocab_size=300)
    end = tokeniser.token_to_id("<|end|>")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if kind == "t5":
            model: Any = T5ForConditionalGeneration(
                T5Config(
                    vocab_size=vocab_size, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
                    dropout_rate=0.1, eos_token_id=end, pad_token_id=end, decoder_start_token_id=end, **words,
                )
            )  # fmt: skip
        else:
            config, model_class = _KINDS[kind]
            given = {
                "vocab_size": vocab_size, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
                "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256,
                "eos_token_id": end, "bos_token_id": None, "pad_token_id": None, "head_dim": 8,
            }  # fmt: skip
            if kind == "qwen2":
                del given["head_dim"]
            model = model_class(config(**(given | words)))
    model.generation_config.eos_token_id = end
    with quiet_transformers():
        model.save_pretrained(folder)
    save_tokeniser(tokeniser, folder)
    return folder
