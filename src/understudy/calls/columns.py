"""Which column of a record becomes which attribute of a call: names, aliases and the user's ``--map``.

A mapping names the target attribute and the source column: ``{"output": "teacher_label"}``. Dotted sources
reach into objects. A record that names several texts as its input is mapped by ``input.NAME``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


@dataclass(slots=True)
class ColumnMap:
    """Gets attributes out of records, and remembers which mapped columns were ever there.

    Attributes
    ----------
    mapping
        Target attribute (or ``input.NAME``) to source column.
    input_names
        The NAMEs of the targets ``input.NAME``, in order.
    missing
        Mapped targets whose column no record has had so far.
    """

    mapping: Mapping[str, str]
    input_names: tuple[str, ...] = ()
    missing: set[str] = field(default_factory=set)
    _by_key: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    _dotted: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

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
        made._index()
        return made

    def _index(self) -> None:
        """Sort sources by key, so that a record is walked once, however many attributes there are."""
        claimed = set(self.mapping.values())
        for attribute in (*ATTRIBUTES, *(f"input.{name}" for name in self.input_names)):
            is_mapped = attribute in self.mapping
            sources = (self.mapping[attribute],) if is_mapped else _ALIASES.get(attribute, (attribute,))
            for rank, source in enumerate(sources):
                if not is_mapped and source in claimed:
                    continue  # `output=gold` makes that column the output, and not the gold answer as well
                self._by_key.setdefault(source, []).append((rank, attribute))
                if "." in source:
                    # A column may have a dot in its name; that reading comes first.
                    self._dotted.append((attribute, tuple(source.split("."))))

    def values(self, record: Record) -> dict[str, Any]:
        """The attributes that `record` has."""
        found: dict[str, Any] = {}
        ranks: dict[str, int] = {}
        for key, value in record.items():
            for rank, attribute in self._by_key.get(key, ()):
                if rank < ranks.get(attribute, len(_ALIASES)):
                    found[attribute], ranks[attribute] = value, rank
        for attribute, steps in self._dotted:
            if attribute not in found and (value := _reach(record, steps)) is not ABSENT:
                found[attribute] = value
        if self.missing:
            self.missing.difference_update(found)
        return found

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


def _reach(record: Any, steps: Sequence[str]) -> Any:
    for step in steps:
        if not isinstance(record, dict) or step not in record:
            return ABSENT
        record = record[step]
    return record
