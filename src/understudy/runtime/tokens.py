"""Inputs to token ids, one input at a time: shared by learning and serving, so that both see the same tokens.

A text tokeniser (tokenizers' JSON) knows words; this module adds the encoder's special tokens around any
number of parts, cuts what is too long, and keeps where each token stands in its part. Padding does not exist
here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from understudy.calls.call import InputParts
from understudy.errors import ArtefactError, ConfigError

__all__ = ["CHARS_PER_TOKEN", "TokenFrame", "Tokenised", "Tokeniser", "portion_lengths"]

IntArray = npt.NDArray[np.int64]

CHARS_PER_TOKEN = 24
"""A part is cut to this many characters per token allowed before it is tokenised: a 2 MB text costs no more
than a long one. Real text has 1 to 6 characters per token."""


@dataclass(frozen=True, slots=True)
class TokenFrame:
    """The special tokens around the parts: `before` A `between` B `between` C `after`.

    Attributes
    ----------
    types
        Token type of the first part and of all others.
    """

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    types: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Self:
        """Read the frame off what the tokeniser does to a pair.

        Raises
        ------
        ConfigError
            If the tokeniser cannot mark the two texts of a pair.
        """
        pair = tokenizer.encode("a", "b")
        ids, owners, types = pair.ids, pair.sequence_ids, pair.type_ids
        if 0 not in owners or 1 not in owners:
            raise ConfigError(
                "this tokenizer cannot encode a pair of texts",
                todo="choose a base encoder of the BERT family",
            )
        first = [at for at, owner in enumerate(owners) if owner == 0]
        second = [at for at, owner in enumerate(owners) if owner == 1]
        return cls(
            before=tuple(ids[: first[0]]),
            between=tuple(ids[first[-1] + 1 : second[0]]),
            after=tuple(ids[second[-1] + 1 :]),
            types=(types[first[0]], types[second[0]]),
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON form; :meth:`from_dict` reads it back."""
        return {
            "before": list(self.before),
            "between": list(self.between),
            "after": list(self.after),
            "types": list(self.types),
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """Read the JSON form."""
        first, rest = given["types"]
        return cls(tuple(given["before"]), tuple(given["between"]), tuple(given["after"]), (first, rest))


@dataclass(frozen=True, slots=True)
class Tokenised:
    """One input as tokens.

    Attributes
    ----------
    ids, types
        Shape (t,).
    part
        Part that each token belongs to, shape (t,); -1 for special tokens.
    offsets
        Start and end character in that part, shape (t, 2); 0 for special tokens.
    is_truncated
        Whether some of the input was cut off.
    """

    ids: IntArray
    types: IntArray
    part: IntArray
    offsets: IntArray
    is_truncated: bool


class Tokeniser:
    """Tokenises inputs for an encoder.

    Parameters
    ----------
    tokenizer
        Without truncation and padding (this class does the first and never the second).
    frame
        Special tokens.
    max_tokens
        Longest sequence, special tokens included.
    """

    def __init__(self, tokenizer: Tokenizer, frame: TokenFrame, max_tokens: int) -> None:
        self.frame, self.max_tokens = frame, max_tokens
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, path: Path, frame: TokenFrame | None, max_tokens: int) -> Self:
        """Read a ``tokenizer.json``; without `frame`, ask the tokeniser for its own.

        Raises
        ------
        ArtefactError
            If the file cannot be read.
        """
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises bare Exception
            raise ArtefactError("a tokenizer cannot be read", given=f"{path}: {error}") from error
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return cls(tokenizer, frame or TokenFrame.of(tokenizer), max_tokens)

    def to_json(self) -> str:
        """The text tokeniser, ready to be written to ``tokenizer.json``."""
        return str(self._tokenizer.to_str())

    @property
    def vocabulary_size(self) -> int:
        """How many different ids there are."""
        return int(self._tokenizer.get_vocab_size())

    def __call__(self, parts: InputParts) -> Tokenised:
        """Tokenise one input; the longest parts are cut first where it is too long."""
        most_chars = self.max_tokens * CHARS_PER_TOKEN
        is_cut = any(len(text) > most_chars for text in parts)
        encoded = [
            self._tokenizer.encode(_clean(text[:most_chars]), add_special_tokens=False) for text in parts
        ]
        frame = self.frame
        special = len(frame.before) + len(frame.after) + len(frame.between) * (len(parts) - 1)
        lengths = [len(one.ids) for one in encoded]
        kept = portion_lengths(lengths, max(self.max_tokens - special, 0))
        ids, types, owners = (
            list(frame.before),
            [frame.types[0]] * len(frame.before),
            [-1] * len(frame.before),
        )
        offsets: list[tuple[int, int]] = [(0, 0)] * len(frame.before)
        for at, (one, length) in enumerate(zip(encoded, kept, strict=True)):
            is_last = at == len(encoded) - 1
            own_type = frame.types[min(at, 1)]
            tail = frame.after if is_last else frame.between
            # The mark after a part has that part's type in every BERT-like template.
            ids += [*one.ids[:length], *tail]
            types += [own_type] * (length + len(tail))
            owners += [at] * length + [-1] * len(tail)
            offsets += [*one.offsets[:length], *([(0, 0)] * len(tail))]
        return Tokenised(
            np.array(ids, dtype=np.int64),
            np.array(types, dtype=np.int64),
            np.array(owners, dtype=np.int64),
            np.array(offsets, dtype=np.int64).reshape(len(ids), 2),
            is_cut or kept != lengths,
        )


def _clean(text: str) -> str:
    """Lone surrogates cannot be encoded as UTF-8; each becomes one replacement character, so offsets hold."""
    if text.isascii():
        return text
    return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)


def portion_lengths(lengths: Sequence[int], room: int) -> list[int]:
    """Lengths cut to fit `room` in all, the longest first: short parts stay whole while long ones share the
    rest.
    """
    kept = [0] * len(lengths)
    rest = room
    order = sorted(range(len(lengths)), key=lambda at: lengths[at])
    for done, at in enumerate(order):
        kept[at] = min(lengths[at], rest // (len(order) - done))
        rest -= kept[at]
    return kept
