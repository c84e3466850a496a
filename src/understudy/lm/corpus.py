"""Makes text ready to train on: files split into train and valid, a tokenizer learnt from train or brought by a
model, token shards.

Everything goes into one folder, which is used again as it is where the settings are the same.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from understudy.errors import ArtefactError, ConfigError
from understudy.lm.packing import PackedTokens
from understudy.lm.shards import TokenShards, write_shards
from understudy.lm.text import find_files, read_texts, split_files
from understudy.lm.tokeniser import END, read_tokeniser, save_tokeniser, train_tokeniser

__all__ = ["Corpus", "CorpusSettings", "prepare_corpus"]

# What the tokenizer is learnt from: merges settle early, and learning from all 11 MB of the standard library
# instead of 1 MB took ten times as long.
_TOKENISER_CHARACTERS = 1_000_000


@dataclass(frozen=True, slots=True)
class CorpusSettings:
    """Which text, and how it becomes tokens.

    Attributes
    ----------
    texts
        Folder of ``.py``, ``.txt``, ``.md`` and ``.rst`` files; ``None`` is the standard library of the running
        Python.
    vocab_size
        Of the tokenizer, where it is learnt.
    train_tokens, valid_tokens
        Tokens taken at most; fewer where the text has no more.
    valid_share
        Share of the files that is held out.
    seed
        Of the split, and of the order of files.
    tokeniser
        Folder of a model whose tokenizer is used; ``None`` learns one.
    """

    texts: str | None = None
    vocab_size: int = 2048
    train_tokens: int = 1_000_000
    valid_tokens: int = 65_536
    valid_share: float = 0.05
    seed: int = 0
    tokeniser: str | None = None


@dataclass(frozen=True, slots=True)
class Corpus:
    """Text ready to train on.

    Attributes
    ----------
    tokeniser, end
        Learnt from the training texts, or a model's; the token that ends a text.
    train, valid
        Tokens of the training files and of the held-out ones.
    """

    tokeniser: Tokenizer
    end: str
    train: TokenShards
    valid: TokenShards

    def packed(self, sequence_tokens: int, seed: int) -> tuple[PackedTokens, PackedTokens]:
        """Pack train and valid into sequences."""
        train, valid = (
            PackedTokens(shards, sequence_tokens=sequence_tokens, seed=seed)
            for shards in (self.train, self.valid)
        )
        return train, valid


def prepare_corpus(folder: Path, settings: CorpusSettings) -> Corpus:
    """Make the corpus in `folder`, or read it where it is there already.

    Raises
    ------
    ConfigError
        If another corpus lies in `folder`, or there are too few files.
    DataError
        If the files hold no text.
    ArtefactError
        If what lies in `folder` is damaged.
    """
    facts: dict[str, Any] = asdict(settings)
    if settings.texts is None:
        facts["python"] = platform.python_version()
    done = folder / "corpus.json"
    if done.is_file():
        theirs = _read_facts(done)
        differing = [
            f"{key} was {theirs.get(key)!r}, is {value!r}"
            for key, value in facts.items()
            if theirs.get(key) != value
        ]
        if differing:
            raise ConfigError(
                "this folder holds text that was prepared otherwise",
                given=f"{folder}: {'; '.join(differing)}",
                todo="give the same options, or another folder",
            )
        tokeniser, end = read_tokeniser(folder / "tokenizer")
        return Corpus(tokeniser, end, TokenShards(folder / "train"), TokenShards(folder / "valid"))
    files = find_files(None if settings.texts is None else Path(settings.texts))
    train, valid = split_files(files, valid_share=settings.valid_share, seed=settings.seed)
    if settings.tokeniser is None:
        learnt_from = _beginning(read_texts(train), _TOKENISER_CHARACTERS)
        tokeniser, end = train_tokeniser(learnt_from, vocab_size=settings.vocab_size), END
    else:
        tokeniser, end = read_tokeniser(Path(settings.tokeniser))
    save_tokeniser(tokeniser, folder / "tokenizer", end)
    shards = [
        write_shards(read_texts(part), tokeniser, folder / name, end=end, max_tokens=limit)
        for name, part, limit in (
            ("train", train, settings.train_tokens),
            ("valid", valid, settings.valid_tokens),
        )
    ]
    half = folder / f"{done.name}.part"  # renamed, so that a kill leaves no half file that says all is there
    half.write_text(json.dumps(facts, indent=1), encoding="utf-8")
    half.replace(done)
    return Corpus(tokeniser, end, *shards)


def _read_facts(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ArtefactError(
            "the prepared text cannot be read",
            given=f"{path}: {error}",
            todo="delete its folder, and it is prepared anew",
        ) from error


def _beginning(texts: Iterable[str], n_characters: int) -> Iterator[str]:
    """Pass texts on until they come to `n_characters`, the last one whole."""
    n_passed = 0
    for text in texts:
        yield text
        n_passed += len(text)
        if n_passed >= n_characters:
            return
