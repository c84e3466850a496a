"""Which device a plan is about: one of the catalogue, a file of one's own, and single figures over either."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from understudy.economics.hardware.catalogue import find_device
from understudy.economics.hardware.device import Device, device_from
from understudy.errors import ConfigError

__all__ = ["choose_device"]


def choose_device(name: str | None, changes: Sequence[str] = (), *, may_be_unknown: bool = False) -> Device:
    """A device by id or from a file, with ``field=value`` changes over it.

    Parameters
    ----------
    name
        An id of the catalogue, or a ``.toml`` or ``.json`` file of a device's fields; ``None`` for a device
        that is made of `changes` only.
    changes
        As ``memory_bytes=24e9``.
    may_be_unknown
        Whether a device of which nothing is known will do, because its speed and price are given.

    Raises
    ------
    ConfigError
        If the name or a field is not known, a file cannot be read, or a change has no equals sign.
    """
    device: Device | None = None
    if name is not None:
        is_file = name.endswith((".toml", ".json"))
        device = device_from({"id": Path(name).stem, **_read(name)}) if is_file else find_device(name)
    given: dict[str, Any] = {}
    for change in changes:
        field, sign, value = change.partition("=")
        if not sign:
            raise ConfigError(
                "--device-spec takes FIELD=VALUE", given=change, todo="for example memory_bytes=24e9"
            )
        given[field.strip()] = value.strip()
    if device is None and not given and not may_be_unknown:
        raise ConfigError(
            "a plan needs a device",
            todo="give --device ID (--list-devices lists them), a .toml or .json file, or --device-spec",
        )
    return device_from(given, device)


def _read(path: str) -> dict[str, Any]:
    try:
        text = Path(path).read_text(encoding="utf-8")
        found: Any = tomllib.loads(text) if path.endswith(".toml") else json.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigError(
            "a device file cannot be read",
            given=f"{path}: {error.__class__.__name__}",
            todo="give TOML or JSON with fields such as memory_bytes",
        ) from error
    if not isinstance(found, dict):
        raise ConfigError("a device file must hold fields with values", given=path)
    return found
