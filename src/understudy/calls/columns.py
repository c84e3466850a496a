"""Which column of a record becomes which attribute of a call: names, aliases and the user's ``--map``.

A mapping names the target attribute and the source column: ``{"output": "teacher_label"}``. Dotted sources reach
into objects. A record that names several texts as its input is mapped by ``input.NAME``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from understudy.calls.call import ABSENT
from understudy.calls.records import Record
from understudy.errors import ConfigError

__all__ = ["ATTRIBUTES", "ColumnMap"]

ATTRIBUTES: tuple[str, ...] = (
    "cached_tokens",
    "cost_usd",
    "gold",
    "id",
    "input",
    "input_tokens",
    "label_probabilities",
    "latency_ms",
    "model",
    "output",
    "output_tokens",
    "rationale",
    "split",
    "time",
    "usage",
    "votes",
)
"""What a column can be mapped to."""

_ALIASES: dict[str, tuple[str, ...]] = {
    "cost_usd": ("cost_usd",),
    "id": ("id", "custom_id"),
    "input": ("input", "prompt"),
    "output": ("output", "completion"),
    "time": ("time", "timestamp", "created_at", "created"),
}
"""Names read without a mapping; every other attribute is read from the column of its own name."""

Getter = Callable[[Record], Any]


def _dotted(record: Any, steps: Sequence[str]) -> Any:
    for step in steps:
        if not isinstance(record, dict) or step not in record:
            return ABSENT
        record = record[step]
    return record


def _getter(source: str) -> Getter:
    steps = source.split(".")
    if len(steps) == 1:
        return lambda record: record.get(source, ABSENT)

    def get(record: Record) -> Any:
        # A column may have a dot in its name; that reading comes first.
        return record[source] if source in record else _dotted(record, steps)

    return get


@dataclass(slots=True)
class ColumnMap:
    """Gets attributes out of records, and remembers which mapped columns were ever there.

    Attributes
    ----------
    mapping
        Target attribute (or ``input.NAME``) to source column.
    """

    mapping: Mapping[str, str]
    input_names: tuple[str, ...] = ()
    missing: set[str] = field(default_factory=set)
    _getters: dict[str, list[Getter]] = field(default_factory=dict)

    @classmethod
    def of(cls, mapping: Mapping[str, str] | None) -> ColumnMap:
        """Check a user's mapping.

        Raises
        ------
        ConfigError
            If a target is unknown, or the input is mapped both whole and by parts.
        """
        mapping = dict(mapping or {})
        names = tuple(target.removeprefix("input.") for target in mapping if target.startswith("input."))
        for target, source in mapping.items():
            if target not in ATTRIBUTES and not (target.startswith("input.") and len(target) > 6):
                raise ConfigError(
                    "a column is mapped to something a call does not have",
                    given=f"{target}={source}",
                    todo=f"map to one of {', '.join(ATTRIBUTES)}, or input.NAME",
                )
            if not source:
                raise ConfigError(
                    "a mapping has no column", given=f"{target}=", todo="for example output=label"
                )
        if names and "input" in mapping:
            raise ConfigError("the input is mapped both whole and by parts", todo="use one of the two")
        made = cls(mapping, names, set(mapping))
        for attribute in (*ATTRIBUTES, *(f"input.{name}" for name in names)):
            sources = (mapping[attribute],) if attribute in mapping else _ALIASES.get(attribute, (attribute,))
            made._getters[attribute] = [_getter(source) for source in sources]
        return made

    def get(self, record: Record, attribute: str) -> Any:
        """The attribute's value in `record`, or ABSENT."""
        for getter in self._getters[attribute]:
            value = getter(record)
            if value is not ABSENT:
                if attribute in self.missing:
                    self.missing.discard(attribute)
                return value
        return ABSENT

    def check_all_seen(self, columns: Sequence[str]) -> None:
        """After the last record: a mapped column that no record had is a mistake.

        Raises
        ------
        ConfigError
            Naming the columns that were seen.
        """
        if self.missing:
            targets = sorted(self.missing)
            raise ConfigError(
                "no call has a column that was mapped",
                given=", ".join(f"{target}={self.mapping[target]}" for target in targets),
                todo=f"columns seen: {', '.join(columns) or '(none)'}",
            )
