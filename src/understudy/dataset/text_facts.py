"""What the texts of a field are like, and which equality a person might set for them. Counts only, no texts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from understudy.task.field import Field
from understudy.text.normalise import compact_text
from understudy.text.numbers import find_numbers

__all__ = ["TextFacts", "text_facts"]

_SAMPLE = 2_000
_LONG_CHARS, _MANY_DIFFERENT, _MOSTLY = 40, 0.5, 0.9
_END = re.compile(r"[\s.。!*)$%€£¥]*\Z")


@dataclass(frozen=True, slots=True)
class TextFacts:
    """Texts of one field.

    Attributes
    ----------
    median_chars, high_chars
        Median and 95th percentile of the length in characters.
    distinct_share
        Different texts per text (white space folded), above 0 and at most 1.
    suggested_metric
        ``numeric`` where long texts end in a number, ``rouge_l`` where long texts rarely occur twice, ``None`` where
        the field has a metric, or equality may do.
    """

    median_chars: int
    high_chars: int
    distinct_share: float
    suggested_metric: str | None

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def text_facts(field: Field, values: Sequence[Any]) -> TextFacts | None:
    """Facts about at most 2,000 texts spread over `values`; ``None`` for other kinds of field, or without texts."""
    texts = [value for value in values if isinstance(value, str)]
    if field.kind != "text" or field.holds_json or not texts:
        return None
    sample = texts[:: max(1, len(texts) // _SAMPLE)]
    lengths = np.array([len(text) for text in sample])
    median = int(np.median(lengths))
    distinct = len({compact_text(text) for text in sample}) / len(sample)
    return TextFacts(
        median, int(np.quantile(lengths, 0.95)), distinct, _suggested(field, sample, median, distinct)
    )


def _suggested(field: Field, sample: Sequence[str], median_chars: int, distinct: float) -> str | None:
    # Short texts (a date, a code) are often composed by a rule, and then equality is what a person wants.
    if (
        field.metric not in ("exact", "normalised")
        or median_chars <= _LONG_CHARS
        or distinct < _MANY_DIFFERENT
    ):
        return None
    n_ending = sum(_ends_in_number(text) for text in sample)
    return "numeric" if n_ending >= _MOSTLY * len(sample) else "rouge_l"


def _ends_in_number(text: str) -> bool:
    tail = text[-60:]
    found = find_numbers(tail)
    return bool(found) and _END.match(tail, found[-1].end) is not None
