"""The ruler: a loss law and a sigmoid fitted on a reference family, with the bootstrap draws of both, and its file.

It turns a score into the number of parameters that the reference recipe needs for it. Source: Xiao et al.,
"Densing law of LLMs" (arXiv 2412.04315), which fits the two stages likewise. It knows one family, one benchmark
and one way of asking it: a score measured otherwise is on another scale, and the ruler cannot see that.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from understudy.density.loss_law import LawEvidence, LossLaw
from understudy.density.sigmoid import Sigmoid
from understudy.density.solver import FloatArray
from understudy.errors import ConfigError, DataError

__all__ = ["FORMAT_VERSION", "Ruler", "load_ruler", "save_ruler"]

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Ruler:
    """A fitted ruler.

    Attributes
    ----------
    name, loss_name, score_name
        Of the family, its loss and its benchmark.
    law, sigmoid
        The two stages; `sigmoid` is ``None`` for a ruler that reads losses only.
    chance
        Score of guessing.
    size_range, token_range
        Smallest and largest of the family.
    n_points
        Models fitted on.
    draws
        Bootstrap rows (a, alpha, b, beta, e, lower, upper, steepness, midpoint); the last four are NaN without a
        sigmoid.
    evidence
        For the law without and with an irreducible term; empty where the law was given.
    law_choice
        Why this form of the law, in words.
    rms_log_loss, rms_score
        Scatter of the family around the two stages.
    """

    name: str
    loss_name: str
    score_name: str | None
    law: LossLaw
    sigmoid: Sigmoid | None
    chance: float
    size_range: tuple[float, float]
    token_range: tuple[float, float]
    n_points: int
    draws: tuple[tuple[float, ...], ...]
    evidence: tuple[LawEvidence, ...]
    law_choice: str
    rms_log_loss: float | None
    rms_score: float | None

    def predict_loss(self, n_parameters: float, n_tokens: float) -> float:
        """Loss of the reference recipe."""
        return self.law.loss(n_parameters, n_tokens)

    def predict_score(self, n_parameters: float, n_tokens: float) -> float:
        """Score of the reference recipe.

        Raises
        ------
        ConfigError
            If the ruler has no sigmoid.
        """
        return self.need_sigmoid().score(self.predict_loss(n_parameters, n_tokens))

    def need_sigmoid(self) -> Sigmoid:
        """The sigmoid.

        Raises
        ------
        ConfigError
            If the ruler reads losses only.
        """
        if self.sigmoid is None:
            raise ConfigError(
                "this ruler reads losses only: its family had no scores",
                given=self.name,
                todo="give a loss, or fit a ruler with a score column",
            )
        return self.sigmoid

    def draw_rows(self) -> FloatArray:
        """Draws as an array of shape (draws, 9)."""
        return np.asarray(self.draws, dtype=np.float64).reshape(len(self.draws), 9)

    def to_dict(self) -> dict[str, Any]:
        """JSON form, with the format's version."""
        return {
            "format": "understudy ruler",
            "version": FORMAT_VERSION,
            "name": self.name,
            "loss_name": self.loss_name,
            "score_name": self.score_name,
            "law": self.law.to_dict(),
            "sigmoid": None if self.sigmoid is None else self.sigmoid.to_dict(),
            "chance": self.chance,
            "size_range": list(self.size_range),
            "token_range": list(self.token_range),
            "n_points": self.n_points,
            "draws": [[None if math.isnan(value) else value for value in row] for row in self.draws],
            "evidence": [one.to_dict() for one in self.evidence],
            "law_choice": self.law_choice,
            "rms_log_loss": self.rms_log_loss,
            "rms_score": self.rms_score,
        }

    @classmethod
    def from_dict(cls, found: Any) -> Ruler:
        """Read the JSON form.

        Raises
        ------
        DataError
            If it is no ruler, of an unknown version, or incomplete.
        """
        if not isinstance(found, dict) or found.get("format") != "understudy ruler":
            raise DataError("this is no ruler", todo="write one with `understudy density fit-ruler`")
        if found.get("version") != FORMAT_VERSION:
            raise DataError(
                "the ruler has an unknown format version",
                given=f"{found.get('version')!r}, known: {FORMAT_VERSION}",
                todo="fit it again with this version",
            )
        try:
            return cls(
                name=str(found["name"]),
                loss_name=str(found["loss_name"]),
                score_name=found["score_name"],
                law=LossLaw(**found["law"]),
                sigmoid=None if found["sigmoid"] is None else Sigmoid(**found["sigmoid"]),
                chance=float(found["chance"]),
                size_range=_pair(found["size_range"]),
                token_range=_pair(found["token_range"]),
                n_points=int(found["n_points"]),
                draws=tuple(
                    tuple(math.nan if value is None else float(value) for value in row)
                    for row in found["draws"]
                ),
                evidence=tuple(LawEvidence(**one) for one in found["evidence"]),
                law_choice=str(found["law_choice"]),
                rms_log_loss=found["rms_log_loss"],
                rms_score=found["rms_score"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                "the ruler is incomplete or damaged", given=repr(error), todo="fit it again"
            ) from error


def _pair(values: Sequence[Any]) -> tuple[float, float]:
    low, high = values
    return float(low), float(high)


def save_ruler(ruler: Ruler, path: str | Path) -> None:
    """Write a ruler as JSON.

    Raises
    ------
    ConfigError
        If the file cannot be written.
    """
    found = ruler.to_dict()
    # One draw a line, so that the head can be read.
    draws = ",\n".join(f"  {json.dumps(row)}" for row in found.pop("draws"))
    text = json.dumps(found, indent=1).removesuffix("\n}") + f',\n "draws": [\n{draws}\n ]\n}}\n'
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            "the ruler cannot be written", given=f"{path}: {error.__class__.__name__}"
        ) from error


def load_ruler(path: str | Path) -> Ruler:
    """Read a ruler.

    Raises
    ------
    ConfigError
        If the file cannot be read.
    DataError
        If it is no ruler, or of an unknown version.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("the ruler cannot be read", given=f"{path}: {error.__class__.__name__}") from error
    try:
        return Ruler.from_dict(json.loads(text))
    except json.JSONDecodeError as error:
        raise DataError("the ruler is no JSON", given=f"{path}: {error}") from error
