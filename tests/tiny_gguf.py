"""A tokenizer and language models small enough for tests of GGUF files, with 256 columns so that k-quants fit."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from tokenizers import Tokenizer

from understudy.lm.tokeniser import train_tokeniser

__all__ = ["CLASSES", "tiny_causal", "tiny_tokeniser"]

CLASSES = {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3"}
_TEXTS = [
    "def add(first, second):\n    return first + second\n\n",
    "The parcel isn't here yet; they've said it'd come at 12:30, we'll see.\n",
    "naïve café, 你好,世界! 12345 😀\t\t  end",
]


def tiny_tokeniser() -> Tokenizer:
    """A byte-level BPE of about 320 tokens."""
    return train_tokeniser(_TEXTS * 4, vocab_size=320)


def tiny_causal(kind: str = "llama", *, seed: int = 0, **changes: Any) -> Any:
    """A causal model of transformers with random weights, large enough that scores differ clearly."""
    settings = {
        "vocab_size": 320,
        "hidden_size": 256,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "max_position_embeddings": 1024,
        "tie_word_embeddings": True,
        "initializer_range": 0.04,
        "bos_token_id": None,
        "eos_token_id": 0,
        "pad_token_id": None,
        **changes,
    }
    config = getattr(transformers, f"{CLASSES[kind]}Config")(**settings)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = getattr(transformers, f"{CLASSES[kind]}ForCausalLM")(config).eval()
        for name, values in model.named_parameters():
            if name.endswith(("norm.weight", "bias")):  # transformers begins at 1 and 0, which hide mistakes
                torch.nn.init.normal_(values, mean=float(name.endswith("weight")), std=0.2)
    return model
