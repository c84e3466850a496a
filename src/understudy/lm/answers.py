"""From inputs and values to the rows that a writing student is trained on: texts first, then tokens.

How long prompts and answers may be is decided by the lengths in the data, and what is lost by that is counted.
Knows no model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from understudy.calls.call import UNKNOWN, InputParts
from understudy.errors import DataError
from understudy.lm.rows import TokenRow
from understudy.runtime.writing import WriteFormat
from understudy.task.problem import Problem
from understudy.training.target_arrays import FieldTargets

__all__ = ["TextRow", "TokenBudget", "is_plain_text", "text_rows", "token_budget", "token_rows"]

_ASK_REASON = "\n\nExplain the answer."
_REASON_PROMPT_TOKENS = len(_ASK_REASON)  # a token is a character or more
_PROMPT_SHARE = 0.99
_ANSWER_SHARE = 0.995
_SLACK = 1.25
"""How much longer than what was seen an answer may become before it is cut."""


@dataclass(frozen=True, slots=True)
class TextRow:
    """One input, what is to be written for it, and how much that counts."""

    parts: InputParts
    answer: str
    weight: float = 1.0
    is_reason: bool = False


@dataclass(frozen=True, slots=True)
class TokenBudget:
    """How long things may be, in tokens, and the lengths that this was read from.

    Attributes
    ----------
    prompt, answer
        Longest prompt and longest answer (its end token included).
    n_cut_prompts, n_dropped_answers
        Rows whose prompt is cut, and that are left out because their answer is longer.
    n_answer_tokens
        Tokens of all answers.
    """

    prompt: int
    answer: int
    n_cut_prompts: int
    n_dropped_answers: int
    n_answer_tokens: int

    @property
    def reason(self) -> int:
        """Longest reason, which is cut: no longer than answers by so much that it sets the model's context."""
        return max(4 * self.answer, 64)

    @property
    def context(self) -> int:
        """Longest sequence of training and serving."""
        return self.prompt + self.reason + _REASON_PROMPT_TOKENS


def is_plain_text(problems: Sequence[Problem]) -> bool:
    """Whether an answer is the text itself: one `write` problem alone that always has a text."""
    return len(problems) == 1 and problems[0].mode == "write" and not problems[0].values


