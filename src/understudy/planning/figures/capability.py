"""Figures 16 to 22: capability density and what follows from its growth."""

from __future__ import annotations

import csv
import math
from datetime import date
from pathlib import Path
from statistics import median

from understudy.economics.trends import DAYS_PER_MONTH, DAYS_PER_YEAR, NAMED_TRENDS, combined_doubling_days
from understudy.planning.ability_pairs import ABILITY_PAIRS, AbilityPair
from understudy.planning.figures import compression
from understudy.planning.figures.figure import Claim, Figure, about, at_least, between
from understudy.planning.forecast import Doubling, gpt4_class_forecast, useful_until

__all__ = ["figures"]

_GROWTH = 0.007
_DOUBLING_DAYS = NAMED_TRENDS["density"].doubling_days
_OBSSCALING = "ObsScaling_base_llm_benchmark_eval.csv"


def figures(data: Path | None = None) -> list[Figure]:
    """Entries 16 to 22; with `data`, the folder of published points, those that need measured scores too."""
    return [
        _growth(),
        _price(),
        _chips(),
        _pairs(data),
        *compression.figures(data),
        _forecast(),
        _useful_life(),
    ]


def _growth() -> Figure:
    return Figure(
        "16",
        "the growth of density",
        "rho is effective over actual parameters; the best released density doubles about every 3.3 months (100 "
        "days); 4.8 months before ChatGPT, 3.2 after. ln(rho_max) = A t + B with A about 0.007 a day; elsewhere "
        "0.0073 and 95 days; later 3.5 months.",
        ["doubling time: ln 2 / A; entry S6 measures it on published scores"],
        [
            Claim(
                name="doubling time at A = 0.007",
                unit="days",
                published=about(100, 0.03, "about 100"),
                computed=math.log(2) / _GROWTH,
            ),
            Claim(
                name="100 days",
                unit="months",
                published=about(3.3, 0.03),
                computed=_DOUBLING_DAYS / DAYS_PER_MONTH,
            ),
            Claim(
                name="doubling time at A = 0.0073",
                unit="days",
                published=about(95, 0.01),
                computed=math.log(2) / 0.0073,
            ),
            *(
                Claim(
                    name=f"A at {months} months ({when})",
                    unit="per day",
                    computed=math.log(2) / (months * DAYS_PER_MONTH),
                )
                for months, when in ((4.8, "before ChatGPT"), (3.2, "after"), (3.5, "later version"))
            ),
            Claim(name="growth after ChatGPT over before", computed=4.8 / 3.2),
        ],
    )


def _price() -> Figure:
    ratio = 20 / 0.075
    return Figure(
        "17",
        "the price of the same ability",
        "The price a million tokens fell from $20 to $0.075 in 20 months: 266.7 times, halving every 2.5 months.",
        [],
        [
            Claim(name="fall", published=about(266.7, 0.001), computed=ratio),
            Claim(
                name="halving time", unit="months", published=about(2.5, 0.03), computed=20 / math.log2(ratio)
            ),
        ],
    )


def _chips() -> Figure:
    chips, circuits, batteries = (
        NAMED_TRENDS[name].doubling_days for name in ("chips", "circuits", "batteries")
    )
    return Figure(
        "18",
        "density times chips",
        "With chip price-performance doubling every 2.1 years, effective size on a fixed device doubles every 88 "
        "days. Circuit density doubles in 18 months, battery density in 10 years.",
        ["density: 100 days (entry 16)"],
        [
            Claim(
                name="doubling time of both",
                unit="days",
                published=about(88, 0.01),
                computed=combined_doubling_days(_DOUBLING_DAYS, chips),
            ),
            Claim(
                name="with circuit density instead",
                unit="days",
                computed=combined_doubling_days(_DOUBLING_DAYS, circuits),
            ),
            Claim(name="battery over density", computed=batteries / _DOUBLING_DAYS),
        ],
    )


