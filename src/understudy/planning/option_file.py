"""Options to answer calls, out of tables of a TOML file: ``[[option]]`` with a kind and its numbers.

Unknown keys are errors that name the known ones. Prices of models that a table names come from the price
list; a price written in the table takes precedence.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from understudy.economics.options import (
    CostOption,
    Tokens,
    api_option,
    edge_option,
    hosted_option,
    own_option,
)
from understudy.economics.prices import TeacherPrice, model_price
from understudy.errors import ConfigError, DataError

__all__ = ["option_of", "options_of", "read_options"]

_PRICE = ("model", "usd_per_call", "usd_per_million_in", "usd_per_million_out", "usd_per_million_cached")
_TOKENS = ("read_tokens", "written_tokens", "cached_share", "batch_share")
_KEYS = {
    "api": (*_PRICE, *_TOKENS, "batch_discount", "usd_per_month", "halving_months"),
    "hosted": (
        *_PRICE, *_TOKENS, "training_tokens", "training_usd_per_million", "training_usd",
        "hosting_usd_per_hour", "calls_per_hour",
    ),
    "own": (
        "build_usd", "usd_per_hour", "calls_per_hour", "coverage", "teacher_usd_per_call", "usd_per_call",
        "peak_factor", "halving_months",
    ),
    "edge": (
        "device_usd", "life_years", "calls_per_device_month", "joules_per_call", "usd_per_kwh", "build_usd",
    ),
}  # fmt: skip
_NEEDED = {"api": (), "hosted": (), "own": (), "edge": ("life_years", "calls_per_device_month")}


def read_options(path: str | Path) -> list[CostOption]:
    """The options of a file.

    Raises
    ------
    ConfigError
        If the file cannot be read, has no options, or has a key or value that is not known.
    """
    try:
        found = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("a file cannot be read", given=f"{path}: {error.__class__.__name__}") from error
    except tomllib.TOMLDecodeError as error:
        raise DataError("a file is no TOML", given=f"{path}: {error}") from error
    unknown = sorted(set(found) - {"option"})
    if unknown or not isinstance(found.get("option"), list):
        raise ConfigError(
            "a file of options holds [[option]] tables and nothing else",
            given=", ".join(unknown) or "no [[option]]",
        )
    return options_of(found["option"])


def options_of(tables: Sequence[Mapping[str, Any]]) -> list[CostOption]:
    """One option per table, see :func:`option_of`."""
    return [option_of(table) for table in tables]


def option_of(table: Mapping[str, Any]) -> CostOption:
    """One option.

    Raises
    ------
    ConfigError
        Naming the key and the allowed ones.
    """
    given = dict(table)
    name, kind = given.pop("name", None), given.pop("kind", None)
    if not isinstance(name, str) or not name.strip():
        raise ConfigError("an option needs a name", given=repr(name), todo='write name = "..."')
    if kind not in _KEYS:
        raise ConfigError(f"option {name!r}: kind is one of {', '.join(_KEYS)}", given=repr(kind))
    unknown = sorted(set(given) - set(_KEYS[kind]))
    if unknown:
        raise ConfigError(
            f"option {name!r}: unknown key {unknown[0]!r}", todo=f"known: {', '.join(_KEYS[kind])}"
        )
    numbers = {key: _checked(name, key, value) for key, value in given.items() if key != "model"}
    missing = [key for key in _NEEDED[kind] if key not in numbers]
    if missing:
        raise ConfigError(f"option {name!r} needs {', '.join(missing)}")
    if kind == "own":
        return own_option(name, build_usd=numbers.pop("build_usd", None),
                          usd_per_hour=numbers.pop("usd_per_hour", None), **numbers)  # fmt: skip
    if kind == "edge":
        for key in ("device_usd", "joules_per_call", "usd_per_kwh"):
            numbers.setdefault(key, None)
        return edge_option(name, **numbers)
    price = _price(name, given.get("model"), numbers)
    tokens = _tokens(name, numbers)
    rest = {key: value for key, value in numbers.items() if key not in (*_PRICE, *_TOKENS)}
    if kind == "hosted":
        return hosted_option(name, price, tokens, **rest)
    reason = f"no list price for model {given['model']}" if "model" in given else "no price is given"
    return api_option(name, price, tokens, reason=reason, **rest)


def _checked(name: str, key: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"option {name!r}: {key} is a number", given=repr(value))
    return float(value)


def _price(name: str, model: Any, numbers: Mapping[str, float]) -> TeacherPrice | None:
    written = {key: numbers[key] for key in _PRICE if key in numbers}
    if "usd_per_call" in written and len(written) > 1:
        raise ConfigError(f"option {name!r}: give usd_per_call or prices per million tokens, not both")
    listed = None
    if model is not None:
        if not isinstance(model, str):
            raise ConfigError(f"option {name!r}: model is a name", given=repr(model))
        listed = model_price(model)
    if "usd_per_call" in written:
        return TeacherPrice(written["usd_per_call"], source="given price")
    known = {key: written.get(key, None if listed is None else getattr(listed, key)) for key in _PRICE[2:]}
    if known["usd_per_million_in"] is None or known["usd_per_million_out"] is None:
        return None
    source = "price list" if not written else ("given price" if listed is None else "price list, overridden")
    return TeacherPrice(None, **known, source=source)


def _tokens(name: str, numbers: Mapping[str, float]) -> Tokens | None:
    given = {key: numbers[key] for key in _TOKENS if key in numbers}
    if not given:
        return None
    if "read_tokens" not in given or "written_tokens" not in given:
        raise ConfigError(f"option {name!r} needs read_tokens and written_tokens together")
    return Tokens(
        given["read_tokens"],
        given["written_tokens"],
        given.get("cached_share", 0.0),
        given.get("batch_share", 0.0),
    )
