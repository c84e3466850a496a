"""A task and an input to a chat request, and the reply back to the answer.

The system message is the task's instructions, the user message is the input, the form of the answer is asked for
as a JSON Schema: by ``response_format``, or in words for servers that do not know it. An answer that does not fit
is kept as it came: whoever learns from it counts those.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from understudy.calls.call import InputParts
from understudy.task.field import PLAIN_FIELD
from understudy.task.parse import read_json_text
from understudy.task.task import Task
from understudy.teachers.schema import free_key, is_strict, output_schema

__all__ = ["Prompt", "user_text", "with_input"]

_IN_WORDS = "Answer with one JSON object and nothing else. It must fit this JSON Schema:"


def user_text(task: Task, given: str | Mapping[str, Any], parts: InputParts) -> str:
    """The user message: a text as it is, a record as a line ``name: text`` for each of its texts.

    Parameters
    ----------
    task
        Names the texts.
    given
        The input.
    parts
        The same, as ``Task.parts`` cuts it.
    """
    if isinstance(given, str):
        return given
    return "\n".join(f"{name}: {text}" for name, text in zip(task.input_names, parts, strict=True))


@dataclass(frozen=True, slots=True)
class Prompt:
    """How one task is asked.

    Attributes
    ----------
    task
        What is asked for.
    instructions
        The system message.
    is_plain
        Whether the form of the answer is asked for in words instead of by ``response_format``.
    has_reason
        Whether the teacher says why, before it answers.
    temperature
        As sent; ``None`` leaves it to the server.
    max_tokens
        The longest answer.
    """

    task: Task
    instructions: str
    is_plain: bool = False
    has_reason: bool = False
    temperature: float | None = None
    max_tokens: int = 1024

    @property
    def _reason_key(self) -> str | None:
        return free_key(self.task) if self.has_reason else None

    def template(self, model: str, *, max_tokens_key: str = "max_tokens") -> dict[str, Any]:
        """The request without its input; made once for a job.

        Parameters
        ----------
        model
            The model's name.
        max_tokens_key
            What the server calls the limit of the answer.
        """
        schema = output_schema(self.task, reason_key=self._reason_key)
        system = self.instructions
        body: dict[str, Any] = {"model": model, "messages": [], max_tokens_key: self.max_tokens}
        if self.temperature is not None:
            body["temperature"] = self.temperature
        if self.is_plain:
            system = f"{system}\n\n{_IN_WORDS}\n{json.dumps(schema, ensure_ascii=False)}"
        else:
            name = re.sub(r"[^a-zA-Z0-9_-]", "_", self.task.name)[:64]
            form = {"name": name, "strict": is_strict(self.task), "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        body["messages"] = [{"role": "system", "content": system}]
        return body

    def read(self, text: str) -> tuple[Any, str | None]:
        """The answer in the teacher's shape, as ``learn`` reads it, and the reason if one was asked for.

        A text that is no JSON object stays a text.
        """
        answer = read_json_text(text)
        if not isinstance(answer, Mapping):
            return text, None
        rest = dict(answer)
        reason = None
        if (key := self._reason_key) is not None and isinstance(rest.get(key), str):
            reason = rest.pop(key).strip() or None
        if self.task.is_plain and set(rest) == {PLAIN_FIELD}:
            return rest[PLAIN_FIELD], reason
        return rest, reason


def with_input(template: Mapping[str, Any], user: str) -> dict[str, Any]:
    """A request: the template and the user message."""
    return {**template, "messages": [*template["messages"], {"role": "user", "content": user}]}