def text_rows(
    inputs: Sequence[InputParts],
    targets: Sequence[FieldTargets],
    form: WriteFormat,
    *,
    sample_weight: npt.NDArray[np.float64] | None = None,
    rationales: Sequence[str | None] | None = None,
) -> list[TextRow]:
    """Say what is to be written for each input; rows where a field is unknown, or that weigh nothing, are left out.

    Reasons become rows of their own ("distilling step by step", Hsieh et al. 2023), after all answers.

    Raises
    ------
    DataError
        If no row is left.
    """
    problems = [target.problem for target in targets]
    weights = np.ones(len(inputs)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    kept = [
        at
        for at in range(len(inputs))
        if weights[at] > 0 and all(target.values[at] is not UNKNOWN for target in targets)
    ]
    if not kept:
        names = ", ".join(problem.field.name for problem in problems)
        raise DataError(
            f"there is no call in which all of these fields are known: {names}",
            given=f"{len(inputs)} calls, {int((weights > 0).sum())} of them with a weight above 0",
            todo="give calls with whole answers, or ask the writer for fewer fields",
        )
    answers = [
        TextRow(
            tuple(map(_clean, inputs[at])),
            _clean(form.answer(problems, [_canonical(t.problem, t.values[at]) for t in targets])),
            float(weights[at]),
        )
        for at in kept
    ]
    reasons = [
        TextRow(tuple(map(_clean, inputs[at])), _clean(reason.strip()), float(weights[at]), is_reason=True)
        for at in kept
        if rationales is not None and (reason := rationales[at]) and reason.strip()
    ]
    return [*answers, *reasons]


def _clean(text: str) -> str:
    """Lone surrogates are no characters; each becomes one replacement character, as when it serves."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _canonical(problem: Problem, value: Any) -> Any:
    """One way of writing each value, so that there is one text to learn for it."""
    if problem.mode == "multilabel" and isinstance(value, (list, tuple, set, frozenset)):
        return [label for label in problem.values if label in value]
    if problem.mode == "classify":
        # As the grammar of served answers writes it: 1.0 stays 1.0 among 1.0 and 1.5.
        is_bool = isinstance(value, bool)
        own = (one for one in problem.values if isinstance(one, bool) == is_bool and one == value)
        return next(own, value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def token_budget(
    rows: Sequence[TextRow],
    tokeniser: Tokenizer,
    form: WriteFormat,
    *,
    most_prompt: int,
    most_answer: int,
    context: int | None = None,
) -> TokenBudget:
    """Choose the longest prompt and answer: the 99 % and 99.5 % quantiles of the rows' lengths, with a quarter more.

    Parameters
    ----------
    rows
        Answers and reasons; reasons have no say in how long an answer may be.
    tokeniser, form
        How they become tokens.
    most_prompt, most_answer
        Caps.
    context
        Tokens that the model can hold, prompt and answer together; ``None``: no limit. The prompt yields.

    Raises
    ------
    DataError
        If the context has no room for an answer and a prompt.
    """
    answers = [row for row in rows if not row.is_reason]
    prompts = [len(form.prompt(tokeniser, row.parts, 2**31).ids) for row in answers]
    written = [len(_encode(tokeniser, row.answer)) + 1 for row in answers]
    answer = min(_longest(written, _ANSWER_SHARE), most_answer)
    prompt = min(_longest(prompts, _PROMPT_SHARE), most_prompt)
    if context is not None:
        prompt = min(prompt, context - answer)
        least = len(form.prompt(tokeniser, ("",), 2**31).ids) + 1
        if prompt < least:
            raise DataError(
                "the model is too short for these answers",
                given=f"{context} tokens of context, answers of up to {answer}",
                todo="lower max_new_tokens, or take a base with a longer context",
            )
    return TokenBudget(
        prompt=max(prompt, 1),
        answer=answer,
        n_cut_prompts=sum(length > prompt for length in prompts),
        n_dropped_answers=sum(length > answer for length in written),
        n_answer_tokens=sum(written),
    )


def _longest(lengths: Sequence[int], share: float) -> int:
    return math.ceil(float(np.quantile(lengths, share, method="higher")) * _SLACK)


def token_rows(
    rows: Sequence[TextRow],
    tokeniser: Tokenizer,
    form: WriteFormat,
    budget: TokenBudget,
    end_id: int,
    *,
    rationale_weight: float = 1.0,
) -> list[TokenRow]:
    """Encode the rows; answers that are too long are left out, reasons that are too long are cut.

    A token of an answer weighs as much as its row. Tokens of reasons are scaled so that together they weigh
    `rationale_weight` times as much as all answers, for they are many times longer (see
    :mod:`understudy.lm.losses.rationale`); the mean weight of a token is 1.
    """
    why = replace(form, after=_ASK_REASON + form.after)
    found: list[tuple[TextRow, TokenRow]] = []
    for row in rows:
        ids = _encode(tokeniser, row.answer)
        if row.is_reason:
            ids = ids[: budget.reason - 1]
        elif len(ids) + 1 > budget.answer:
            continue
        most = budget.prompt + (_REASON_PROMPT_TOKENS if row.is_reason else 0)
        prompt = (why if row.is_reason else form).prompt(tokeniser, row.parts, most).ids
        found.append((row, TokenRow(tuple(prompt) or (end_id,), (*ids, end_id), row.weight)))
    return _weighed(found, rationale_weight)


def _weighed(found: Sequence[tuple[TextRow, TokenRow]], rationale_weight: float) -> list[TokenRow]:
    if not found:
        return []
    mass = {False: 0.0, True: 0.0}
    for row, tokens in found:
        mass[row.is_reason] += row.weight * len(tokens.answer)
    of_reason = rationale_weight * mass[False] / mass[True] if mass[True] else 0.0
    total = sum(len(tokens.answer) for _, tokens in found)
    scale = total / (mass[False] + of_reason * mass[True])
    return [
        replace(tokens, weight=_round(scale * row.weight * (of_reason if row.is_reason else 1.0)))
        for row, tokens in found
    ]


def _round(weight: float) -> float:
    # 1 should be 1: rows that all weigh the same need no weights at all.
    return round(weight, 9)


def _encode(tokeniser: Tokenizer, text: str) -> list[int]:
    # What a teacher wrote is text, even where it looks like a special token.
    tokeniser.encode_special_tokens = True
    return list(tokeniser.encode(text, add_special_tokens=False).ids)
