"""A request whose fixed part is known: tells whether another request is of the same kind, and takes out its input.

Exact after normalisation: the fixed messages, what the last user message begins and ends with, and the form of
the answer asked for must all be the same. White space at the ends of a fixed message, and how its lines end, do
not count. Dates, times and ids inside a fixed message count unless the log itself has shown that they change
(`is_steady`); nothing else is forgiven. It does not know which task the request belongs to.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from understudy.calls.changing import steady

__all__ = ["KnownRequest", "Message", "count_system", "joined_input"]

Message = tuple[str, str]
"""Role and text."""

_SYSTEM = ("system", "developer")
_MOST_CHANGING_CHARS = 200


def count_system(messages: Sequence[Message]) -> int:
    """How many system (developer) messages stand first; the last message never counts."""
    count = 0
    while count < len(messages) - 1 and messages[count][0] in _SYSTEM:
        count += 1
    return count


def joined_input(history: Sequence[Message], body: str) -> str:
    """The input of a request: the last user message's own part, after earlier turns of the conversation."""
    before = "\n".join(f"{role}: {text}" for role, text in history)
    return f"{before}\nuser: {body}" if before else body


@dataclass(frozen=True, slots=True)
class KnownRequest:
    """The fixed part of a kind of request.

    Attributes
    ----------
    fixed
        System messages and example turns, role and text.
    prefix, suffix
        What the last user message begins and ends with, around the input.
    output_format
        Canonical form of the answer asked for (see ``output_format``); ``None`` for plain text.
    is_steady
        Whether dates, times and ids in `fixed` are replaced by ``<...>`` and stand for any.
    """

    fixed: tuple[Message, ...] = ()
    prefix: str = ""
    suffix: str = ""
    output_format: str | None = None
    is_steady: bool = False

    def input_of(self, messages: Sequence[Message], output_format: str | None) -> str | None:
        """The input of a request of this kind, or ``None`` if it is of another.

        Parameters
        ----------
        messages
            Up to and with the last user message.
        output_format
            The form of the answer that the request asks for.
        """
        if output_format != self.output_format or len(messages) <= len(self.fixed):
            return None
        head, rest = messages[: len(self.fixed)], messages[len(self.fixed) :]
        if count_system(messages) != count_system([*self.fixed, rest[-1]]):
            return None
        if not all(self._is_same(one, two) for one, two in zip(head, self.fixed, strict=True)):
            return None
        body = self.body_of(rest[-1][1])
        return None if body is None else joined_input(rest[:-1], body)

    def _is_same(self, message: Message, fixed: Message) -> bool:
        (role, text), (fixed_role, fixed_text) = _normal(message), _normal(fixed)
        if role != fixed_role:
            return False
        if not self.is_steady:
            return text == fixed_text
        # Looking for dates in a text of megabytes takes seconds, and it cannot be the fixed one anyway.
        most = len(fixed_text) + _MOST_CHANGING_CHARS * (1 + fixed_text.count("<...>"))
        return len(text) <= most and steady(text) == fixed_text

    def steadied(self) -> KnownRequest:
        """The same with dates, times and ids of the fixed messages as ``<...>``; itself where there are none."""
        fixed = tuple((role, steady(text)) for role, text in self.fixed)
        return self if fixed == self.fixed else replace(self, fixed=fixed, is_steady=True)

    def body_of(self, user: str) -> str | None:
        """What stands between prefix and suffix, or ``None`` if they are not there or nothing is between."""
        if len(user) <= len(self.prefix) + len(self.suffix):
            return None
        if not (user.startswith(self.prefix) and user.endswith(self.suffix)):
            return None
        return user[len(self.prefix) : len(user) - len(self.suffix)].strip() or None

    @property
    def is_distinct(self) -> bool:
        """Whether there is anything to recognise it by; a bare user message could be of any task."""
        return bool(self.fixed or self.prefix or self.suffix or self.output_format)

    @property
    def system_text(self) -> str:
        """What a person would call the instructions."""
        texts = [text for role, text in self.fixed if role in _SYSTEM]
        around = f"{self.prefix}{{input}}{self.suffix}"
        return "\n".join([*texts, *([around] if around != "{input}" else [])])

    def to_text(self) -> str:
        """One line of JSON, equal for equal templates; :meth:`from_text` reads it back."""
        said = {
            "messages": [{"role": role, "content": text} for role, text in self.fixed],
            "prefix": self.prefix,
            "suffix": self.suffix,
            "output_format": self.output_format,
        }
        return json.dumps({**said, "is_steady": True} if self.is_steady else said, ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str) -> KnownRequest:
        """Read what :meth:`to_text` wrote."""
        given = json.loads(text)
        fixed = tuple((str(one["role"]), str(one["content"])) for one in given["messages"])
        return cls(
            fixed, given["prefix"], given["suffix"], given["output_format"], given.get("is_steady", False)
        )


def _normal(message: Message) -> Message:
    role, text = message
    return ("system" if role in _SYSTEM else role, text.replace("\r\n", "\n").replace("\r", "\n").strip())
