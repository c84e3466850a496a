"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Sequence

from understudy.errors import ConfigError

__all__ = ["parse_mapping"]


def parse_mapping(pairs: Sequence[str]) -> dict[str, str]:
    """``--map TARGET=COLUMN`` options as a mapping.

    Raises
    ------
    ConfigError
        If one has no equals sign, or a target comes twice.
    """
    mapping: dict[str, str] = {}
    for pair in pairs:
        target, sign, source = pair.partition("=")
        if not sign:
            raise ConfigError(
                "--map takes TARGET=COLUMN", given=pair, todo="for example --map output=teacher_label"
            )
        if target.strip() in mapping:
            raise ConfigError("a target is mapped twice", given=target.strip())
        mapping[target.strip()] = source.strip()
    return mapping
