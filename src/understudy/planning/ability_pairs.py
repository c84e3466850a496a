"""Models said to be of equal ability, and the density ratio that each pair implies. It knows no benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from understudy.economics.trends import doubling_days_between

__all__ = ["ABILITY_PAIRS", "AbilityPair"]


@dataclass(frozen=True, slots=True)
class AbilityPair:
    """Two models said to be of equal ability.

    Attributes
    ----------
    small, large
        Names.
    small_parameters, large_parameters
        As published.
    small_day, large_day
        Releases; ``None`` where the pair names no single model.
    source
        Of the claim.
    """

    small: str
    small_parameters: float
    small_day: date | None
    large: str
    large_parameters: float
    large_day: date | None
    source: str

    @property
    def density_ratio(self) -> float:
        """How much denser the small one is: the ratio of sizes at equal ability."""
        return self.large_parameters / self.small_parameters

    @property
    def doubling_days(self) -> float | None:
        """Doubling time that the pair alone implies; ``None`` where a date is missing or none passed."""
        if self.small_day is None or self.large_day is None or self.small_day <= self.large_day:
            return None
        return doubling_days_between(1.0, self.density_ratio, (self.small_day - self.large_day).days)


ABILITY_PAIRS: tuple[AbilityPair, ...] = (
    AbilityPair(
        "Mistral-7B",
        7.3e9,
        date(2023, 9, 27),
        "Llama-2-13B",
        13e9,
        date(2023, 7, 18),
        "Mistral AI, announcement",
    ),
    AbilityPair(
        "Phi-2", 2.7e9, date(2023, 12, 12), "Llama-2-70B", 70e9, date(2023, 7, 18), "Microsoft Research, blog"
    ),
    AbilityPair(
        "MiniCPM-2.4B", 2.4e9, date(2024, 2, 1), "Llama-2-13B", 13e9, date(2023, 7, 18), "arXiv 2404.06395"
    ),
    AbilityPair(
        "MiniCPM-2.4B", 2.4e9, date(2024, 2, 1), "GPT-3 175B", 175e9, date(2020, 5, 28), "arXiv 2412.04315"
    ),
    AbilityPair(
        "MiniCPM-3-4B", 4e9, date(2024, 9, 5), "Gemma-2-9B", 9e9, date(2024, 6, 27), "MiniCPM3 release notes"
    ),
    AbilityPair(
        "Mengzi 1B", 1e9, date(2021, 10, 13), "Chinese models of 10B", 10e9, None, "arXiv 2110.06696 and CLUE"
    ),
    AbilityPair(
        "Mengzi 1B",
        1e9,
        date(2021, 10, 13),
        "Chinese models of 100B",
        100e9,
        None,
        "arXiv 2110.06696 and CLUE",
    ),
)
"""Published claims of equal ability. One pair is one benchmark and one choice of words: no trend follows from it."""
