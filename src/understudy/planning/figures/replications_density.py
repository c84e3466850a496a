"""Replications of density: the OLMo ladder as a ruler, and the doubling time of the best density of open models.

Both need published points (`--data`). The trend is fitted with every ruler that the stated rule admits, under each
of the two published loss laws; the rule looks at sizes, tokens and scores, never at the trend. It does not know
whether a family's scores were measured as the others' were.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median

from understudy.density.family import FamilyPoint, number_in, read_family, read_rows
from understudy.density.fit import fit_ruler
from understudy.density.loss_law import LossLaw, named_law
from understudy.density.measure import END_SHARE, EffectiveSize, Measurement, measure
from understudy.density.release_dates import release_of
from understudy.density.ruler import Ruler
from understudy.density.trend import DatedDensity, fit_trend
from understudy.errors import DataError
from understudy.planning.figures.figure import Claim, Figure, about, between

__all__ = ["OPEN_MODELS", "admitted_families", "admitted_rulers", "figures"]

_LADDER = "olmo_ladder_final_points.csv"
OPEN_MODELS = "ObsScaling_base_llm_benchmark_eval.csv"
_LARGEST_RUNG = 1.4e9
_MULTIPLES = ("1", "2", "5", "10")
"""Times 20 tokens a parameter: the runs that the ladder's authors fit; the table also has runs of half as many."""
_MMLU_CHANCE = 0.25
_MMLU_ITEMS = 14_042
"""Questions of MMLU's test part (Hendrycks et al., arXiv:2009.03300)."""
_LEAST_SIZES = 3
_LEAST_SCORE = _MMLU_CHANCE + END_SHARE * (1 - _MMLU_CHANCE)
"""Above what :mod:`understudy.density.measure` flags as near chance, by a sigmoid from guessing to 1."""
_CODE_FAMILIES = frozenset(
    {"CodeLlama", "Codegen", "DeepSeek-Coder", "DeepSeek-Coder-V2", "StarCoder", "StarCoder2"}
)
"""Trained on code above all: their MMLU says little of their training compute."""
_LAWS = ("epoch", "hoffmann")
_MOST_PARAMETERS = 15e9
_PUBLISHED_MONTHS = (2.6, 3.8)
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
    claims: list[Claim] = []
    notes: list[str] = []
    for size, score, at_1t in (("3B", None, None), ("7B", 0.488, 4.4), ("13B", 0.515, 9.2)):
        point = max((one for one in points if one.name == size), key=lambda one: one.n_tokens)
        found = measure(
            ruler,
            n_parameters=point.n_parameters,
            score=point.score,
            n_tokens=point.n_tokens,
            n_items=_MMLU_ITEMS,
            name=point.name,
        )
        claims += _ladder_claims(ruler, point, found, score, at_1t)
        notes += _intervals(point, found)
    return Figure(
        "S5",
        name,
        statement,
        [
            f"the ladder's {ruler.n_points} runs up to 1.3B, 1 to 10 times 20 tokens a parameter; loss: bits per byte of MMLU's right answers; {ruler.law_choice}",
            "near 1 is read as .75 to 1.1; rho at 1T tokens is accepted within 15 %, the ruler's intervals decide nothing",
            *notes,
        ],
        claims,
    )


def _ladder_points(path: Path, keep: Sequence[tuple[str, str]] = ()) -> list[FamilyPoint]:
    return read_family(path, loss_column="bpb_mmlu", score_column="acc_mmlu", name_column="model", keep=keep)


def _ladder_claims(
    ruler: Ruler, point: FamilyPoint, found: Measurement, score: float | None, at_1t: float | None
) -> list[Claim]:
    assert found.own is not None, "the ladder's tokens are known"
    none = "the ruler gives no size for this score"
    own = found.own.rho
    claims = [
        Claim(
            name=f"rho of {point.name} at its own tokens",
            published=between(0.75, 1.1, "near 1: .75 to 1.1"),
            computed=own,
            missing=none if own is None else None,
        )
    ]
    if score is not None:
        predicted = ruler.predict_score(point.n_parameters, point.n_tokens)
        claims.insert(
            0,
            Claim(name=f"MMLU of {point.name}, predicted", published=about(score, 0.01), computed=predicted),
        )
    if at_1t is not None:
        fixed = found.reference.rho
        claims.append(
            Claim(
                name=f"rho of {point.name} at 1T tokens",
                published=about(at_1t, 0.15),
                computed=fixed,
                missing=none if fixed is None else None,
            )
        )
    return claims


