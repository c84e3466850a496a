"""How likely a student holds what it says, in the words of the chat completions API: ``logprobs``.

A student reads no tokens and writes none. What it has, for a task of one field that takes one of a few values, is a
probability of each value; so the whole answer is given as one item, with the other answers as its alternatives. The
sum over the items is the log-probability of the answer, as it is with a language model's tokens.

These are the student's own probabilities, calibrated on the teacher's answers (``runtime/stages.py``), not the
teacher's, and no certificate covers them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from understudy.calls.call import InputParts
from understudy.runtime.answer import Understudy

__all__ = ["LEAST_LOGPROB", "logprobs_of", "value_chances"]

LEAST_LOGPROB: Final = -9999.0
"""What the API says for very unlikely."""


def value_chances(model: Understudy, parts: InputParts) -> list[tuple[Any, float]] | None:
    """The values of the task's only field with their probabilities, the likeliest first.

    ``None`` if the task has several fields, a field of another kind, or what spoke has no probabilities (the lookup).
    Runs the student once more.
    """
    problems = model.cascade.problems
    if len(problems) != 1 or len(model.task.fields) != 1 or problems[0].mode != "classify":
        return None
    spoke = int(model.predict([parts]).stage[0])
    scores = model.cascade.scores_of(parts, spoke)[0]
    if scores is None:
        return None
    pairs = zip(problems[0].values, scores.tolist(), strict=True)
    return sorted(pairs, key=lambda pair: -pair[1])


def logprobs_of(
    text: str, chances: list[tuple[Any, float]], said: Callable[[Any], str | None], most: int
) -> dict[str, Any] | None:
    """The ``logprobs`` of a choice.

    Parameters
    ----------
    text
        The answer.
    chances
        From :func:`value_chances`.
    said
        The text in which the request would hear a value; ``None`` if it cannot be said.
    most
        How many answers to list, 0 to 20.

    Returns
    -------
    dict or None
        ``None`` if `text` is none of the answers.
    """
    items = [_item(spoken, chance) for value, chance in chances if (spoken := said(value)) is not None]
    own = next((item for item in items if item["token"] == text), None)
    return None if own is None else {"content": [{**own, "top_logprobs": items[:most]}], "refusal": None}


def _item(text: str, chance: float) -> dict[str, Any]:
    logprob = math.log(chance) if chance > 0 else LEAST_LOGPROB
    return {"token": text, "logprob": logprob, "bytes": list(text.encode("utf-8", "replace"))}
