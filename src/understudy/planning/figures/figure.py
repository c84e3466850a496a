"""A published figure as an executable check: what was published, what comes out, by which assumptions.

The verdict is computed, never typed in: a claim is reproduced where the computed value lies within the stated
tolerance of the published one; reproduced with a stated assumption where it does so only once something is
assumed that the published text does not say; else inconsistent, with the factor that it misses by. It does not
know whether the published value is true, only whether it follows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

__all__ = [
    "ASSUMED",
    "COMPUTED",
    "INCONSISTENT",
    "REPRODUCED",
    "UNCHECKED",
    "Claim",
    "Figure",
    "Published",
    "Verdict",
    "about",
    "at_least",
    "at_most",
    "between",
]

Verdict = Literal[
    "reproduced",
    "reproduced with a stated assumption",
    "inconsistent",
    "computed: nothing published to compare",
    "not checked",
]
REPRODUCED: Verdict = "reproduced"
ASSUMED: Verdict = "reproduced with a stated assumption"
INCONSISTENT: Verdict = "inconsistent"
COMPUTED: Verdict = "computed: nothing published to compare"
UNCHECKED: Verdict = "not checked"
_FROM_WORST: tuple[Verdict, ...] = (INCONSISTENT, ASSUMED, REPRODUCED, COMPUTED, UNCHECKED)


@dataclass(frozen=True, slots=True)
class Published:
    """A published value and what counts as meeting it.

    Attributes
    ----------
    value
        The value, or the middle (geometric) of the range that was published.
    low, high
        What is accepted, both ends included.
    words
        How it was published.
    """

    value: float
    low: float
    high: float
    words: str

    def accepts(self, computed: float) -> bool:
        """Whether `computed` meets it."""
        return self.low <= computed <= self.high


def _plain(value: float) -> str:
    """A number as it would be published: 1.4e6, not 1.4e+06."""
    text = f"{value:,.6g}" if 1e-3 <= abs(value) < 1e6 else f"{value:.6g}"
    if abs(value) >= 1e6:
        text = f"{value:.6e}".replace("e+0", "e").replace("e+", "e")
        digits, power = text.split("e")
        text = f"{digits.rstrip('0').rstrip('.')}e{power}"
    return text


def about(value: float, tolerance: float, words: str | None = None) -> Published:
    """A value that is met within a relative `tolerance`."""
    ends = sorted((value * (1 - tolerance), value * (1 + tolerance)))
    return Published(value, ends[0], ends[1], words or _plain(value))


def between(low: float, high: float, words: str | None = None) -> Published:
    """A published range, met anywhere within it."""
    return Published((low * high) ** 0.5, low, high, words or f"{_plain(low)} to {_plain(high)}")


def at_most(value: float, words: str) -> Published:
    """A published upper limit."""
    return Published(value, -float("inf"), value, words)


def at_least(value: float, words: str) -> Published:
    """A published lower limit."""
    return Published(value, value, float("inf"), words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One number of a figure.

    Attributes
    ----------
    name
        What it is.
    unit
        Of all its values.
    published
        ``None`` where nothing was published: the value is then only shown.
    computed
        What follows from the published statement alone; ``None`` where it does not suffice.
    assumption, assumed
        What else has to be assumed, and what follows with it.
    missing
        Why nothing could be computed at all, such as data that is not there.
    because
        Why the value misses, for people; shown where the verdict is inconsistent.
    """

    name: str
    unit: str = ""
    published: Published | None = None
    computed: float | None = None
    assumption: str | None = None
    assumed: float | None = None
    missing: str | None = None
    because: str | None = None

    def __post_init__(self) -> None:
        assert (self.assumption is None) == (self.assumed is None), f"{self.name}: an assumption has a value"
        has_value = self.computed is not None or self.assumed is not None
        assert has_value != (self.missing is not None), f"{self.name}: a value, or why there is none"

    @property
    def verdict(self) -> Verdict:
        """See the module."""
        if self.missing is not None:
            return UNCHECKED
        if self.published is None:
            return COMPUTED
        if self.computed is not None and self.published.accepts(self.computed):
            return REPRODUCED
        if self.assumed is not None and self.published.accepts(self.assumed):
            return ASSUMED
        return INCONSISTENT

    @property
    def shown(self) -> float | None:
        """The value that the verdict rests on; the plain one where it misses."""
        if self.verdict == ASSUMED or self.computed is None:
            return self.assumed
        return self.computed

    @property
    def ratio(self) -> float | None:
        """Shown over published; ``None`` where there is no pair of positive numbers, or only a limit."""
        published, shown = self.published, self.shown
        if published is None or shown is None or published.value <= 0 or shown <= 0:
            return None
        is_limit = math.isinf(published.low) or math.isinf(published.high)
        return None if is_limit and published.accepts(shown) else shown / published.value

    @property
    def reason(self) -> str | None:
        """Why it is inconsistent; ``None`` where it is not."""
        if self.verdict != INCONSISTENT:
            return None
        by = "" if self.ratio is None else f"{self.ratio:.3g} times the published value"
        return ": ".join(part for part in (by, self.because) if part) or "it does not follow"

    def to_dict(self) -> dict[str, Any]:
        """JSON form; an open end of a range is null."""
        published = None
        if self.published is not None:
            ends = [
                end if abs(end) < float("inf") else None for end in (self.published.low, self.published.high)
            ]
            published = {"value": self.published.value, "accepted": ends, "words": self.published.words}
        return {
            "name": self.name,
            "unit": self.unit,
            "published": published,
            "computed": self.computed,
            "assumption": self.assumption,
            "assumed": self.assumed,
            "verdict": self.verdict,
            "because": self.reason,
            "missing": self.missing,
            "ratio": self.ratio,
        }


@dataclass(frozen=True, slots=True)
class Figure:
    """One entry: a statement and the claims in it.

    Attributes
    ----------
    number
        1 to 22, or ``S1`` on for replications of scaling laws.
    name
        Short.
    statement
        What was published.
    inputs
        Numbers that the computation takes, with where they come from.
    claims
        What was computed.
    """

    number: str
    name: str
    statement: str
    inputs: Sequence[str]
    claims: Sequence[Claim]

    @property
    def verdict(self) -> Verdict:
        """The worst of its claims: one claim that does not follow makes the entry inconsistent."""
        found = {claim.verdict for claim in self.claims}
        return next(verdict for verdict in _FROM_WORST if verdict in found)

    @property
    def words(self) -> str:
        """The verdict with its reason."""
        reasons = [f"{claim.name}, {claim.reason}" for claim in self.claims if claim.reason]
        return self.verdict if not reasons else f"{self.verdict}: because {'; '.join(reasons)}"

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "number": self.number,
            "name": self.name,
            "statement": self.statement,
            "verdict": self.words,
            "inputs": list(self.inputs),
            "claims": [claim.to_dict() for claim in self.claims],
        }
