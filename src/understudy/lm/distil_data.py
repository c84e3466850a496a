"""Recorded answers as rows to distil from: a log of calls, its prompts and answers in the student's tokens.

Some prompts are held out at random, with all their rows, to measure with. Knows no model.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from understudy.calls.call import ABSENT, Call
from understudy.calls.readers import read_calls
from understudy.errors import DataError
from understudy.lm.distil import Told
from understudy.lm.placed_rows import row_key
from understudy.lm.rows import TokenRow
from understudy.lm.told_calls import byte_forms, read_told, told_of
from understudy.runtime.writing import WriteFormat

__all__ = ["DistilRows", "Pair", "read_pairs", "read_told_pairs", "rows_from"]

_SEPARATORS = (",", ":")


@dataclass(frozen=True, slots=True)
class Pair:
    """An input, in its parts, and the text that was answered."""

    parts: tuple[str, ...]
    answer: str


@dataclass(frozen=True, slots=True)
class DistilRows:
    """Rows of a log.

    Attributes
    ----------
    train, valid
        To learn from, and held out.
    told
        What the log tells of tokens, by row; empty where it was not asked for.
    n_left_out
        Rows that are longer than a sequence.
    n_cut
        Prompts that lost their end.
    """

    train: list[TokenRow]
    valid: list[TokenRow]
    told: dict[tuple[int, tuple[int, ...]], Told]
    n_left_out: int
    n_cut: int


def read_pairs(paths: Sequence[Path]) -> list[Pair]:
    """Read a log in any of the formats of :mod:`understudy.calls`; calls without an answer are passed over.

    Answers that are no text become compact JSON.

    Raises
    ------
    DataError
        If no call has an answer.
    """
    pairs = [
        _pair(call) for call in read_calls(paths) if call.output is not ABSENT and call.output is not None
    ]
    return _some(pairs, paths)


def read_told_pairs(
    paths: Sequence[Path], tokeniser: Tokenizer, end: int
) -> tuple[list[Pair], list[Told | None]]:
    """Read a log of chat completions with log-probabilities: pairs, and what was told of each.

    Raises
    ------
    DataError
        If no answer has log-probabilities, or none has the tokens of `tokeniser`.
    """
    answers = [answer for path in paths for answer in read_told(path)]
    if not answers:
        raise DataError(
            "no answer in the log has log-probabilities",
            given=", ".join(map(str, paths)),
            todo="record with logprobs and top_logprobs, or use --loss sequence",
        )
    forms = byte_forms(tokeniser)
    told = [
        told_of(one, forms, [*tokeniser.encode(one.text, add_special_tokens=False).ids, end], end)
        for one in answers
    ]
    if not any(one is not None for one in told):
        raise DataError(
            "the tokens in the log are not those of the student's tokenizer",
            given=f"{len(answers):,} answers, none of the same tokens",
            todo="give the teacher's tokenizer, or use --loss sequence",
        )
    return [Pair((one.input,), one.text) for one in answers], told


def rows_from(
    pairs: Sequence[Pair],
    tokeniser: Tokenizer,
    end: int,
    *,
    sequence_tokens: int,
    seed: int,
    told: Sequence[Told | None] = (),
    valid_share: float = 0.05,
    form: WriteFormat | None = None,
) -> DistilRows:
    """Make rows in tokens and hold some out.

    Raises
    ------
    DataError
        If fewer than two rows fit into a sequence, or all have the same prompt.
    """
    form = WriteFormat() if form is None else form
    rows: list[TokenRow] = []
    by_row: dict[tuple[int, tuple[int, ...]], Told] = {}
    n_left_out = n_cut = 0
    for at, pair in enumerate(pairs):
        answer = (*tokeniser.encode(pair.answer, add_special_tokens=False).ids, end)
        room = sequence_tokens - len(answer)
        prompt = form.prompt(tokeniser, pair.parts, room) if room > 0 else None
        if prompt is None or not prompt.ids or len(prompt.ids) > room:
            n_left_out += 1
            continue
        n_cut += prompt.is_truncated
        row = TokenRow(tuple(prompt.ids), answer)
        rows.append(row)
        one = told[at] if told else None
        if one is not None:
            by_row[row_key(row.prompt, row.answer)] = one
    if len(rows) < 2:
        raise DataError(
            "two rows at least must fit into a sequence, one to learn from and one to measure with",
            given=f"{len(rows)} of {len(pairs):,} rows fit into {sequence_tokens} tokens",
            todo="take longer sequences (--sequence)",
        )
    random.Random(seed).shuffle(rows)
    held_out = _held_out_prompts(rows, valid_share)
    train, valid = (
        [row for row in rows if (row.prompt in held_out) == is_valid] for is_valid in (False, True)
    )
    return DistilRows(train, valid, by_row, n_left_out, n_cut)


def _held_out_prompts(rows: Sequence[TokenRow], share: float) -> set[tuple[int, ...]]:
    """Choose prompts until their rows come to `share`: one that was asked twice is never on both sides."""
    counts = Counter(row.prompt for row in rows)
    if len(counts) < 2:
        raise DataError(
            "two different prompts at least must be there, one to learn from and one to measure with",
            given=f"{len(rows):,} rows of the same prompt",
        )
    room = max(1, round(share * len(rows)))
    held_out: set[tuple[int, ...]] = set()
    for prompt in counts:  # in the order of rows, which were shuffled
        if counts[prompt] <= room:
            held_out.add(prompt)
            room -= counts[prompt]
    return held_out or {min(counts, key=counts.__getitem__)}


def _pair(call: Call) -> Pair:
    parts = (call.input,) if isinstance(call.input, str) else tuple(map(str, call.input.values()))
    answer = call.output
    if not isinstance(answer, str):
        answer = json.dumps(answer, ensure_ascii=False, separators=_SEPARATORS)
    return Pair(parts, answer)


def _some(pairs: list[Pair], paths: Sequence[Path]) -> list[Pair]:
    if not pairs:
        raise DataError("no call in the log has an answer", given=", ".join(map(str, paths)))
    return pairs
