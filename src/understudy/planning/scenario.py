"""A scenario: one TOML file that says a load and what to plan for it, section by section.

Every section but ``[load]`` may be left out. Unknown sections and keys are errors that name the known ones. What a
section leaves out comes from the load (tokens, calls), from an earlier section (the fleet serves what ``[serve]``
describes), or from the defaults of the command of the same name.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from understudy.errors import ConfigError, DataError

__all__ = ["SECTIONS", "Load", "Scenario", "read_scenario", "scenario_of"]

_NUMBER, _WHOLE, _TEXT, _YES, _NUMBERS, _TEXTS = "a number", "a whole number", "text", "true or false", "a list of numbers", "a list of texts"  # fmt: skip
_MODEL = {"model": _TEXT, "params": _NUMBER, "config": _TEXT}
SECTIONS: dict[str, dict[str, str]] = {
    "load": {
        "calls_per_month": _NUMBER, "input_tokens": _WHOLE, "output_tokens": _WHOLE, "peak_factor": _NUMBER,
        "growth_per_month": _NUMBER, "months": _WHOLE,
    },
    "breakeven": {
        "artefact": _TEXT, "teacher_usd_per_call": _NUMBER, "teacher_model": _TEXT, "student_usd_per_call": _NUMBER,
        "build_usd": _NUMBER, "coverage": _NUMBER, "answered": _WHOLE, "calls": _WHOLE, "halving_months": _NUMBER,
        "confidence": _NUMBER, "option": "tables", "options_file": _TEXT,
    },
    "serve": {
        **_MODEL, "device": _TEXT, "batch": _WHOLE, "weights": _TEXT, "cache": _TEXT, "n_devices": _WHOLE,
        "usd_per_hour": _NUMBER,
    },
    "fleet": {
        "service_seconds": _NUMBER, "slots": _WHOLE, "service_cv": _NUMBER, "wait_seconds": _NUMBER,
        "percentile": _NUMBER, "spares": _WHOLE, "most_utilisation": _NUMBER, "device": _TEXT, "own": _YES,
        "device_usd": _NUMBER, "life_years": _NUMBER, "usd_per_hour": _NUMBER, "power_w": _NUMBER, "pue": _NUMBER,
        "electricity": _TEXT, "usd_per_kwh": _NUMBER,
    },
    "train": {
        "flop": _NUMBER, "usd": _NUMBER, "hours": _NUMBER, "loss": _NUMBER, "params": _NUMBER,
        "like_params": _NUMBER, "tokens": _NUMBER,
        "inference_tokens": _NUMBER, "unique_tokens": _NUMBER, "experts": _WHOLE, "device": _TEXT, "devices": _WHOLE,
        "usd_per_hour": _NUMBER, "mfu": _NUMBER, "pue": _NUMBER, "constants": _TEXT,
        "runs": _TEXT, "outliers": _TEXT,
    },
    "device": {
        **_MODEL, "device": _TEXT, "weights": _TEXTS, "price_usd": _NUMBER, "price_cny": _NUMBER, "years": _NUMBER,
        "uptime": _NUMBER, "usd_per_kwh": _NUMBER,
    },
    "forecast": {
        "what": _TEXT, "params": _NUMBER, "params_range": _NUMBERS, "on": "a day", "memory_bytes": _NUMBER,
        "bits": _NUMBER, "usable_share": _NUMBER, "doubling_days": _NUMBER, "doubling_range": _NUMBERS,
    },
    "density": {
        "ruler": _TEXT, "models": "tables",
    },
    "figures": {"numbers": _TEXTS, "data": _TEXT},
}  # fmt: skip
"""Known keys of each section, with what they hold."""
_HEAD = {"name": _TEXT, "description": _TEXT, "cny_per_usd": _NUMBER}


@dataclass(frozen=True, slots=True)
class Load:
    """The calls to plan for.

    Attributes
    ----------
    calls_per_month
        Mean volume, above 0.
    input_tokens, output_tokens
        Read and written by one call.
    peak_factor
        Busiest time over the mean.
    growth_per_month, months
        Growth (0.05 is 5 %), and how far to look.
    """

    calls_per_month: float
    input_tokens: int = 500
    output_tokens: int = 100
    peak_factor: float = 3.0
    growth_per_month: float = 0.0
    months: int = 36

    def __post_init__(self) -> None:
        if not (math.isfinite(self.calls_per_month) and self.calls_per_month > 0):
            raise ConfigError("[load] calls_per_month must be above 0", given=repr(self.calls_per_month))
        for name in ("input_tokens", "output_tokens", "months"):
            if getattr(self, name) < 1:
                raise ConfigError(f"[load] {name} must be 1 or more", given=repr(getattr(self, name)))
        if not self.growth_per_month > -1:
            raise ConfigError("[load] growth_per_month must be above -1", given=repr(self.growth_per_month))

    @property
    def calls(self) -> float:
        """Calls over all months."""
        if self.growth_per_month == 0:
            return self.calls_per_month * self.months
        grown: float = (1 + self.growth_per_month) ** self.months
        return self.calls_per_month * (grown - 1) / self.growth_per_month

    @property
    def tokens(self) -> float:
        """Tokens read and written over all months."""
        return self.calls * (self.input_tokens + self.output_tokens)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario as written.

    Attributes
    ----------
    name, description
        For the head of the page.
    load
        The calls.
    sections
        Keys and values of each other section, checked for their types.
    folder
        Where files that it names are looked for.
    cny_per_usd
        Exchange rate; ``None``: the catalogue's.
    """

    name: str
    description: str
    load: Load
    sections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    folder: Path = Path()
    cny_per_usd: float | None = None

    def get(self, section: str) -> dict[str, Any] | None:
        """A section's keys, or ``None`` where it is left out."""
        found = self.sections.get(section)
        return None if found is None else dict(found)

    def path(self, name: str) -> Path:
        """A file or folder that the scenario names: as it stands, or beside the scenario."""
        beside = self.folder / name
        return beside if beside.exists() else Path(name)


