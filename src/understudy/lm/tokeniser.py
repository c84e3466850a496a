"""A tokenizer of the task's own: byte-level BPE with a small vocabulary, so that a small model is not mostly
embedding. Or the one that a model brings.

With its own, any text can be encoded and comes back exactly. One special token ends every text.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from understudy.errors import ConfigError

__all__ = ["END", "end_id", "read_tokeniser", "save_tokeniser", "train_tokeniser"]

END = "<|end|>"
_N_BYTES = 256
_DIGIT_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
"""How Qwen 2 cuts texts before merging."""


def train_tokeniser(
    texts: Iterable[str], *, vocab_size: int = 2048, splits_digits: bool = False
) -> Tokenizer:
    """Train a byte-level BPE (Sennrich et al. 2016; bytes as in Radford et al. 2019, GPT-2).

    Parameters
    ----------
    texts
        Training texts only: what it merges is learnt from them.
    vocab_size
        Tokens at most, the 256 bytes and the end token among them; fewer where the texts allow no more.
    splits_digits
        Whether each digit is a token of its own wherever it stands, as Qwen 2 has it: a number is then the same
        tokens in a prompt and in the answer that repeats it.

    Raises
    ------
    ConfigError
        If `vocab_size` leaves no room for bytes and the end token.
    """
    if vocab_size <= _N_BYTES:
        raise ConfigError(
            f"vocab_size must be above {_N_BYTES}: 256 bytes and the end token",
            given=f"vocab_size = {vocab_size}",
        )
    tokeniser = Tokenizer(models.BPE())
    tokeniser.pre_tokenizer = _splitting_digits() if splits_digits else _splitting_words()
    tokeniser.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokeniser.train_from_iterator(texts, trainer)
    return tokeniser


def _splitting_words() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.ByteLevel(add_prefix_space=False)


def _splitting_digits() -> pre_tokenizers.PreTokenizer:
    # llama.cpp knows this pattern, so that a GGUF file can hold the tokenizer.
    words = pre_tokenizers.Split(Regex(_DIGIT_PATTERN), "isolated")
    return pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def end_id(tokeniser: Tokenizer, end: str = END) -> int:
    """Id of the token `end`, which ends a text.

    Raises
    ------
    ConfigError
        If the tokenizer has no such token.
    """
    found = tokeniser.token_to_id(end)
    if found is None:
        raise ConfigError(f"the tokenizer has no token {end}", todo="use one that train_tokeniser made")
    return int(found)


def read_tokeniser(folder: Path) -> tuple[Tokenizer, str]:
    """Read the tokenizer that lies beside a model, and the token that ends its texts.

    Raises
    ------
    ConfigError
        If there is none, it is not of the fast kind, or it has no token that ends a text.
    """
    try:
        found = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # transformers raises what it likes
        raise ConfigError("this folder holds no tokenizer", given=f"{folder}: {error}") from error
    if not found.is_fast or found.eos_token is None:
        raise ConfigError(
            "the tokenizer must be of the fast kind and have a token that ends a text",
            given=f"{folder}: fast {found.is_fast}, end token {found.eos_token}",
        )
    return found.backend_tokenizer, str(found.eos_token)


def save_tokeniser(tokeniser: Tokenizer, folder: Path, end: str = END) -> None:
    """Write the tokenizer as transformers' ``AutoTokenizer`` reads it."""
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokeniser, eos_token=end)
    wrapped.save_pretrained(folder)
