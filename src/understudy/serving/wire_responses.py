"""A student's answer in the words of the Responses API, whole and streamed; see ``wire_chat`` for the usage."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from understudy.calls.call import Usage
from understudy.serving.spoken import Spoken
from understudy.serving.wire_chat import sse

__all__ = ["ResponseStream", "response_events", "response_object"]

_BEGUN = "in_progress"
_ECHOED = (
    "instructions",
    "metadata",
    "temperature",
    "top_p",
    "text",
    "tools",
    "tool_choice",
    "max_output_tokens",
    "user",
)


def _usage(usage: Usage | None) -> dict[str, Any]:
    read, written = (0, 0) if usage is None else (usage.input_tokens or 0, usage.output_tokens or 0)
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": read + written,
    }


def _status(spoken: Spoken) -> str:
    return "incomplete" if spoken.is_cut else "completed"


def _item(spoken: Spoken, status: str) -> dict[str, Any]:
    if spoken.tool:
        return {
            "id": f"fc_{spoken.call_id}",
            "type": "function_call",
            "status": status,
            "call_id": f"call_{spoken.call_id}",
            "name": spoken.tool,
            "arguments": "" if status == _BEGUN else spoken.text,
        }
    return {
        "id": f"msg_{spoken.call_id}",
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": [] if status == _BEGUN else [_part(spoken.text)],
    }


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def response_object(
    spoken: Spoken, model: str, body: Mapping[str, Any], *, is_begun: bool = False
) -> dict[str, Any]:
    """The whole reply; or, where it has only `is_begun`, what is known of it then."""
    status = _BEGUN if is_begun else _status(spoken)
    is_cut = spoken.is_cut and not is_begun
    echoed = {name: body.get(name) for name in _ECHOED}
    return {
        "id": f"resp_{spoken.call_id}",
        "object": "response",
        "created_at": int(time.time()),
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
        "model": model,
        **echoed,
        "tools": echoed["tools"] or [],
        "tool_choice": echoed["tool_choice"] or "auto",
        "text": echoed["text"] or {"format": {"type": "text"}},
        "metadata": echoed["metadata"] or {},
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "output": [] if is_begun else [_item(spoken, status)],
        "usage": None if is_begun else _usage(spoken.usage),
    }


class ResponseStream:
    """The events of a streamed reply, in the order in which the API sends them.

    Parameters
    ----------
    call_id, model, fingerprint
        As in :class:`Spoken`; the model's name for the client.
    body
        Of the request.
    """

    def __init__(self, call_id: str, model: str, fingerprint: str, body: Mapping[str, Any]) -> None:
        self._model, self._body = model, body
        self._nothing = Spoken(call_id, "", None, fingerprint)
        self._count = 0
        self._at: dict[str, Any] = {"item_id": f"msg_{call_id}", "output_index": 0, "content_index": 0}

    def _event(self, kind: str, **more: Any) -> bytes:
        made = sse({"type": kind, "sequence_number": self._count, **more}, kind)
        self._count += 1
        return made

    def _open(self, spoken: Spoken) -> bytes:
        begun = response_object(spoken, self._model, self._body, is_begun=True)
        return (
            self._event("response.created", response=begun)
            + self._event("response.in_progress", response=begun)
            + self._event("response.output_item.added", output_index=0, item=_item(spoken, _BEGUN))
        )

    def _close(self, spoken: Spoken) -> bytes:
        whole = response_object(spoken, self._model, self._body)
        item = self._event("response.output_item.done", output_index=0, item=whole["output"][0])
        return item + self._event(f"response.{whole['status']}", response=whole)

    def begin(self) -> bytes:
        """Before the first piece of a text."""
        part = _part("")
        return self._open(self._nothing) + self._event("response.content_part.added", **self._at, part=part)

    def piece(self, text: str) -> bytes:
        """The next piece."""
        return self._event("response.output_text.delta", **self._at, delta=text, logprobs=[])

    def end(self, spoken: Spoken) -> bytes:
        """After the last piece; `spoken` is the whole answer."""
        done = self._event("response.output_text.done", **self._at, text=spoken.text, logprobs=[])
        part = self._event("response.content_part.done", **self._at, part=_part(spoken.text))
        return done + part + self._close(spoken)

    def whole(self, spoken: Spoken) -> Iterator[bytes]:
        """All events of an answer that is known."""
        if not spoken.tool:
            yield from (self.begin(), self.piece(spoken.text), self.end(spoken))
            return
        at: dict[str, Any] = {"item_id": f"fc_{spoken.call_id}", "output_index": 0}
        yield self._open(spoken)
        yield self._event("response.function_call_arguments.delta", **at, delta=spoken.text)
        yield self._event(
            "response.function_call_arguments.done", **at, name=spoken.tool, arguments=spoken.text
        )
        yield self._close(spoken)


def response_events(spoken: Spoken, model: str, body: Mapping[str, Any]) -> Iterator[bytes]:
    """An answer that is known, as events."""
    return ResponseStream(spoken.call_id, model, spoken.fingerprint, body).whole(spoken)
