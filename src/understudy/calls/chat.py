"""OpenAI-style requests and responses to calls: chat completions, stored completions, fine-tuning lines,
Responses.

A record may nest the request (``request``, ``body``, ``kwargs``) or carry ``messages`` at its top, and the
answer as a full response (``choices``), a message, or a plain value. Structured answers (a tool call, a
JSON response format) come out parsed. Token log-probabilities are used only where the answer is a single
token: for longer labels the log does not say how likely the others were. It does not know which part of a
request is fixed: see ``template``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from understudy.calls.call import ABSENT, Usage
from understudy.calls.columns import ColumnMap
from understudy.calls.known_request import Message
from understudy.calls.output_format import output_format, wants_json
from understudy.calls.plain import call_id, check_text, side_facts, usage_of
from understudy.calls.records import Record, strict_loads
from understudy.calls.report import LineRefusedError

__all__ = ["ChatExchange", "chat_exchange", "is_chat", "request_messages"]

_REQUEST_KEYS = ("request", "body", "kwargs", "input")
_RESPONSE_KEYS = ("response", "completion", "output", "answer")


@dataclass(frozen=True, slots=True)
class ChatExchange:
    """One request and its answer, before the fixed part of the request is told from the input.

    Attributes
    ----------
    id
        The record's own, or empty.
    messages
        Up to and with the last user message.
    output
        The answer: text, parsed JSON, or ABSENT.
    votes
        Further choices (n > 1).
    label_probabilities
        Where the answer is one token with log-probabilities.
    facts
        The call's other attributes.
    output_format
        The form of the answer that the request asks for; ``None`` for plain text.
    """

    id: str
    messages: tuple[Message, ...]
    output: Any
    votes: tuple[Any, ...]
    label_probabilities: dict[str, float] | None
    facts: dict[str, Any]
    output_format: str | None = None


def is_chat(record: Record) -> bool:
    """Whether a record looks like a chat request."""
    return _request(record) is not None


def _request(record: Record) -> Mapping[str, Any] | None:
    for candidate in (record, *(record.get(key) for key in _REQUEST_KEYS)):
        if isinstance(candidate, list) and candidate and _is_message(candidate[0]):
            return {"messages": candidate}
        if not isinstance(candidate, Mapping):
            continue
        body = candidate.get("body")
        for holder in (body, candidate):
            if isinstance(holder, Mapping) and isinstance(holder.get("messages"), list):
                return holder
        if candidate is not record and "instructions" in candidate and "input" in candidate:
            return candidate
    return None


def _is_message(value: Any) -> bool:
    return isinstance(value, Mapping) and "role" in value and "content" in value


def _content_text(content: Any) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = []
        for part in content:
            if isinstance(part, str):
                texts.append(part)
            elif isinstance(part, Mapping) and isinstance(part.get("text"), str):
                texts.append(part["text"])
            else:
                raise LineRefusedError("input is not only text (image, audio or file)")
        return "\n".join(texts)
    raise LineRefusedError("a message has no text")


def request_messages(request: Mapping[str, Any]) -> list[Message]:
    """Roles and texts of a chat or Responses request.

    Raises
    ------
    LineRefusedError
        If a message is not text.
    """
    raw = request.get("messages")
    if raw is None:
        given = request.get("input")
        raw = given if isinstance(given, list) else [{"role": "user", "content": given}]
        if request.get("instructions"):
            raw = [{"role": "system", "content": request["instructions"]}, *raw]
    messages = []
    for message in raw:
        if not isinstance(message, Mapping):
            raise LineRefusedError("a message is not an object")
        if "content" not in message and not message.get("tool_calls"):
            raise LineRefusedError("a message has no text")
        messages.append((str(message.get("role", "user")), _content_text(message.get("content"))))
    return messages


def _parsed_json(text: str) -> Any:
    try:
        return strict_loads(text)
    except (ValueError, LineRefusedError):
        return text  # Off-schema later, and counted there.


def _tool_answer(calls: Any, request: Mapping[str, Any]) -> Any:
    if not isinstance(calls, Sequence) or not calls:
        return ABSENT
    answers = []
    for call in calls:
        function = call.get("function", call) if isinstance(call, Mapping) else {}
        arguments = function.get("arguments")
        parsed = _parsed_json(arguments) if isinstance(arguments, str) else arguments
        answers.append((str(function.get("name", "")), parsed))
    if len(answers) > 1:
        return [{"tool": name, "arguments": arguments} for name, arguments in answers]
    name, arguments = answers[0]
    tools = request.get("tools") or request.get("functions") or ()
    # With several tools on offer, which one was chosen is part of the answer.
    return {"tool": name, "arguments": arguments} if len(tools) > 1 else arguments


def _message_answer(message: Mapping[str, Any], request: Mapping[str, Any]) -> Any:
    if message.get("tool_calls"):
        return _tool_answer(message["tool_calls"], request)
    if isinstance(message.get("function_call"), Mapping):
        return _tool_answer([message["function_call"]], request)
    if message.get("parsed") is not None:
        return message["parsed"]
    content = message.get("content")
    if content is None:
        refusal = message.get("refusal")
        return refusal if isinstance(refusal, str) else ABSENT
    text = _content_text(content)
    return _parsed_json(text) if wants_json(request) else text


def _label_probabilities(choice: Mapping[str, Any]) -> dict[str, float] | None:
    logprobs = choice.get("logprobs")
    tokens = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    if not isinstance(tokens, list) or len(tokens) != 1 or not isinstance(tokens[0], Mapping):
        return None
    shares: dict[str, float] = {}
    for token in [tokens[0], *(tokens[0].get("top_logprobs") or ())]:
        text, logprob = str(token.get("token", "")).strip(), token.get("logprob")
        if not text or not isinstance(logprob, int | float) or logprob > 1e-6:
            continue
        # The chosen token stands in the list of top tokens too; two tokens may differ in white space alone.
        key = str(token.get("token"))
        shares[key] = math.exp(min(0.0, logprob))
    merged: dict[str, float] = {}
    for key, share in shares.items():
        merged[key.strip()] = merged.get(key.strip(), 0.0) + share
    return merged or None


def _responses_api_answer(response: Mapping[str, Any], request: Mapping[str, Any]) -> Any:
    texts, calls = [], []
    for item in response["output"]:
        if not isinstance(item, Mapping):
            continue
        if item.get("type") == "function_call":
            calls.append(item)
        elif item.get("type", "message") == "message":
            texts.append(_content_text(item.get("content")))
    if calls:
        return _tool_answer(calls, request)
    if not texts:
        return ABSENT
    text = "\n".join(texts)
    return _parsed_json(text) if wants_json(request) else text


@dataclass(frozen=True, slots=True)
class _Answer:
    output: Any = ABSENT
    votes: tuple[Any, ...] = ()
    label_probabilities: dict[str, float] | None = None
    usage: Usage | None = None
    model: str | None = None
    created: float | None = None


def _answer(record: Record, request: Mapping[str, Any]) -> _Answer:
    given: Any = record if isinstance(record.get("choices"), list) else ABSENT
    for key in _RESPONSE_KEYS:
        if given is ABSENT and key in record and record[key] is not request:
            given = record[key]
    if given is ABSENT:
        return _Answer()
    if isinstance(given, Mapping) and isinstance(given.get("body"), Mapping):
        status = given.get("status_code", 200)
        given = given["body"]
        if status != 200:
            raise LineRefusedError("the response is an error")
    if not isinstance(given, Mapping):
        return _Answer(given if given is not None else ABSENT)
    if given.get("error"):
        raise LineRefusedError("the response is an error")
    if isinstance(given.get("choices"), list):
        return _choices_answer(given, request)
    if isinstance(given.get("output"), list):
        output = _responses_api_answer(given, request)
        return _Answer(output, (), None, usage_of(given.get("usage")), _name(given), _created(given))
    if "content" in given or "tool_calls" in given:
        return _Answer(_message_answer(given, request))
    return _Answer(dict(given))


def _choices_answer(response: Mapping[str, Any], request: Mapping[str, Any]) -> _Answer:
    choices = [choice for choice in response["choices"] if isinstance(choice, Mapping)]
    if not choices:
        raise LineRefusedError("the response has no choices")
    answers = []
    for choice in choices:
        message = choice.get("message")
        answers.append(
            _message_answer(message, request) if isinstance(message, Mapping) else choice.get("text", ABSENT)
        )
    known = [answer for answer in answers[1:] if answer is not ABSENT]
    shares = _label_probabilities(choices[0])
    usage = usage_of(response.get("usage"))
    return _Answer(answers[0], tuple(known), shares, usage, _name(response), _created(response))


def _name(response: Mapping[str, Any]) -> str | None:
    model = response.get("model")
    return model if isinstance(model, str) and model else None


def _created(response: Mapping[str, Any]) -> float | None:
    created = response.get("created", response.get("created_at"))
    is_number = isinstance(created, int | float) and not isinstance(created, bool)
    return float(created) if is_number else None


def chat_exchange(record: Record, columns: ColumnMap) -> ChatExchange:
    """Read one chat record.

    Raises
    ------
    LineRefusedError
        If it has no user message, is not text, or the response is an error.
    """
    request = _request(record)
    if request is None:
        raise LineRefusedError("no messages")
    messages = request_messages(request)
    last = max((at for at, (role, _) in enumerate(messages) if role == "user"), default=-1)
    if last < 0:
        raise LineRefusedError("no user message")
    if not messages[last][1].strip():
        raise LineRefusedError("empty input")
    for _, text in messages:
        check_text(text)
    answer = _answer(record, request)
    if answer.output is ABSENT and last + 1 < len(messages):
        raw = request["messages"][last + 1]
        answer = _Answer(_message_answer(raw, request))
    values = columns.values(record)
    facts = _facts(values, request, answer)
    # The columns input and output of a chat record hold messages; only a mapping makes them the answer.
    output = values.get("output", ABSENT) if "output" in columns.mapping else answer.output
    votes = facts.pop("votes", ()) or answer.votes
    shares = facts.pop("label_probabilities", None) or answer.label_probabilities
    identity = call_id(values, "")
    asked = output_format(request)
    return ChatExchange(identity, tuple(messages[: last + 1]), output, votes, shares, facts, asked)


def _facts(values: Mapping[str, Any], request: Mapping[str, Any], answer: _Answer) -> dict[str, Any]:
    facts = side_facts(values)
    if "usage" not in facts and answer.usage is not None:
        facts["usage"] = answer.usage
    if facts.get("model") is None:
        facts["model"] = answer.model or _name(request)
    if facts.get("time") is None and answer.created is not None:
        facts["time"] = answer.created
    return facts
