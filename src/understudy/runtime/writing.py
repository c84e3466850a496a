"""What a student that writes is asked and what it writes: the words around an input, and the text of an answer.

Training and serving read the same format, so that a prompt has the same tokens in both. Knows no model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from tokenizers import Tokenizer

from understudy.calls.call import ABSENT, InputParts
from understudy.task.problem import Problem

__all__ = ["Prompt", "WriteFormat"]

_SEPARATORS = (",", ":")


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids of a prompt, and whether the input had to be cut to fit."""

    ids: list[int]
    is_truncated: bool


@dataclass(frozen=True, slots=True)
class WriteFormat:
    """How an input becomes a prompt, and the values of an answer one text.

    Attributes
    ----------
    before, between, after
        Stand before the first part, between two parts, and after the last; the answer follows at once. Special
        tokens (of a chat template) count as such here, and never in what a caller gives.
    is_plain
        Whether the answer is the text of the only problem as it is; else it is one JSON object, without blanks,
        of all problems' values by field name, in their order, absent ones left out.
    """

    before: str = ""
    between: str = "\n"
    after: str = "\n\n"
    is_plain: bool = True

    def to_dict(self) -> dict[str, Any]:
        """JSON form; :meth:`from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """Read the JSON form."""
        return cls(**given)

    def prompt(self, tokeniser: Tokenizer, parts: InputParts, most_tokens: int) -> Prompt:
        """Tokens of the prompt, at most `most_tokens`; the longest part loses its end until they fit.

        Each stretch is tokenised on its own, so that what a caller gives can neither merge with the words around
        it nor pass for a special token.
        """
        fixed = [_ids(tokeniser, text, is_special=True) for text in (self.before, self.between, self.after)]
        own = [_ids(tokeniser, part, is_special=False) for part in parts]
        room = most_tokens - len(fixed[0]) - len(fixed[2]) - len(fixed[1]) * max(len(own) - 1, 0)
        too_many = sum(map(len, own)) - max(room, 0)
        is_truncated = too_many > 0
        while too_many > 0:
            longest = max(range(len(own)), key=lambda at: len(own[at]))
            second = max((len(one) for at, one in enumerate(own) if at != longest), default=0)
            cut = min(too_many, max(len(own[longest]) - second, 1))
            own[longest] = own[longest][: len(own[longest]) - cut]
            too_many -= cut
        ids = list(fixed[0])
        for at, one in enumerate(own):
            ids += [*(fixed[1] if at else ()), *one]
        return Prompt([*ids, *fixed[2]], is_truncated)

    def answer(self, problems: Sequence[Problem], values: Sequence[Any]) -> str:
        """The text that says `values`, one per problem."""
        if self.is_plain:
            return str(values[0])
        pairs = zip(problems, values, strict=True)
        kept = {problem.field.name: value for problem, value in pairs if value is not ABSENT}
        return json.dumps(kept, ensure_ascii=False, separators=_SEPARATORS)

    def read(self, problems: Sequence[Problem], text: str) -> list[Any] | None:
        """The values that `text` says, one per problem; ``None`` if it is not an answer."""
        if self.is_plain:
            return [text]
        try:
            given = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(given, dict):
            return None
        return [given.get(problem.field.name, ABSENT) for problem in problems]


def _ids(tokeniser: Tokenizer, text: str, *, is_special: bool) -> list[int]:
    if not text:
        return []
    # True makes the library read special tokens in the text as ordinary characters.
    tokeniser.encode_special_tokens = not is_special
    return list(tokeniser.encode(text, add_special_tokens=False).ids)
