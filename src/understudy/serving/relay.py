"""Passes an upstream's reply on, and notes what the ledger and the comparison need: usage and text.

The client gets the bytes as they came. Of a stream the last event is held back until the call is written down, so
that a client that has seen the end has a row in the ledger.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from understudy.calls.call import Usage
from understudy.serving.client import Reply
from understudy.serving.recorder import usage_of_reply

__all__ = ["StreamNotes", "events_of", "reply_json"]

_MOST_NOTED_CHARS = 1_000_000
_MOST_EVENT_BYTES = 8_000_000


async def events_of(reply: Reply) -> AsyncIterator[bytes]:
    """A stream of server-sent events, cut at their ends; what follows the last blank line comes last."""
    rest = b""
    async for piece in reply.pieces():
        rest += piece
        while (end := _event_end(rest)) > 0:
            yield rest[:end]
            rest = rest[end:]
        if len(rest) > _MOST_EVENT_BYTES:  # no event this long: pass it on as it is
            yield rest
            rest = b""
    if rest:
        yield rest


def _event_end(data: bytes) -> int:
    ends = [at + len(mark) for mark in (b"\n\n", b"\r\n\r\n", b"\r\r") if (at := data.find(mark)) >= 0]
    return min(ends, default=0)


class StreamNotes:
    """What a stream said: its usage, and the text of its first choice."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.has_ended = False
        self._pieces: list[str] = []
        self._arguments: list[str] = []
        self._tool = ""
        self._size = 0
        self._response: Mapping[str, Any] | None = None

    def read(self, event: bytes) -> None:
        """Take note of one event; what is not understood is passed over."""
        data = b"\n".join(
            line[5:].strip() for line in event.replace(b"\r", b"\n").split(b"\n") if line.startswith(b"data:")
        )
        if data == b"[DONE]":
            self.has_ended = True
            return
        try:
            said = json.loads(data)
        except (ValueError, RecursionError):
            return
        if not isinstance(said, Mapping):
            return
        if isinstance(said.get("response"), Mapping):
            if said.get("type") in ("response.completed", "response.incomplete", "response.failed"):
                self.has_ended, self._response = True, said["response"]
                self.usage = usage_of_reply(said["response"]) or self.usage
            return
        self.usage = usage_of_reply(said) or self.usage
        self._read_choices(said.get("choices"))

    def _read_choices(self, choices: Any) -> None:
        for choice in choices if isinstance(choices, list) else ():
            delta = choice.get("delta") if isinstance(choice, Mapping) else None
            if (
                not isinstance(delta, Mapping)
                or choice.get("index", 0) != 0
                or self._size > _MOST_NOTED_CHARS
            ):
                continue
            if isinstance(delta.get("content"), str):
                self._pieces.append(delta["content"])
                self._size += len(delta["content"])
            for call in delta.get("tool_calls") or ():
                function = call.get("function") if isinstance(call, Mapping) else None
                if isinstance(function, Mapping) and isinstance(function.get("name"), str):
                    self._tool = self._tool or function["name"]
                if isinstance(function, Mapping) and isinstance(function.get("arguments"), str):
                    self._arguments.append(function["arguments"])
                    self._size += len(function["arguments"])

    def as_reply(self) -> dict[str, Any] | None:
        """The reply that was streamed, in the shape of a whole one; ``None`` where it said nothing."""
        if self._response is not None:
            return dict(self._response)
        if not self._pieces and not self._arguments:
            return None
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self._pieces) or None}
        if self._arguments:
            function = {"name": self._tool, "arguments": "".join(self._arguments)}
            message["tool_calls"] = [{"type": "function", "function": function}]
        return {"choices": [{"index": 0, "message": message}]}


def reply_json(content: bytes, content_type: str) -> Any:
    """Parsed JSON of a whole reply, or ``None`` if it is none."""
    if "json" not in content_type:
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