def read_scenario(path: str | Path) -> Scenario:
    """Read a scenario.

    Raises
    ------
    ConfigError
        If the file cannot be read, or a section, key or value is wrong.
    DataError
        If it is no TOML.
    """
    where = Path(path)
    try:
        found = tomllib.loads(where.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("a scenario cannot be read", given=f"{path}: {error.__class__.__name__}") from error
    except tomllib.TOMLDecodeError as error:
        raise DataError("a scenario is no TOML", given=f"{path}: {error}") from error
    return scenario_of(found, folder=where.parent, name=where.stem)


def scenario_of(found: Mapping[str, Any], *, folder: Path | None = None, name: str = "scenario") -> Scenario:
    """A scenario from what TOML gives.

    Raises
    ------
    ConfigError
        If a section, key or value is wrong; it names the known ones.
    """
    known = [*_HEAD, *(f"[{section}]" for section in SECTIONS)]
    for key, value in found.items():
        if key in _HEAD:
            _check(f"{key}", value, _HEAD[key])
        elif key not in SECTIONS:
            raise ConfigError(f"a scenario has no {key!r}", todo=f"known: {', '.join(known)}")
        elif not isinstance(value, Mapping):
            raise ConfigError(f"{key} is a section", given=repr(value)[:60], todo=f"write [{key}]")
        else:
            _check_section(key, value)
    if "load" not in found or "calls_per_month" not in found["load"]:
        raise ConfigError("a scenario needs a [load] with calls_per_month")
    sections = {key: value for key, value in found.items() if key in SECTIONS and key != "load"}
    return Scenario(
        found.get("name", name),
        found.get("description", ""),
        Load(**found["load"]),
        sections,
        folder or Path(),
        found.get("cny_per_usd"),
    )


def _check_section(section: str, keys: Mapping[str, Any]) -> None:
    known = SECTIONS[section]
    for key, value in keys.items():
        if key not in known:
            raise ConfigError(f"[{section}] has no {key!r}", todo=f"known: {', '.join(known)}")
        _check(f"[{section}] {key}", value, known[key])


def _check(name: str, value: Any, kind: str) -> None:
    from datetime import date

    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    is_right = {
        _NUMBER: is_number,
        _WHOLE: isinstance(value, int) and is_number,
        _TEXT: isinstance(value, str),
        _YES: isinstance(value, bool),
        _NUMBERS: isinstance(value, list) and all(isinstance(one, int | float) for one in value),
        _TEXTS: isinstance(value, list) and all(isinstance(one, str) for one in value),
        "a day": isinstance(value, date),
        "tables": isinstance(value, list) and all(isinstance(one, Mapping) for one in value),
    }[kind]
    if not is_right:
        raise ConfigError(f"{name} is {kind}", given=repr(value)[:60])
