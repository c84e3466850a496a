"""Replications of density: the OLMo ladder as a ruler, and the doubling time of the best density of open models.

Both need published points (`--data`). The trend is fitted under every combination of the families of the table
that give a ruler and of the two published loss laws, so that none is picked for its result.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from understudy.density.family import FamilyPoint, number_in, read_family, read_rows
from understudy.density.fit import fit_ruler
from understudy.density.loss_law import LossLaw, named_law
from understudy.density.measure import Measurement, measure
from understudy.density.release_dates import release_of
from understudy.density.ruler import Ruler
from understudy.density.trend import DatedDensity, fit_trend
from understudy.planning.figures.figure import Claim, Figure, Published, about, between

__all__ = ["figures"]

_LADDER = "olmo_ladder_final_points.csv"
_OPEN_MODELS = "ObsScaling_base_llm_benchmark_eval.csv"
_LARGEST_RUNG = 1.4e9
_MULTIPLES = ("1", "2", "5", "10")
"""Times 20 tokens a parameter: the runs that the ladder's authors fit; the table also has runs of half as many."""
_MMLU_CHANCE = 0.25
_FAMILIES = ("Llama", "Llama-2", "Qwen", "Qwen1.5")
"""Families of the table with three sizes or more, known tokens, and scores well above guessing."""
_LAWS = ("epoch", "hoffmann")
_MOST_PARAMETERS = 15e9
_UNSURE = frozenset({"near_chance", "saturated"})


def figures(data: Path | None = None) -> list[Figure]:
    """S5 and S6."""
    return [_ladder(data), _doubling(data)]


def _file(data: Path | None, name: str) -> Path | None:
    return data / name if data is not None and (data / name).is_file() else None


def _ladder(data: Path | None) -> Figure:
    statement = (
        "OLMo ladder: MMLU from 190M-1.3B predicts 7B .488 (measured .490) and 13B .515 (.514). A model of the ruler's "
        "own recipe comes out near 1 at its own token count; at a fixed 1T tokens 7B and 13B give 4.4 and 9.2."
    )
    name, path = "the OLMo ladder as a ruler", _file(data, _LADDER)
    if path is None:
        return Figure(
            "S5", name, statement, [], [Claim(name="the ruler", missing=f"needs --data with {_LADDER}")]
        )
    points = _ladder_points(path)
    rungs = _ladder_points(path, keep=[("mult", times) for times in _MULTIPLES])
    ruler = fit_ruler([one for one in rungs if one.n_parameters < _LARGEST_RUNG], chance=_MMLU_CHANCE)
    seven, thirteen = points[-2], points[-1]
    claims = []
    for point, score, at_1t in ((seven, 0.488, 4.4), (thirteen, 0.515, 9.2)):
        found = measure(
            ruler,
            n_parameters=point.n_parameters,
            score=point.score,
            n_tokens=point.n_tokens,
            name=point.name,
        )
        claims += _ladder_claims(ruler, point, found, score, at_1t)
    return Figure(
        "S5",
        name,
        statement,
        [
            f"the ladder's {ruler.n_points} runs up to 1.3B, 1 to 10 times 20 tokens a parameter; loss: bits per byte of MMLU's right answers; {ruler.law_choice}",
            "rho is accepted where the published value lies in the ruler's own 90 % interval",
        ],
        claims,
    )


def _ladder_points(path: Path, keep: Sequence[tuple[str, str]] = ()) -> list[FamilyPoint]:
    return read_family(path, loss_column="bpb_mmlu", score_column="acc_mmlu", name_column="model", keep=keep)


def _ladder_claims(
    ruler: Ruler, point: FamilyPoint, found: Measurement, score: float, at_1t: float
) -> list[Claim]:
    assert found.own is not None, "the ladder's tokens are known"
    return [
        Claim(
            name=f"MMLU of {point.name}, predicted",
            published=about(score, 0.01),
            computed=ruler.predict_score(point.n_parameters, point.n_tokens),
        ),
        _rho_claim(
            f"rho of {point.name} at its own tokens",
            1.0,
            found.own.rho,
            found.own.rho_lower,
            found.own.rho_upper,
        ),
        _rho_claim(
            f"rho of {point.name} at 1T tokens",
            at_1t,
            found.reference.rho,
            found.reference.rho_lower,
            found.reference.rho_upper,
        ),
    ]


def _rho_claim(
    name: str, published: float, rho: float | None, low: float | None, high: float | None
) -> Claim:
    """A density; met where `published` lies in [low, high], an open end reaching everywhere."""
    if rho is None:
        return Claim(name=name, missing="the ruler gives no size for this score")
    # computed <= published * rho / low says the same as low <= published, and so on.
    accepted = Published(
        published,
        0.0 if high is None else published * rho / high,
        float("inf") if low is None else published * rho / low,
        f"{published:g}",
    )
    return Claim(name=name, published=accepted, computed=rho)


def _doubling(data: Path | None) -> Figure:
    statement = "ObsScaling, MMLU, models up to 15B: the best density doubles in 2.6 to 3.8 months over reasonable rulers."
    name, path = "the doubling time of density, measured", _file(data, _OPEN_MODELS)
    if path is None:
        missing = f"needs --data with {_OPEN_MODELS}"
        return Figure("S6", name, statement, [], [Claim(name="doubling time", missing=missing)])
    claims = [
        Claim(
            name=f"ruler {family}, law of {law}",
            unit="months",
            published=between(2.6, 3.8),
            computed=_doubling_months(path, family, named_law(law)[0]),
        )
        for family in _FAMILIES
        for law in _LAWS
    ]
    return Figure(
        "S6",
        name,
        statement,
        [
            "reference on 1T tokens; models near either end of a ruler left out; dates from the package's table"
        ],
        claims,
    )


def _doubling_months(path: Path, family: str, law: LossLaw) -> float:
    points = read_family(
        path,
        n_column="Model Size (B)",
        d_column="Pretraining Data Size (T)",
        score_column="MMLU",
        name_column="Model",
        n_scale=1e9,
        d_scale=1e12,
        keep=[("Model Family", family)],
    )
    ruler = fit_ruler(points, chance=_MMLU_CHANCE, law=law, n_draws=0)
    trend = fit_trend(_dated(path, ruler), max_parameters=_MOST_PARAMETERS, n_draws=0)
    assert trend.doubling_months is not None, "density moves"
    return trend.doubling_months


def _dated(path: Path, ruler: Ruler) -> Sequence[DatedDensity]:
    models = []
    for at, row in enumerate(read_rows(path), start=2):
        size, score = number_in(row, "Model Size (B)", at, scale=1e9), number_in(row, "MMLU", at)
        release = release_of(row["Model"])
        if size is None or score is None or release is None:
            continue
        found = measure(ruler, n_parameters=size, score=score, name=row["Model"]).reference
        is_sure = not _UNSURE.intersection(found.flags)
        models.append(
            DatedDensity(
                row["Model"],
                release.day,
                found.rho if is_sure else None,
                size,
                row["Model Family"],
                reason=found.reason or "near an end of the ruler",
            )
        )
    return models
