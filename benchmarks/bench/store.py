"""Finished rows in a JSON-lines file, appended one by one: a killed run goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["Store"]


class Store:
    """Results on disk.

    Parameters
    ----------
    path
        The JSONL file; made with its folder on the first :meth:`add`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def _all(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        out = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                out.append(json.loads(line))
            except ValueError:
                continue  # the line that a killed run left half written
        return out

    def latest(self, *, quick: bool) -> dict[str, dict[str, Any]]:
        """The newest result per row name."""
        return {one["name"]: one for one in self._all() if one["quick"] == quick}

    def find(self, name: str, *, quick: bool, key: str) -> dict[str, Any] | None:
        """The newest result of row `name` if it was measured with the same `key`."""
        one = self.latest(quick=quick).get(name)
        return one if one is not None and one["key"] == key else None

    def add(self, result: dict[str, Any]) -> None:
        """Append one result."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        is_torn = (
            self.path.exists() and not self.path.read_bytes().endswith(b"\n") and self.path.stat().st_size > 0
        )
        with self.path.open("a", encoding="utf-8") as out:
            out.write(("\n" if is_torn else "") + json.dumps(result, ensure_ascii=False) + "\n")
