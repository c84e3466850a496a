"""Which model a plan is about: one of the catalogue, a configuration file, or only a number of parameters."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from understudy.economics.transformer.catalogue import find_model
from understudy.economics.transformer.from_config import shape_from_config
from understudy.economics.transformer.parameters import count_parameters
from understudy.economics.transformer.proposal import shape_for
from understudy.economics.transformer.shape import ModelShape
from understudy.errors import ConfigError

__all__ = ["ChosenModel", "choose_model"]


@dataclass(frozen=True, slots=True)
class ChosenModel:
    """A model to plan for: its name, its shape, and where the shape is from."""

    name: str
    shape: ModelShape
    source: str

    def to_dict(self) -> dict[str, Any]:
        """JSON form, counts included."""
        return {**asdict(self), "parameters": count_parameters(self.shape).to_dict()}


def choose_model(
    *, model: str | None = None, config: str | Path | None = None, n_parameters: float | None = None
) -> ChosenModel:
    """The model that exactly one of the three names.

    Raises
    ------
    ConfigError
        If none or several are given, a name is not known, or a file is no configuration.
    """
    given = [one for one in (model, config, n_parameters) if one is not None]
    if len(given) != 1:
        raise ConfigError(
            "a plan needs one model",
            given="none" if not given else ", ".join(map(str, given)),
            todo="give one of --model ID, --config config.json, --params N",
        )
    if model is not None:
        known = find_model(model)
        return ChosenModel(known.name, known.shape, known.source)
    if config is not None:
        return ChosenModel(Path(config).name, shape_from_config(_read(config)), f"configuration {config}")
    assert n_parameters is not None, "one of three"
    shape = shape_for(n_parameters)
    return ChosenModel(
        f"{n_parameters / 1e9:.3g}B, proportions proposed", shape, "proposed after published dense families"
    )


def _read(path: str | Path) -> dict[str, Any]:
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            "a configuration cannot be read",
            given=f"{path}: {error.__class__.__name__}",
            todo="give the config.json of a Hugging Face model",
        ) from error
    if not isinstance(found, dict):
        raise ConfigError("a configuration must be a JSON object", given=f"{path}: {type(found).__name__}")
    return found
