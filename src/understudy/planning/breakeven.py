"""From which volume, and from which month, one way of answering calls is cheaper than another.

Joins what an artefact and a ledger tell with options given by hand. It compares costs, not quality.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from understudy.certify.bounds import Interval
from understudy.economics.breakeven import BreakEven, break_even
from understudy.economics.comparison import Comparison, compare_over_time, compare_over_volume
from understudy.economics.options import CostOption, api_option, own_option
from understudy.economics.prices import TeacherPrice
from understudy.errors import ConfigError
from understudy.planning.evidence import FIGURES, Evidence
from understudy.planning.money import ExchangeRate, exchange_rate, with_yuan
from understudy.planning.payback import Payback, duration_words, payback_of

__all__ = ["BreakEvenPlan", "Horizon", "plan_breakeven"]


_TEACHER, _STUDENT = "teacher", "student + teacher"
_MARGIN = 10.0
"""How many times the last pairwise crossing the volume axis reaches."""


@dataclass(frozen=True, slots=True)
class Horizon:
    """Over which time costs are added up.

    Attributes
    ----------
    months
        How far to look.
    growth_per_month
        Of the calls, 0.05 is 5 %.
    teacher_halving_months
        Time in which the teacher's price halves; ``None``: it stays.
    """

    months: int = 36
    growth_per_month: float = 0.0
    teacher_halving_months: float | None = None

    @property
    def is_even(self) -> bool:
        """Whether every month has the same calls at the same prices, so that months are calls divided."""
        return self.growth_per_month == 0 and self.teacher_halving_months is None

    @property
    def words(self) -> str:
        """What changes over time."""
        parts = []
        if self.growth_per_month:
            parts.append(f"calls growing by {100 * self.growth_per_month:.3g} % a month")
        if self.teacher_halving_months is not None:
            parts.append(f"the teacher's price halving every {self.teacher_halving_months:g} months")
        return " and ".join(parts)


@dataclass(frozen=True, slots=True, eq=False)
class BreakEvenPlan:
    """What a comparison found.

    Attributes
    ----------
    evidence
        The figures it rests on, with sources.
    student
        The student against the teacher alone.
    coverage_interval, volume_interval
        Of coverage, from its counts, and of the break-even volume that follows; an upper end of ``None``
        is "never at the lower end of coverage". ``None`` as a whole where there are no counts.
    payback, payback_interval
        Months until the student has paid back with the growth and the falling price of `horizon`, at the coverage
        and at the ends of its interval (the upper end of coverage first); ``None`` where the calls a month or a cost
        are unknown.
    confidence
        Of both intervals.
    options
        All options compared: teacher, student with teacher, those given.
    over_volume, over_time
        The comparisons; the latter is ``None`` where the volume per month is unknown.
    horizon
        As given.
    exchange
        For yuan.
    """

    evidence: Evidence
    student: BreakEven
    coverage_interval: Interval | None
    volume_interval: tuple[int | None, int | None] | None
    confidence: float
    options: tuple[CostOption, ...]
    over_volume: Comparison
    over_time: Comparison | None
    horizon: Horizon
    exchange: ExchangeRate
    payback: Payback | None = None
    payback_interval: tuple[Payback | None, Payback | None] | None = None

    @property
    def interval_reason(self) -> str | None:
        """Why the volume has no interval; ``None`` where it has one, or is itself unknown."""
        if self.volume_interval is not None or self.student.volume is None:
            return None
        return "coverage is a share without counts; counts, as in 128/280, give one"

    @property
    def stops(self) -> list[int]:
        """Months at which totals are told: the first, a year, the last; none without a volume per month."""
        if self.over_time is None:
            return []
        return sorted({1, min(12, self.horizon.months), self.horizon.months})

    def totals_usd(self, month: int) -> dict[str, float]:
        """Total cost of each option of known cost after so many months."""
        return {} if self.over_time is None else self.over_time.totals(month)

    @property
    def sentence(self) -> str:
        """The answer in a line."""
        known = self.student.volume
        if known is None:
            return f"The student against the teacher: {self.student.reason}."
        is_even = self.horizon.is_even or self.payback is None
        head = "The student pays back" if is_even else "At today's prices the student pays back"
        words = f"{head} after {known:,} call{'s' if known > 1 else ''}"
        if self.volume_interval is not None:
            low, high = self.volume_interval
            upper = "never" if high is None else f"{high:,}"
            if (low, high) != (known, known):
                words += f" ({100 * self.confidence:.0f} % interval: {low:,} to {upper})"
        monthly = self.evidence.calls_per_month
        if monthly and is_even:
            words += f", {duration_words(known / monthly)} at {monthly:,.0f} calls a month"
        elif monthly:
            words += f"; from {monthly:,.0f} calls a month, {self.horizon.words}: {self._payback_words()}"
        return words + "."

    def _payback_words(self) -> str:
        """Months until it has paid back, with the interval that coverage gives them."""
        assert self.payback is not None, "called where it is known"
        never = f"not within {self.horizon.months} months"

        def told(one: Payback | None) -> str:
            if one is None or one.months is None:
                return never
            return duration_words(one.months) if one.months > 0 else "at once"

        words = told(self.payback)
        words = f"after {words}" if self.payback.months else words
        if self.payback_interval is not None:
            low, high = (told(one) for one in self.payback_interval)
            if low != high:
                words += f" ({100 * self.confidence:.0f} % interval: {low} to {high})"
        if self.payback.until is not None:
            words += f", and the teacher is cheaper again from month {self.payback.until:.1f} on"
        return words

    def to_dict(self) -> dict[str, Any]:
        """JSON form; money in dollars and in yuan."""
        found = {
            "sentence": self.sentence,
            "evidence": {name: getattr(self.evidence, name) for name in FIGURES},
            "sources": dict(self.evidence.sources),
            "student": self.student.to_dict(),
            "coverage_interval": self.coverage_interval,
            "volume_interval": self.volume_interval,
            "interval_reason": self.interval_reason,
            "payback": None if self.payback is None else self.payback.to_dict(),
            "payback_interval": None
            if self.payback_interval is None
            else [None if one is None else one.to_dict() for one in self.payback_interval],
            "confidence": self.confidence,
            "options": [option.to_dict() for option in self.options],
            "over_volume": self.over_volume.to_dict(),
            "over_time": None if self.over_time is None else self.over_time.to_dict(),
            "totals": [
                {"months": month, "option": name, "total_usd": total}
                for month in self.stops
                for name, total in self.totals_usd(month).items()
            ],
            "exchange": asdict(self.exchange),
        }
        return dict(with_yuan(found, self.exchange))


def plan_breakeven(
    evidence: Evidence,
    options: Sequence[CostOption] = (),
    *,
    confidence: float = 0.95,
    horizon: Horizon | None = None,
    cny_per_usd: float | None = None,
) -> BreakEvenPlan:
    """Compare the student, the teacher and other options.

    Parameters
    ----------
    evidence
        Figures of the student and the teacher; teacher and student are compared where these are known.
    options
        Further ways of answering the same calls.
    confidence
        Of the interval of coverage, in (0, 1).
    horizon
        For the comparison over time; the default is 36 months without growth.
    cny_per_usd
        Exchange rate; ``None``: the catalogue's.

    Raises
    ------
    ConfigError
        If a figure is out of range, or options with monthly fees are given without a volume per month.
    """
    horizon = horizon or Horizon()
    student = _student(evidence, evidence.coverage)
    interval = None if evidence.counts is None else evidence.counts.interval(confidence)
    volumes = None
    if interval is not None and student.volume is not None:
        volumes = (_student(evidence, interval[1]).volume, _student(evidence, interval[0]).volume)
    everything = (*_first_two(evidence, horizon), *options)
    monthly = evidence.calls_per_month
    if monthly is None and any(option.has_fees for option in everything):
        raise ConfigError(
            "an option costs by the month, and the calls per month are unknown", todo="give --calls-per-month"
        )
    over_time = None
    if monthly is not None:
        over_time = compare_over_time(
            everything,
            calls_per_month=monthly,
            months=horizon.months,
            growth_per_month=horizon.growth_per_month,
        )
    return BreakEvenPlan(
        evidence,
        student,
        interval,
        volumes,
        confidence,
        everything,
        _over_volume(everything, student, monthly, horizon),
        over_time,
        horizon,
        exchange_rate(cny_per_usd),
        _payback(evidence, evidence.coverage, horizon),
        None
        if interval is None
        else (_payback(evidence, interval[1], horizon), _payback(evidence, interval[0], horizon)),
    )


def _student(evidence: Evidence, coverage: float | None) -> BreakEven:
    return break_even(
        teacher_usd_per_call=evidence.teacher_usd_per_call,
        student_usd_per_call=evidence.student_usd_per_call,
        build_usd=evidence.build_usd,
        coverage=coverage,
    )


def _payback(evidence: Evidence, coverage: float | None, horizon: Horizon) -> Payback | None:
    """Months until the student has paid back at some coverage; ``None`` where something is unknown."""
    if evidence.calls_per_month is None or coverage is None:
        return None
    pair = _first_two(replace(evidence, coverage=coverage), horizon)
    found = compare_over_time(
        pair,
        calls_per_month=evidence.calls_per_month,
        months=horizon.months,
        growth_per_month=horizon.growth_per_month,
    )
    return payback_of(found, _TEACHER, _STUDENT)


def _first_two(evidence: Evidence, horizon: Horizon) -> tuple[CostOption, ...]:
    """The teacher and the student, unless nothing at all is known of them."""
    if all(getattr(evidence, name) is None for name in FIGURES[:4]):
        return ()
    teacher_usd = evidence.teacher_usd_per_call
    price = None if teacher_usd is None else TeacherPrice(teacher_usd)
    teacher = api_option(
        _TEACHER,
        price,
        halving_months=horizon.teacher_halving_months,
        reason=evidence.sources.get("teacher_usd_per_call", "not given"),
    )
    if evidence.coverage is None and evidence.student_usd_per_call is None:
        return (teacher,)
    student_usd = evidence.student_usd_per_call
    student = own_option(
        _STUDENT,
        build_usd=evidence.build_usd,
        usd_per_hour=0.0,
        coverage=evidence.coverage if student_usd is not None else None,
        teacher_usd_per_call=teacher_usd,
        usd_per_call=student_usd or 0.0,
        halving_months=horizon.teacher_halving_months,
    )
    if student_usd is None:
        reason = evidence.sources.get("student_usd_per_call", "not given")
        student = CostOption(
            name=student.name, once_usd=evidence.build_usd, usd_per_call=None, notes={"usd_per_call": reason}
        )
    return teacher, student


def _over_volume(
    options: Sequence[CostOption], student: BreakEven, monthly: float | None, horizon: Horizon
) -> Comparison:
    """Volume up to well past the last crossing; where there is none, past what the horizon brings."""
    most = float(student.volume or 1_000)
    if monthly is not None:
        most = max(most, monthly * horizon.months)
    period = 1.0 if monthly is None else float(horizon.months)
    known = [option for option in options if not option.unknown]
    for at, first in enumerate(known):
        for second in known[at + 1 :]:
            assert first.usd_per_call is not None and second.usd_per_call is not None  # noqa: PT018
            assert first.once_usd is not None and second.once_usd is not None  # noqa: PT018
            slope = first.usd_per_call - second.usd_per_call
            meets = (second.once_usd - first.once_usd) / slope if slope else 0.0
            if 0 < meets < 1e15:
                most = max(most, meets)
    return compare_over_volume(options, most_calls=_MARGIN * most, period_months=period)