def _intervals(point: FamilyPoint, found: Measurement) -> list[str]:
    """What the ruler says of its own doubt, as a note: an end that it cannot give is open."""

    def words(size: EffectiveSize | None) -> str:
        if size is None:
            return "unknown"
        low = "open" if size.rho_lower is None else f"{size.rho_lower:.2g}"
        high = "open" if size.rho_upper is None else f"{size.rho_upper:.3g}"
        return f"{low} to {high}"

    return [
        (
            f"the ruler's 90 % interval of rho of {point.name}: {words(found.own)} at its own tokens, "
            f"{words(found.reference)} at 1T"
        )
    ]


def admitted_families(path: Path) -> list[str]:
    """Families of a table in ObsScaling's form that may serve as rulers of MMLU, in the table's order of names.

    Three sizes or more with tokens and score known, the worst score of them above .2875 (guessing and a twentieth
    of the way to 1), and not specialised in code.

    Raises
    ------
    ConfigError, DataError
        If the table or a cell is wrong.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    for at, row in enumerate(read_rows(path), start=2):
        size, tokens = number_in(row, "Model Size (B)", at), number_in(row, "Pretraining Data Size (T)", at)
        score = number_in(row, "MMLU", at)
        if size is not None and tokens is not None and score is not None:
            found.setdefault(row["Model Family"], []).append((size, score))
    return sorted(
        family
        for family, models in found.items()
        if family not in _CODE_FAMILIES
        and len({size for size, _ in models}) >= _LEAST_SIZES
        and min(score for _, score in models) > _LEAST_SCORE
    )


def _doubling(data: Path | None) -> Figure:
    statement = "ObsScaling, MMLU, models up to 15B: the best density doubles in 2.6 to 3.8 months over reasonable rulers."
    name, path = "the doubling time of density, measured", _file(data, OPEN_MODELS)
    if path is None:
        missing = f"needs --data with {OPEN_MODELS}"
        return Figure("S6", name, statement, [], [Claim(name="doubling time", missing=missing)])
    families = admitted_families(path)
    months = {
        (family, law): _doubling_months(path, family, named_law(law)[0])
        for family in families
        for law in _LAWS
    }
    known = [one for one in months.values() if one is not None]
    low, high = _PUBLISHED_MONTHS
    outside = sum(not low <= one <= high for one in known)
    middle = median(known) if known else None
    return Figure(
        "S6",
        name,
        statement,
        [
            (
                f"rulers: every family of the table with {_LEAST_SIZES} sizes or more, known tokens, a worst score above "
                f"{_LEAST_SCORE:.4g} (guessing and {100 * END_SHARE:.0f} % of the way to 1), and not specialised in code: "
                f"{', '.join(families)}"
            ),
            (
                "sigmoid from .25 to 1; reference on 1T tokens; models near either end of a ruler left out; dates from "
                "the package's table"
            ),
            (
                f"{outside} of {len(known)} rulers lie outside: the statement is of all reasonable rulers, so one "
                "outside makes the entry inconsistent, whatever the median"
            ),
        ],
        [
            Claim(
                name="median over rulers and laws",
                unit="months",
                published=between(low, high),
                computed=middle,
                missing="no family of the table is admitted as a ruler" if middle is None else None,
            ),
            *(_ruler_claim(family, law, found) for (family, law), found in months.items()),
        ],
    )


def _ruler_claim(family: str, law: str, months: float | None) -> Claim:
    return Claim(
        name=f"ruler {family}, law of {law}",
        unit="months",
        published=between(*_PUBLISHED_MONTHS),
        computed=months,
        missing="its scores give no ruler, or no trend" if months is None else None,
    )


def _ruler_of(path: Path, family: str, law: LossLaw) -> Ruler:
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
    return fit_ruler(points, chance=_MMLU_CHANCE, lower=_MMLU_CHANCE, law=law, n_draws=0)


def admitted_rulers(path: Path) -> list[Ruler]:
    """Every ruler that the rule admits, under both published laws; those whose scores give none are left out."""
    rulers = []
    for family in admitted_families(path):
        for law in _LAWS:
            try:
                rulers.append(_ruler_of(path, family, named_law(law)[0]))
            except DataError:
                continue
    return rulers


def _doubling_months(path: Path, family: str, law: LossLaw) -> float | None:
    """By one ruler; ``None`` where its family's scores do not fall with loss, or too few records are left."""
    try:
        ruler = _ruler_of(path, family, law)
        trend = fit_trend(_dated(path, ruler), max_parameters=_MOST_PARAMETERS, n_draws=0)
    except DataError:
        return None
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
