"""A tokenizer of the task's own: byte-level BPE with a small vocabulary, so that a small model is not mostly
embedding.

Any text can be encoded and comes back exactly. One special token ends every text.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from understudy.errors import ConfigError

__all__ = ["END", "end_id", "save_tokeniser", "train_tokeniser"]

END = "<|end|>"
_N_BYTES = 256


def train_tokeniser(texts: Iterable[str], *, vocab_size: int = 2048) -> Tokenizer:
    """Train a byte-level BPE (Sennrich et al. 2016; bytes as in Radford et al. 2019, GPT-2).

    Parameters
    ----------
    texts
        Training texts only: what it merges is learnt from them.
    vocab_size
        Tokens at most, the 256 bytes and the end token among them; fewer where the texts allow no more.

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
    tokeniser.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokeniser.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokeniser.train_from_iterator(texts, trainer)
    return tokeniser


def end_id(tokeniser: Tokenizer) -> int:
    """Id of the token that ends a text.

    Raises
    ------
    ConfigError
        If the tokenizer has no such token.
    """
    found = tokeniser.token_to_id(END)
    if found is None:
        raise ConfigError(f"the tokenizer has no token {END}", todo="use one that train_tokeniser made")
    return int(found)


def save_tokeniser(tokeniser: Tokenizer, folder: Path) -> None:
    """Write the tokenizer as transformers' ``AutoTokenizer`` reads it."""
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokeniser, eos_token=END)
    wrapped.save_pretrained(folder)
