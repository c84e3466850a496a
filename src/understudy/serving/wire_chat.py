"""A student's answer in the words of the chat completions API, whole and streamed.

``usage`` counts zero tokens: no language model read or wrote any, and none will be billed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from understudy.serving.spoken import Spoken

__all__ = ["chat_chunks", "chat_completion", "sse"]

_NO_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def sse(data: Any, event: str | None = None) -> bytes:
    """One server-sent event."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {text}\n\n".encode()


def _envelope(kind: str, call_id: str, model: str, fingerprint: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{call_id}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
        "system_fingerprint": fingerprint,
    }


def _message(spoken: Spoken, choice: int) -> dict[str, Any]:
    calls = [
        {
            "id": f"call_{spoken.call_id}{choice}",
            "type": "function",
            "function": {"name": spoken.tool, "arguments": spoken.text},
        }
    ]
    message: dict[str, Any] = {"role": "assistant", "content": None if spoken.tool else spoken.text}
    if spoken.tool:
        message["tool_calls"] = calls
    return {**message, "refusal": None}


def chat_completion(spoken: Spoken, model: str, n: int) -> dict[str, Any]:
    """The whole reply."""
    choices = [
        {
            "index": at,
            "message": _message(spoken, at),
            "logprobs": spoken.logprobs,
            "finish_reason": "tool_calls" if spoken.tool else "stop",
        }
        for at in range(n)
    ]
    envelope = _envelope("chat.completion", spoken.call_id, model, spoken.fingerprint)
    return {**envelope, "choices": choices, "usage": _NO_USAGE}


def chat_chunks(spoken: Spoken, model: str, n: int, *, has_usage: bool) -> Iterator[bytes]:
    """The reply as events: role, answer and end of each choice, then the usage if asked for, then the mark."""
    envelope = _envelope("chat.completion.chunk", spoken.call_id, model, spoken.fingerprint)
    tail: dict[str, Any] = {"usage": None} if has_usage else {}

    def chunk(at: int, delta: dict[str, Any], finish: str | None = None, logprobs: Any = None) -> bytes:
        choice = {"index": at, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return sse({**envelope, "choices": [choice], **tail})

    for at in range(n):
        message = _message(spoken, at)
        yield chunk(at, {"role": "assistant", "content": None if spoken.tool else ""})
        if spoken.tool:
            yield chunk(at, {"tool_calls": [{"index": 0, **call} for call in message["tool_calls"]]})
        else:
            yield chunk(at, {"content": spoken.text}, logprobs=spoken.logprobs)
        yield chunk(at, {}, "tool_calls" if spoken.tool else "stop")
    if has_usage:
        yield sse({**envelope, "choices": [], "usage": _NO_USAGE})
    yield sse("[DONE]")
