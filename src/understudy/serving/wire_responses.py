"""A student's answer in the words of the Responses API, whole and streamed; see ``wire_chat`` for the usage."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from understudy.serving.spoken import Spoken
from understudy.serving.wire_chat import sse

__all__ = ["response_events", "response_object"]

_NO_USAGE = {
    "input_tokens": 0,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 0,
}
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


def _item(spoken: Spoken, status: str) -> dict[str, Any]:
    if spoken.tool:
        return {
            "id": f"fc_{spoken.call_id}",
            "type": "function_call",
            "status": status,
            "call_id": f"call_{spoken.call_id}",
            "name": spoken.tool,
            "arguments": spoken.text if status == "completed" else "",
        }
    return {
        "id": f"msg_{spoken.call_id}",
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": [_part(spoken.text)] if status == "completed" else [],
    }


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def response_object(
    spoken: Spoken, model: str, body: Mapping[str, Any], *, status: str = "completed"
) -> dict[str, Any]:
    """The whole reply."""
    echoed = {name: body.get(name) for name in _ECHOED}
    return {
        "id": f"resp_{spoken.call_id}",
        "object": "response",
        "created_at": int(time.time()),
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": model,
        **echoed,
        "tools": echoed["tools"] or [],
        "tool_choice": echoed["tool_choice"] or "auto",
        "text": echoed["text"] or {"format": {"type": "text"}},
        "metadata": echoed["metadata"] or {},
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "output": [_item(spoken, "completed")] if status == "completed" else [],
        "usage": _NO_USAGE if status == "completed" else None,
    }


def response_events(spoken: Spoken, model: str, body: Mapping[str, Any]) -> Iterator[bytes]:
    """The reply as events, in the order in which the API sends them."""
    count = 0

    def event(kind: str, **more: Any) -> bytes:
        nonlocal count
        made = sse({"type": kind, "sequence_number": count, **more}, kind)
        count += 1
        return made

    begun = response_object(spoken, model, body, status="in_progress")
    yield event("response.created", response=begun)
    yield event("response.in_progress", response=begun)
    yield event("response.output_item.added", output_index=0, item=_item(spoken, "in_progress"))
    done = _item(spoken, "completed")
    at: dict[str, Any] = {"item_id": done["id"], "output_index": 0}
    if spoken.tool:
        yield event("response.function_call_arguments.delta", **at, delta=spoken.text)
        yield event("response.function_call_arguments.done", **at, name=spoken.tool, arguments=spoken.text)
    else:
        at["content_index"] = 0
        yield event("response.content_part.added", **at, part=_part(""))
        yield event("response.output_text.delta", **at, delta=spoken.text, logprobs=[])
        yield event("response.output_text.done", **at, text=spoken.text, logprobs=[])
        yield event("response.content_part.done", **at, part=_part(spoken.text))
    yield event("response.output_item.done", output_index=0, item=done)
    yield event("response.completed", response=response_object(spoken, model, body))
