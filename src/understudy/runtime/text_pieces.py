"""Cuts a text into pieces while its tokens come, so that the pieces together are the text that all tokens decode to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["TextPieces"]

_UNFINISHED = "\ufffd"
"""What bytes decode to that are no character, or none yet."""


class TextPieces:
    """Pieces of one text.

    Parameters
    ----------
    decode
        Text of the tokens so far.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._said = ""

    def more(self, tokens: Sequence[int]) -> str:
        """What can be said now that these are all tokens so far; a character whose bytes are not all there waits."""
        return self.rest(self._decode(tokens).rstrip(_UNFINISHED))

    def rest(self, text: str) -> str:
        """What is still to say of the whole text."""
        if not text.startswith(self._said):
            return ""
        rest = text[len(self._said) :]
        self._said = text
        return rest
