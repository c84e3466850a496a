"""A request as the server understands it: chat completions and Responses under one form.

What is not understood is not an error: it goes upstream as it came. ``blocker`` names what a student's answer could
not honour (audio, a stored conversation ...), so that such a request goes upstream too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from understudy.calls.chat import request_messages
from understudy.calls.known_request import Message
from understudy.calls.output_format import output_format
from understudy.calls.report import LineRefusedError
from understudy.serving.problems import RequestProblem

__all__ = ["Asked", "parse_body", "read_request"]

Api = Literal["chat", "responses"]
_APIS: Mapping[str, Api] = {"chat/completions": "chat", "responses": "responses"}
_BLOCKING = (
    "audio", "web_search_options", "prediction", "previous_response_id",
    "conversation", "background", "prompt", "include",
)  # fmt: skip
_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_MOST_CHOICES = 128
_MOST_LOGPROBS = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """One request.

    Attributes
    ----------
    api
        Which API it came by.
    body
        Parsed JSON.
    model
        As asked for, or ``None``.
    messages
        Roles and texts up to and with the last user message; empty where a message is not text.
    output_format
        Canonical form of the answer asked for.
    n, is_streamed, has_usage
        Choices; server-sent events; whether a stream ends with the usage.
    stops
        Texts before which the answer ends.
    most_tokens
        The longest answer that is wanted; ``None`` for any.
    n_logprobs
        Answers to list with their log-probabilities, 0 to 20; ``None`` where none are asked for.
    blocker
        Why no student may answer it, or ``None``.
    """

    api: Api
    body: Mapping[str, Any]
    model: str | None
    messages: tuple[Message, ...]
    output_format: str | None
    n: int
    is_streamed: bool
    has_usage: bool
    stops: tuple[str, ...]
    most_tokens: int | None
    n_logprobs: int | None
    blocker: str | None


def parse_body(data: bytes) -> Any:
    """JSON of a request.

    Raises
    ------
    RequestProblem
        400 if it is none.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RequestProblem(400, "invalid_json", "The body of the request is not valid JSON.") from error


def read_request(path: str, body: Any) -> Asked | None:
    """Understand the body of a request to `path` (without ``/v1/``); ``None`` if it is of no kind known here."""
    api = _APIS.get(path)
    if api is None or not isinstance(body, Mapping):
        return None
    messages, blocker = _messages(body), _blocker(body)
    model = body.get("model")
    n = body.get("n", 1)
    if not isinstance(n, int) or isinstance(n, bool) or not 1 <= n <= _MOST_CHOICES:
        n, blocker = 1, blocker or "n"
    stops = body.get("stop") or ()
    stops = (stops,) if isinstance(stops, str) else stops
    if not isinstance(stops, list | tuple) or not all(isinstance(stop, str) for stop in stops):
        stops, blocker = (), blocker or "stop"
    most_tokens, is_limit_clear = _most_tokens(body)
    blocker = blocker if is_limit_clear else blocker or "max_tokens"
    n_logprobs, is_clear = _logprobs(body, api)
    blocker = blocker if is_clear else blocker or "logprobs"
    options = body.get("stream_options")
    return Asked(
        api=api,
        body=body,
        model=model if isinstance(model, str) else None,
        messages=messages,
        output_format=output_format(body),
        n=n,
        is_streamed=body.get("stream") is True,
        has_usage=isinstance(options, Mapping) and options.get("include_usage") is True,
        stops=tuple(stops),
        most_tokens=most_tokens,
        n_logprobs=n_logprobs,
        blocker=blocker if messages else blocker or "messages",
    )


def _most_tokens(body: Mapping[str, Any]) -> tuple[int | None, bool]:
    """The least of the limits that are set, and whether all of them are limits."""
    given = [body[name] for name in _LIMITS if body.get(name) is not None]
    if not all(isinstance(one, int) and not isinstance(one, bool) and one > 0 for one in given):
        return None, False
    return min(given, default=None), True


def _logprobs(body: Mapping[str, Any], api: Api) -> tuple[int | None, bool]:
    """How many log-probabilities are asked for, and whether that is clear; what is not is the upstream's to refuse."""
    most = body.get("top_logprobs")
    if not body.get("logprobs"):
        return None, not most
    if most is None:
        most = 0
    is_count = isinstance(most, int) and not isinstance(most, bool) and 0 <= most <= _MOST_LOGPROBS
    is_clear = api == "chat" and body["logprobs"] is True and is_count
    return (most, True) if is_clear else (None, False)


def _messages(body: Mapping[str, Any]) -> tuple[Message, ...]:
    try:
        messages = request_messages(body)
    except (LineRefusedError, TypeError):
        return ()
    last = max((at for at, (role, _) in enumerate(messages) if role == "user"), default=-1)
    # A request that ends in a tool's result or a begun answer asks for something else than the first answer.
    is_last = messages and last == len(messages) - 1
    return tuple(messages) if is_last and messages[last][1].strip() else ()


def _blocker(body: Mapping[str, Any]) -> str | None:
    for name in _BLOCKING:
        if body.get(name):
            return name
    modalities = body.get("modalities")
    if isinstance(modalities, list) and modalities != ["text"]:
        return "modalities"
    return None
