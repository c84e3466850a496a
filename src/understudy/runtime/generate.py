"""Writes answers with a decoder: picks the next token of each sequence until it ends.

Greedy by default. What a sequence becomes depends on its prompt and the settings alone, never on what else is
written beside it. Shapes: V tokens of the vocabulary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from understudy.runtime.decoder import Decoder, Decoding

__all__ = ["ROWS_AT_ONCE", "Constraint", "Matching", "Sampling", "Written", "generate", "write_tokens"]

ROWS_AT_ONCE = 16
"""Sequences whose caches are held in memory at a time."""


class Matching(Protocol):
    """What a constraint allows next in one sequence."""

    def allowed(self) -> npt.NDArray[np.bool_] | None:
        """Which tokens may come next, shape (V,); ``None`` for all."""
        ...

    def take(self, token: int) -> None:
        """Advance by a token that was allowed."""
        ...


class Constraint(Protocol):
    """A rule for the text of answers."""

    def begin(self) -> Matching:
        """Start one sequence."""
        ...


@dataclass(frozen=True, slots=True)
class Sampling:
    """Draw tokens instead of taking the likeliest.

    Attributes
    ----------
    temperature
        Above 0; below 1 makes likely tokens likelier.
    seed
        With the prompt's tokens it decides every draw.
    """

    temperature: float = 1.0
    seed: int = 0


@dataclass(slots=True)
class Written:
    """One answer.

    Attributes
    ----------
    tokens
        Its tokens, without the one that ended it.
    logprobs
        Natural logarithm of each token's probability among the tokens that the constraint allowed there (at
        temperature 1); where the answer is finished, one more for the end. A token that had to come has 0.
    margins
        For the same tokens, the probability of the likeliest allowed one less that of the second, in [0, 1].
    was_forced
        For the same tokens, whether the constraint allowed nothing else.
    is_finished
        Whether it ended by itself, rather than by the limit of tokens.
    """

    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    margins: list[float] = field(default_factory=list)
    was_forced: list[bool] = field(default_factory=list)
    is_finished: bool = False


def generate(
    decoder: Decoder,
    prompts: Sequence[Sequence[int]],
    *,
    end_ids: Collection[int],
    max_new_tokens: int,
    constraint: Constraint | None = None,
    sampling: Sampling | Sequence[Sampling] | None = None,
) -> list[Written]:
    """Write one answer per prompt.

    Parameters
    ----------
    decoder
        The model.
    prompts
        Token ids, at least one each.
    end_ids
        Tokens that end an answer.
    max_new_tokens
        Most tokens of an answer, without the end; the decoder's context may allow fewer.
    constraint
        What texts are allowed; it must allow an end token where a text is complete.
    sampling
        For all answers, or one for each; ``None`` takes the likeliest token (the lowest id among equals).
    """
    done: list[Written] = []
    each = [sampling] * len(prompts) if sampling is None or isinstance(sampling, Sampling) else sampling
    assert len(each) == len(prompts), "there must be one sampling per prompt"
    for at in range(0, len(prompts), ROWS_AT_ONCE):
        chunk = slice(at, at + ROWS_AT_ONCE)
        writer = _Writer(decoder, prompts[chunk], end_ids, max_new_tokens, constraint, each[chunk])
        try:
            while writer.advance():
                pass
        finally:
            writer.close()
        done += writer.written
    return done


def write_tokens(
    decoder: Decoder,
    prompt: Sequence[int],
    *,
    end_ids: Collection[int],
    max_new_tokens: int,
    constraint: Constraint | None = None,
    sampling: Sampling | None = None,
) -> Iterator[Written]:
    """Write one answer token by token: the same object, one token longer each time, and last as it ended."""
    writer = _Writer(decoder, [prompt], end_ids, max_new_tokens, constraint, [sampling])
    try:
        is_going = True
        while is_going:
            is_going = writer.advance()
            yield writer.written[0]
    finally:
        writer.close()


class _Writer:
    """Some answers in the making."""

    def __init__(
        self,
        decoder: Decoder,
        prompts: Sequence[Sequence[int]],
        end_ids: Collection[int],
        max_new_tokens: int,
        constraint: Constraint | None,
        samplings: Sequence[Sampling | None],
    ) -> None:
        self.written = [Written() for _ in prompts]
        self._end_ids = frozenset(end_ids)
        self._most = [min(max_new_tokens, decoder.context_tokens - len(prompt)) for prompt in prompts]
        self._matchings = [None if constraint is None else constraint.begin() for _ in prompts]
        self._temperatures = [None if one is None else one.temperature for one in samplings]
        self._draws = [
            None if one is None else _draws(one.seed, prompt)
            for one, prompt in zip(samplings, prompts, strict=True)
        ]
        self._going = list(range(len(prompts)))
        self._decoding: Decoding = decoder.start(prompts)
        self._logits = self._decoding.logits

    def advance(self) -> bool:
        """Pick the next token of every answer that is not done; whether any is still going."""
        kept, tokens = [], []
        for at, row in enumerate(self._going):
            token = self._pick(row, self._logits[at])
            if token is not None:
                kept.append(row)
                tokens.append(token)
        self._going = kept
        if kept:
            self._logits = self._decoding.step(kept, tokens)
        return bool(kept)

    def close(self) -> None:
        """Let go of the caches."""
        self._decoding.close()

    def _pick(self, row: int, logits: npt.NDArray[np.float32]) -> int | None:
        """The next token, or ``None`` where the answer ends here."""
        written, matching = self.written[row], self._matchings[row]
        scores = logits.astype(np.float64)
        allowed = None if matching is None else matching.allowed()
        if allowed is not None:
            scores[: len(allowed)][~allowed[: len(scores)]] = -np.inf
            scores[len(allowed) :] = -np.inf
        best = int(scores.argmax())
        if not np.isfinite(scores[best]):
            return None
        token = best
        temperature, draws = self._temperatures[row], self._draws[row]
        if temperature is not None and draws is not None:
            token = _sample(scores, scores[best], temperature, draws)
        is_end = token in self._end_ids
        if not is_end and len(written.tokens) >= self._most[row]:
            return None
        total = float(np.exp(scores - scores[best]).sum())
        top = float(scores[best])
        written.logprobs.append(float(scores[token]) - top - float(np.log(total)))
        scores[best] = -np.inf
        second = float(scores.max())
        written.margins.append((1.0 - float(np.exp(second - top))) / total)
        written.was_forced.append(not np.isfinite(second))
        if is_end:
            written.is_finished = True
            return None
        written.tokens.append(token)
        if matching is not None:
            matching.take(token)
        return token


def _draws(seed: int, prompt: Sequence[int]) -> np.random.Generator:
    given = np.array([seed, *prompt], dtype=np.int64).tobytes()
    return np.random.default_rng(int.from_bytes(hashlib.sha256(given).digest()[:16], "little"))


def _sample(
    scores: npt.NDArray[np.float64], top: float, temperature: float, draws: np.random.Generator
) -> int:
    weights = np.exp((scores - top) / temperature)
    sums = weights.cumsum()
    return int(np.searchsorted(sums, draws.random() * sums[-1], side="right").clip(0, len(sums) - 1))
