"""Holds an answer to a grammar while it is written, through llguidance: which tokens may come next."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from understudy.errors import ArtefactError
from understudy.runtime.grammar import answer_grammar
from understudy.task.problem import Problem

__all__ = ["JsonConstraint"]

_WORD_MARK = "▁"


class JsonConstraint:
    """Allows the JSON texts that are answers to some problems, and an end token after such a text.

    Parameters
    ----------
    tokeniser
        Of the model that writes. It must work on bytes or on marked words (▁), so that pieces can be put
        together to any text.
    problems
        What is answered, in order.
    vocab_size
        Columns of the model's scores; those beyond the tokeniser's tokens are never allowed.
    end_ids
        Tokens that end an answer.

    Raises
    ------
    ArtefactError
        If the tokeniser is of another kind, or has no token for a character that every answer needs.
    """

    def __init__(
        self, tokeniser: Tokenizer, problems: Sequence[Problem], *, vocab_size: int, end_ids: Collection[int]
    ) -> None:
        import llguidance

        size = max(vocab_size, tokeniser.get_vocab_size())
        try:
            self._tokens: Any = llguidance.LLTokenizer(
                tokeniser.to_str(), n_vocab=size, eos_token=list(end_ids)
            )
        except ValueError:
            _check_characters(tokeniser, problems)
            self._tokens = _marked_tokens(tokeniser, size, list(end_ids))
        may_begin_blank = self.text_bytes(tokeniser.encode("{", add_special_tokens=False).ids)[:1] == b" "
        grammar = answer_grammar(problems, may_begin_blank=may_begin_blank)
        self._fresh: Any = llguidance.LLMatcher(
            self._tokens, llguidance.LLMatcher.grammar_from_lark(grammar), log_level=0
        )
        if self._fresh.is_error():
            raise ArtefactError(
                "the grammar of the answers cannot be used",
                given=str(self._fresh.get_error()).partition("\n")[0],
                todo="fields of kind choice need fewer or shorter labels",
            )
        self._lock = threading.Lock()

    def begin(self) -> _Matching:
        """Start one answer."""
        with self._lock:
            return _Matching(self._fresh.deep_copy())

    def text_bytes(self, tokens: Sequence[int]) -> bytes:
        """The bytes that `tokens` stand for, without anything that a decoder trims."""
        found: bytes = self._tokens.decode_bytes(list(tokens))
        return found


class _Matching:
    """One answer in the making."""

    def __init__(self, matcher: Any) -> None:
        self._matcher = matcher

    def allowed(self) -> npt.NDArray[np.bool_]:
        """Which tokens may come next, shape (V,) or a little longer."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        return np.unpackbits(bits, bitorder="little").astype(np.bool_)

    def take(self, token: int) -> None:
        """Advance by an allowed token."""
        self._matcher.consume_token(token)


class _MarkedWords:
    """A tokeniser that marks the beginning of words, in the form that llguidance asks for."""

    def __init__(self, tokeniser: Tokenizer, size: int, end_id: int) -> None:
        self.eos_token_id, self.bos_token_id = end_id, None
        added = tokeniser.get_added_tokens_decoder()
        self.special_token_ids = [at for at, token in added.items() if token.special]
        texts = [tokeniser.id_to_token(at) or "" for at in range(size)]
        self.tokens = [text.replace(_WORD_MARK, " ").encode() for text in texts]
        # It is asked for tokens of stretches that follow others: none of them begins a text.
        spec = json.loads(tokeniser.to_str())
        self._tokeniser = Tokenizer.from_str(json.dumps(_without_first_mark(spec)))

    def __call__(self, text: str) -> list[int]:
        return list(self._tokeniser.encode(text, add_special_tokens=False).ids)


def _without_first_mark(spec: Any) -> Any:
    """A tokeniser's description that puts no mark before a text's first word."""
    if isinstance(spec, list):
        return [_without_first_mark(one) for one in spec]
    if not isinstance(spec, dict):
        return spec
    if spec.get("type") == "Metaspace":
        return {**spec, "prepend_scheme": "never"}
    return {
        key: value if key in ("vocab", "added_tokens") else _without_first_mark(value)
        for key, value in spec.items()
    }


def _check_characters(tokeniser: Tokenizer, problems: Sequence[Problem]) -> None:
    """Refuse a tokeniser in which no answer can be written: that of T5, for one, has no braces."""
    names = "".join(json.dumps(problem.field.name, ensure_ascii=False) for problem in problems)
    missing = sorted(set('{":}' + names) - set("".join(tokeniser.get_vocab())) - {" "})
    if missing:
        raise ArtefactError(
            "answers in JSON cannot be written with this tokeniser",
            given=f"no token has {' or '.join(missing)}",
            todo="use a base with a byte-level tokeniser, or train one from scratch",
        )


def _marked_tokens(tokeniser: Tokenizer, size: int, end_ids: list[int]) -> Any:
    import llguidance

    if _WORD_MARK not in tokeniser.to_str():
        raise ArtefactError(
            "answers in JSON cannot be held to their form with this tokeniser",
            given=f"a tokeniser of type {type(tokeniser.model).__name__} without a decoder of bytes",
            todo="use a base with a byte-level tokeniser, or train one from scratch",
        )
    wrapped = llguidance.TokenizerWrapper(_MarkedWords(tokeniser, size, end_ids[0]))
    return llguidance.LLTokenizer(wrapped, n_vocab=size, eos_token=end_ids)
