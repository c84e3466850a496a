"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Sequence

from understudy.errors import ConfigError

__all__ = ["parse_mapping"]


def parse_mapping(pairs: Sequence[str]) -> dict[str, str]:
    """``["output=teacher_label"]`` as ``{"output": "teacher_label"}``.

    Raises
    ------
    ConfigError
        If a pair has no ``=`` or a key comes twice.
    """
    out: dict[str, str] = {}
    for pair in pairs:
        key, sign, column = pair.partition("=")
        if not sign or not key or not column:
            raise ConfigError(
                "--map needs KEY=COLUMN", given=pair, todo="for example --map output=teacher_label"
            )
        if key in out:
            raise ConfigError("--map names a key twice", given=key)
        out[key] = column
    return out
