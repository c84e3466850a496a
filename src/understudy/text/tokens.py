"""Cut a text into tokens with offsets, and describe each token by hashed shape features, for linear taggers.

Offsets are into the text as given, so that a span can be copied verbatim.
"""

from __future__ import annotations

import re
import zlib
from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["TOKEN_FEATURES", "Token", "token_features", "tokenise"]

Token = tuple[int, int]
"""Start and end character of a token."""

_TOKEN = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]"  # unspaced scripts: one character each
    r"|\d+(?:[.,]\d+)*|[^\W\d_]+|[^\w\s]|_"
)
TOKEN_FEATURES = 9


def tokenise(text: str, *, limit: int = 4000) -> list[Token]:
    """Runs of letters, numbers, single signs and single CJK characters; at most `limit` tokens."""
    out = []
    for found in _TOKEN.finditer(text):
        out.append(found.span())
        if len(out) == limit:
            break
    return out


def _hash(kind: int, text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogatepass"), kind * 0x9E3779B1 & 0xFFFFFFFF)


def _shape(word: str) -> str:
    signs = ["d" if c.isdigit() else "X" if c.isupper() else "x" if c.isalpha() else c for c in word]
    short = [sign for at, sign in enumerate(signs) if at < 1 or sign != signs[at - 1]]
    return "".join(short)


@lru_cache(maxsize=50_000)
def _word_features(word: str) -> tuple[int, ...]:
    lower = word.lower()
    return (
        _hash(1, lower),
        _hash(2, _shape(word)),
        _hash(3, f"{_shape(word)}{min(len(word), 12)}"),
        _hash(4, lower[:2]),
        _hash(5, lower[-2:]),
        _hash(6, lower[:3]),
        _hash(7, lower[-3:]),
        _hash(8, f"{min(len(word), 12)}"),
    )


@lru_cache(maxsize=16)
def _gap_feature(gap: str) -> int:
    return _hash(9, gap)


def token_features(text: str, tokens: list[Token]) -> npt.NDArray[np.uint32]:
    """Hashed features of each token alone, shape (t, TOKEN_FEATURES).

    The last column says whether white space stands before the token.
    """
    out = np.empty((len(tokens), TOKEN_FEATURES), dtype=np.uint32)
    before = 0
    for at, (start, end) in enumerate(tokens):
        out[at, :-1] = (
            _word_features(text[start:end]) if end - start <= 40 else _word_features(text[start : start + 40])
        )
        out[at, -1] = _gap_feature(
            "none" if start == before and at else "line" if "\n" in text[before:start] else "space"
        )
        before = end
    return out
