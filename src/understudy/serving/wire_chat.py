"""A student's answer in the words of the chat completions API, whole and streamed.

``usage`` counts the tokens that a student read and wrote, by its own tokeniser. Of one that is no language model, and
of an answer known by heart, it counts zero: none were read or written. None will be billed in any case.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from understudy.calls.call import Usage
from understudy.serving.spoken import Spoken

__all__ = ["ChatStream", "chat_chunks", "chat_completion", "sse"]


def sse(data: Any, event: str | None = None) -> bytes:
    """One server-sent event."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {text}\n\n".encode()


def _usage(usage: Usage | None) -> dict[str, int]:
    read, written = (0, 0) if usage is None else (usage.input_tokens or 0, usage.output_tokens or 0)
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _finish(spoken: Spoken) -> str:
    return "tool_calls" if spoken.tool else "length" if spoken.is_cut else "stop"


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
            "finish_reason": _finish(spoken),
        }
        for at in range(n)
    ]
    envelope = _envelope("chat.completion", spoken.call_id, model, spoken.fingerprint)
    return {**envelope, "choices": choices, "usage": _usage(spoken.usage)}


class ChatStream:
    """The events of a streamed reply: role, pieces and end of each choice, then the usage if asked for, then the mark.

    Parameters
    ----------
    call_id, model, fingerprint
        As in :class:`Spoken`; the model's name for the client.
    has_usage
        Whether the stream ends with the usage.
    """

    def __init__(self, call_id: str, model: str, fingerprint: str, *, has_usage: bool) -> None:
        self._envelope = _envelope("chat.completion.chunk", call_id, model, fingerprint)
        self._tail: dict[str, Any] = {"usage": None} if has_usage else {}

    def _chunk(
        self, delta: Mapping[str, Any], at: int, finish: str | None = None, logprobs: Any = None
    ) -> bytes:
        choice = {"index": at, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return sse({**self._envelope, "choices": [choice], **self._tail})

    def begin(self) -> bytes:
        """Before the first piece of a text."""
        return self._chunk({"role": "assistant", "content": ""}, 0)

    def piece(self, text: str) -> bytes:
        """The next piece."""
        return self._chunk({"content": text}, 0)

    def end(self, spoken: Spoken) -> bytes:
        """After the last piece; `spoken` is the whole answer."""
        return self._chunk({}, 0, _finish(spoken)) + self._close(spoken)

    def whole(self, spoken: Spoken, n: int) -> Iterator[bytes]:
        """All events of an answer that is known."""
        for at in range(n):
            message = _message(spoken, at)
            yield self._chunk({"role": "assistant", "content": None if spoken.tool else ""}, at)
            if spoken.tool:
                calls = [{"index": 0, **call} for call in message["tool_calls"]]
                yield self._chunk({"tool_calls": calls}, at)
            else:
                yield self._chunk({"content": spoken.text}, at, logprobs=spoken.logprobs)
            yield self._chunk({}, at, _finish(spoken))
        yield self._close(spoken)

    def _close(self, spoken: Spoken) -> bytes:
        usage = {**self._envelope, "choices": [], "usage": _usage(spoken.usage)}
        return (sse(usage) if self._tail else b"") + sse("[DONE]")


def chat_chunks(spoken: Spoken, model: str, n: int, *, has_usage: bool) -> Iterator[bytes]:
    """An answer that is known, as events."""
    return ChatStream(spoken.call_id, model, spoken.fingerprint, has_usage=has_usage).whole(spoken, n)
