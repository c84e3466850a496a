"""Published sets of scaling-law constants, each with its source and the range it was fitted on.

They stand in ``constants.toml`` beside this file. Which set is used can change an answer twofold, so results
carry the name. A loss under one set says nothing about a loss under another: tokenisers and texts differ.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from understudy.economics.scaling.law import ScalingLaw
from understudy.errors import ConfigError

__all__ = ["DEFAULT_CONSTANTS", "Constants", "constants", "constants_names", "outside_range", "scaling_law"]

DEFAULT_CONSTANTS = "besiroglu2024"
"""The converged fit of approach 3, which agrees with approaches 1 and 2 of Hoffmann et al. 2022."""


@dataclass(frozen=True, slots=True)
class Constants:
    """One published set.

    Attributes
    ----------
    name
        As in ``constants.toml``.
    form
        ``additive``, ``data-constrained``, ``kaplan`` or ``mixture``.
    values
        Name to number; which names there are depends on `form`.
    source, year
        Article, place in it, year of publication.
    range_parameters, range_tokens
        Smallest and largest of the runs that the constants were fitted on.
    notes
        What one should know before using them.
    """

    name: str
    form: str
    values: dict[str, float]
    source: str
    year: int
    range_parameters: tuple[float, float]
    range_tokens: tuple[float, float]
    notes: str

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "name": self.name, "form": self.form, "values": dict(self.values), "source": self.source,
            "year": self.year, "range_parameters": list(self.range_parameters),
            "range_tokens": list(self.range_tokens), "notes": self.notes,
        }  # fmt: skip

    def range_warnings(self, parameters: float, tokens: float) -> tuple[str, ...]:
        """Where a size or an amount of data lies outside the runs behind the constants."""
        return outside_range(self.name, parameters, tokens, self.range_parameters, self.range_tokens)


def outside_range(
    what: str,
    parameters: float,
    tokens: float,
    range_parameters: tuple[float, float],
    range_tokens: tuple[float, float],
) -> tuple[str, ...]:
    """A sentence for each of size and data that lies outside the range behind a fit."""
    checks = (
        ("parameters", parameters, *range_parameters),
        ("tokens", tokens, *range_tokens),
    )
    return tuple(
        f"{value:.3g} {name} lie outside the range of the runs behind {what} ({low:.3g} to {high:.3g})"
        for name, value, low, high in checks
        if not low <= value <= high
    )


@lru_cache(maxsize=1)
def _all_constants() -> dict[str, Constants]:
    text = (files("understudy.economics.scaling") / "constants.toml").read_text(encoding="utf-8")
    out = {}
    for name, row in tomllib.loads(text).items():
        row["range_parameters"] = tuple(row["range_parameters"])
        row["range_tokens"] = tuple(row["range_tokens"])
        out[name] = Constants(name=name, **row)
    return out


def constants_names(form: str | None = None) -> tuple[str, ...]:
    """Names of all sets, or of those of one form, in the order of the file."""
    return tuple(name for name, row in _all_constants().items() if form in (None, row.form))


def constants(name: str) -> Constants:
    """The set called `name`.

    Raises
    ------
    ConfigError
        If there is none; the message lists the names.
    """
    found = _all_constants().get(name)
    if found is None:
        raise ConfigError(
            "no scaling-law constants of this name",
            given=repr(name),
            todo=f"one of {', '.join(constants_names())}",
        )
    return found


def scaling_law(name: str = DEFAULT_CONSTANTS) -> ScalingLaw:
    """The law ``E + A / N**alpha + B / D**beta`` of a set (for ``data-constrained``: its one-pass law).

    Raises
    ------
    ConfigError
        If there is no such set, or its law has another form.
    """
    row = constants(name)
    if row.form not in ("additive", "data-constrained"):
        allowed = ", ".join(constants_names("additive") + constants_names("data-constrained"))
        raise ConfigError(
            f"the constants {name!r} belong to a law of another form ({row.form})", todo=f"one of {allowed}"
        )
    v = row.values
    return ScalingLaw(v["E"], v["A"], v["B"], v["alpha"], v["beta"])
