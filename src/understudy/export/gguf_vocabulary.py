"""A tokenizer as metadata of a GGUF file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer

from understudy.errors import ConfigError

__all__ = ["GgufVocabulary", "gguf_vocabulary"]

_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5  # llama.cpp's enum of token types

# How llama.cpp calls the regular expressions by which tokenizers cut texts before merging.
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_PATTERNS = {_LLAMA3: "llama-bpe", _LLAMA3.replace("{1,3}", ""): "qwen2"}


@dataclass(frozen=True, slots=True)
class GgufVocabulary:
    """What of a tokenizer goes into a file.

    Attributes
    ----------
    pre_tokenizer
        llama.cpp's name of how texts are cut; ``None`` if the file cannot hold the tokenizer.
    keys
        Metadata by their full names.
    """

    pre_tokenizer: str | None
    keys: dict[str, Any]


def gguf_vocabulary(tokeniser: Tokenizer, vocab_size: int, end_id: int) -> GgufVocabulary:
    """Describe `tokeniser` to llama.cpp.

    Parameters
    ----------
    tokeniser
        Any; only a byte-level BPE whose cutting of texts llama.cpp knows is written.
    vocab_size
        Rows of the model's embedding; those beyond the tokenizer's become unused tokens.
    end_id
        The token that ends a text.

    Raises
    ------
    ConfigError
        If the tokenizer has more tokens than the model, or no token `end_id`.
    """
    count = tokeniser.get_vocab_size(with_added_tokens=True)
    by_id = {at: token for token, at in tokeniser.get_vocab(with_added_tokens=True).items()}
    if max(by_id) >= vocab_size:
        raise ConfigError(
            "the tokenizer has more tokens than the model",
            given=f"{count} tokens, the largest id {max(by_id)}; the model has {vocab_size} rows",
            todo="give the tokenizer that the model was trained with",
        )
    if end_id not in by_id:
        raise ConfigError("the tokenizer has no token with the end's id", given=f"end_id = {end_id}")
    described = json.loads(tokeniser.to_str())
    pre_tokenizer = _pre_tokenizer(described)
    if pre_tokenizer is None:
        return GgufVocabulary(None, {"tokenizer.ggml.model": "no_vocab"})
    added = {entry["id"]: entry["special"] for entry in described["added_tokens"]}
    kinds = {True: _CONTROL, False: _USER_DEFINED, None: _NORMAL}
    merges = described["model"]["merges"]
    keys = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre_tokenizer,
        "tokenizer.ggml.tokens": [by_id.get(at, f"[unused {at}]") for at in range(vocab_size)],
        "tokenizer.ggml.token_type": [
            kinds[added.get(at)] if at in by_id else _UNUSED for at in range(vocab_size)
        ],
        "tokenizer.ggml.merges": [one if isinstance(one, str) else " ".join(one) for one in merges],
        "tokenizer.ggml.eos_token_id": end_id,
        "tokenizer.ggml.add_bos_token": False,
    }
    # An empty array has no type, and the format no way to write it.
    return GgufVocabulary(pre_tokenizer, {key: value for key, value in keys.items() if value != []})


def _pre_tokenizer(described: dict[str, Any]) -> str | None:
    """llama.cpp's name of how a tokenizer of this description cuts texts; ``None`` if it has none."""
    model, cut = described["model"], described["pre_tokenizer"]
    if model["type"] != "BPE" or model.get("byte_fallback") or cut is None:
        return None
    steps = cut["pretokenizers"] if cut["type"] == "Sequence" else [cut]
    last = steps[-1]
    if last["type"] != "ByteLevel" or last.get("add_prefix_space"):
        return None
    if len(steps) == 1:
        return "gpt-2" if last.get("use_regex", True) else None
    if len(steps) == 2 and steps[0]["type"] == "Split" and not last.get("use_regex", True):
        return _PATTERNS.get(steps[0]["pattern"].get("Regex", ""))
    return None
