"""Calls as they stream in, held compactly until the task is known.

Texts are kept once where they recur; objects as compact JSON (a parsed object takes several times the
memory). A million short calls take a few hundred megabytes.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from understudy.calls.call import ABSENT, UNKNOWN, Call
from understudy.calls.known_request import KnownRequest
from understudy.dataset.template_counts import TemplateCounts
from understudy.task.sketch import OutputSketch

__all__ = ["CollectedCalls", "Packed", "collect_calls", "unpack"]

Packed = Any
"""A raw answer: a text, number, boolean or None as it is, an object or list as bytes of JSON, or ABSENT."""

_MEMO_SIZE = 200_000
_PROGRESS_ROWS = 20_000
_LEAST_SHARE = 0.01
_COLUMNS = ("time", "cost_usd", "latency_ms", "input_tokens", "output_tokens", "cached_tokens")


def unpack(value: Packed) -> Any:
    """Inverse of packing."""
    return json.loads(value) if isinstance(value, bytes) else value


class CollectedCalls:
    """Columns of raw calls.

    Attributes
    ----------
    ids, inputs, outputs, golds, rationale, splits, models
        One entry per call; a record as input is a pair of names and texts.
    votes, label_probabilities
        Per row where there are any.
    outputs_sketch, golds_sketch
        Summaries for inferring the task.
    templates
        How many calls carry each fixed part of a request.
    """

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.inputs: list[str | tuple[tuple[str, ...], tuple[str, ...]]] = []
        self.outputs: list[Packed] = []
        self.golds: list[Packed] = []
        self.rationale: list[str | None] = []
        self.splits: list[str | None] = []
        self.models: list[str | None] = []
        self.votes: dict[int, bytes] = {}
        self.label_probabilities: dict[int, bytes] = {}
        self.outputs_sketch = OutputSketch()
        self.golds_sketch = OutputSketch()
        self.templates = TemplateCounts()
        self._numbers = {name: array("d") for name in _COLUMNS}
        self._memo: dict[Any, Any] = {}

    def __len__(self) -> int:
        return len(self.ids)

    def column(self, name: str) -> npt.NDArray[np.float64]:
        """A number per call, NaN where unknown."""
        return np.array(self._numbers[name], dtype=np.float64)

    def _same(self, value: Any) -> Any:
        """The copy kept earlier of an equal text."""
        if value is None:
            return None
        kept = self._memo.get(value)
        if kept is None:
            if len(self._memo) < _MEMO_SIZE:
                self._memo[value] = value
            return value
        return kept

    def pack(self, value: Any) -> Packed:
        """A raw answer in its compact form."""
        if isinstance(value, str):
            return self._same(value)
        if value is None or value is ABSENT or value is UNKNOWN or isinstance(value, bool | int | float):
            return value
        return self._same(
            json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str).encode(
                "utf-8", "surrogatepass"
            )
        )

    def add(self, call: Call) -> None:
        """Keep one call."""
        row = len(self.ids)
        self.ids.append(call.id)
        if isinstance(call.input, Mapping):
            self.inputs.append((self._same(tuple(call.input)), tuple(call.input.values())))
            text = "\n".join(call.input.values())
        else:
            self.inputs.append(call.input)
            text = call.input
        self.outputs.append(self.pack(call.output))
        self.golds.append(self.pack(call.gold))
        self.outputs_sketch.add(call.output, text)
        self.golds_sketch.add(call.gold, text)
        self.rationale.append(call.rationale)
        self.splits.append(self._same(call.split))
        self.models.append(self._same(call.model))
        if call.votes:
            self.votes[row] = self.pack(list(call.votes))
        if call.label_probabilities:
            self.label_probabilities[row] = self.pack(dict(call.label_probabilities))
        if call.messages_template is not None:
            self.templates.add(call.messages_template)
        usage = call.usage
        for name, value in zip(
            _COLUMNS,
            (
                call.time,
                call.cost_usd,
                call.latency_ms,
                usage.input_tokens,
                usage.output_tokens,
                usage.cached_tokens,
            ),
            strict=True,
        ):
            self._numbers[name].append(math.nan if value is None else value)

    def take_numbers(self, other: CollectedCalls, rows: Sequence[int]) -> None:
        """The number columns of some rows of `other`."""
        self._numbers = {
            name: array("d", [column[row] for row in rows]) for name, column in other._numbers.items()
        }

    def drop_memo(self) -> None:
        """Free what served only to share equal texts."""
        self._memo = {}

    def system_text(self) -> str:
        """The instructions of the commonest kind of request, or nothing."""
        kinds = self.request_kinds()
        return KnownRequest.from_text(kinds[0]).system_text if kinds else ""

    def request_kinds(self) -> tuple[str, ...]:
        """Kinds of request that make up at least 1 % of the calls, the commonest first."""
        return self.templates.common(max(1.0, _LEAST_SHARE * len(self.ids)))


def collect_calls(
    calls: Iterable[Call], progress: Callable[[str, float | None], None] | None = None
) -> CollectedCalls:
    """Read calls to the end."""
    collected = CollectedCalls()
    for row, call in enumerate(calls, 1):
        collected.add(call)
        if progress is not None and row % _PROGRESS_ROWS == 0:
            progress(f"reading calls ({row:,})", None)
    collected.drop_memo()
    return collected