def _pairs(data: Path | None) -> Figure:
    claims = [
        Claim(
            name=f"{pair.small} with {pair.large}'s ability",
            unit="times denser" + _apart(pair),
            computed=pair.density_ratio,
        )
        for pair in ABILITY_PAIRS
    ]
    scores = None if data is None else _scores(data / _OBSSCALING)
    for small, large, least, words in (
        ("mistralai/Mistral-7B-v0.1", "meta-llama/Llama-2-13b-hf", 1.0, "over it"),
        ("microsoft/phi-2", "meta-llama/Llama-2-70b-hf", 0.9, "near it: 0.9 or more"),
    ):
        short = f"MMLU, {small.split('/')[1]} over {large.split('/')[1]}"
        if scores is None or small not in scores or large not in scores:
            claims.append(Claim(name=short, missing="needs --data with measured scores"))
            continue
        claims.append(
            Claim(
                name=short,
                published=at_least(least, words),
                computed=scores[small] / scores[large],
                because="on this benchmark alone it is not near",
            )
        )
    return Figure(
        "19",
        "pairs of equal ability",
        "Mistral-7B over Llama-2-13B; Phi-2 near Llama-2-70B; MiniCPM-2.4B near Llama-2-13B and GPT-3 175B; "
        "MiniCPM3-4B over Gemma-2-9B; Mengzi 1B over 10-100B models.",
        ["sizes and dates as the models' authors published them"],
        claims,
    )


def _apart(pair: AbilityPair) -> str:
    if pair.small_day is None or pair.large_day is None:
        return ""
    return f", {(pair.small_day - pair.large_day).days:,} days later"


def _scores(path: Path) -> dict[str, float] | None:
    if not path.is_file():
        return None
    with path.open(encoding="utf-8", newline="") as stream:
        return {row["Model"]: float(row["MMLU"]) for row in csv.DictReader(stream) if row["MMLU"]}


def _forecast() -> Figure:
    claims = []
    for capacity in (8e9, 4e9):
        found = gpt4_class_forecast(capacity=capacity)
        name = f"in {capacity / 1e9:.0f}B parameters"
        words = (
            "GPT-4 was worth 220B to 1.8T dense parameters, and density doubles in 95 days to 4.8 months, both even in "
            "logarithm"
        )
        ends = {"median of the draws": found.median, "5 % of draws by": found.lower, "95 % by": found.upper}
        for what, day in ends.items():
            assert day is not None, "a few doublings are not too far"
            claims.append(
                Claim(
                    name=f"{name}, {what}",
                    unit="year",
                    published=between(2025.0, 2027.0, "2025 to 2026") if day is found.median else None,
                    computed=_year(day) if day is not found.median else None,
                    assumption=words if day is found.median else None,
                    assumed=_year(day) if day is found.median else None,
                )
            )
    return Figure(
        "21",
        "a large model's ability on a phone",
        "GPT-4-class ability in 4-8B parameters by 2025-26, hence on a phone.",
        [
            "GPT-4: 2023-03-14; its size was never published",
            (
                "tested: the median of the draws lies in 2025.0 to 2027.0, which is more than an overlap of the 90 % "
                "interval with it and less than containment; its ends are shown"
            ),
        ],
        claims,
    )


def _year(day: date) -> float:
    return day.year + (day.timetuple().tm_yday - 1) / DAYS_PER_YEAR


def _useful_life() -> Figure:
    released = date(2024, 9, 5)
    due = useful_until(released, Doubling.named(NAMED_TRENDS["density"]))
    upper = "open" if due.upper is None else due.upper.isoformat()
    dated = [pair.doubling_days for pair in ABILITY_PAIRS if pair.doubling_days is not None]
    return Figure(
        "22",
        "a model's useful life",
        "A model's useful life is about one density doubling: by then half the size should do.",
        [
            f"example: MiniCPM3-4B of {released}; half its size is due on {due.day} ({due.lower} to {upper})",
            (
                f"the {len(dated)} dated pairs of entry 19, each as days to half the size at equal ability; pairs were "
                "published because they were remarkable, so they are no sample, and no tolerance is stated for them"
            ),
        ],
        [
            Claim(name=f"days to half the size, {what} of the dated pairs", unit="days", computed=value)
            for what, value in (("median", median(dated)), ("shortest", min(dated)), ("longest", max(dated)))
        ],
    )
