"""Well-known open models (and one closed one whose sizes are published): sizes, dates, licences, sources.

What a licence allows is not judged here; read it. Counts come from the sizes; the published figure stands
beside them, and the tests hold the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

from understudy.economics.tables import find_row, number_in, read_table, text_in
from understudy.economics.transformer.from_config import shape_from_config
from understudy.economics.transformer.shape import ModelShape

__all__ = ["KnownModel", "find_model", "known_models"]

_SIZES = (
    "num_hidden_layers",
    "hidden_size",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "intermediate_size",
    "vocab_size",
)
_GPT2_NAMES = {
    "num_hidden_layers": "n_layer",
    "hidden_size": "n_embd",
    "num_attention_heads": "n_head",
    "intermediate_size": "n_inner",
}


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A published model.

    Attributes
    ----------
    id, name
        How to ask for it; how it is called.
    released
        First day that it was published.
    licence
        Its licence's name; ``closed`` where the weights are not published.
    shape
        Its sizes.
    parameters, active_parameters
        As published; `active_parameters` is ``None`` for dense models.
    source, note
        Where from; what to know about the published figures.
    """

    id: str
    name: str
    released: date
    licence: str
    shape: ModelShape
    parameters: float
    active_parameters: float | None
    source: str
    note: str | None


@cache
def known_models() -> dict[str, KnownModel]:
    """All models of the catalogue by id, in the order of families."""
    models = {}
    for row in read_table(__package__, "models.csv"):
        parameters = number_in(row, "parameters")
        assert parameters is not None
        model = KnownModel(
            id=row["id"],
            name=row["name"],
            released=date.fromisoformat(row["released"]),
            licence=row["licence"],
            shape=shape_from_config(_config(row)),
            parameters=parameters,
            active_parameters=number_in(row, "active_parameters"),
            source=row["source"],
            note=text_in(row, "note"),
        )
        models[model.id] = model
    return models


def _config(row: Any) -> dict[str, Any]:
    config: dict[str, Any] = {name: int(row[name]) for name in _SIZES}
    for part in filter(None, row["more"].split(";")):
        name, _, value = part.partition("=")
        config[name] = int(value)
    if row["max_position_embeddings"]:
        config["max_position_embeddings"] = int(row["max_position_embeddings"])
    config["tie_word_embeddings"] = row["tie_word_embeddings"] == "true"
    config["model_type"] = row["model_type"]
    if row["model_type"] == "gpt2":
        config = {_GPT2_NAMES.get(name, name): value for name, value in config.items()}
    return config


def find_model(name: str) -> KnownModel:
    """A model of the catalogue.

    Raises
    ------
    ConfigError
        If there is none of that id; it names near ones.
    """
    return find_row(
        known_models(), name, what="model", listing="`understudy plan serve --list-models` lists all"
    )
