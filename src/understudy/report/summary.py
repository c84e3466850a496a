"""The few figures that headline, console and model card share, each with its reason where it is unknown.

Coverage and agreement here are those measured on the certify split, never the forecasts by which a system was
chosen.
"""

from __future__ import annotations

from dataclasses import dataclass

from understudy.certify.certification import percent_at_least
from understudy.report.reading import Facts, number, part, rows, rung_size, text, texts

__all__ = ["Summary", "members_of", "no_headline", "summarise"]


@dataclass(frozen=True, slots=True)
class Summary:
    """Key figures of a run.

    Attributes
    ----------
    name
        Of the task.
    is_certified
        Whether the target holds.
    sentence
        The certificate in one plain sentence.
    chosen
        Name of the winning system, ``None`` if no rung could be fitted.
    target, confidence
        Shares in (0, 1).
    of
        ``answered`` or ``all``.
    reference
        ``teacher`` or ``gold``: whose answers the target refers to.
    coverage, coverage_low, coverage_high
        Share of certify calls answered, with its 95 % interval.
    agreement, agreement_lower
        Estimate and certified lower bound.
    teacher_usd
        Price of one call to the teacher, or ``None``; then `teacher_usd_reason`.
    student_usd
        Compute per call of the chosen system.
    system_usd
        Student on every call plus teacher on deferred ones, per call; ``None`` with `system_usd_reason`.
    call_seconds, size_bytes
        CPU time per answer and size of the chosen system.
    """

    name: str
    is_certified: bool
    sentence: str
    chosen: str | None
    target: float | None
    confidence: float | None
    of: str
    reference: str
    coverage: float | None
    coverage_low: float | None
    coverage_high: float | None
    agreement: float | None
    agreement_lower: float | None
    teacher_usd: float | None
    teacher_usd_reason: str
    student_usd: float | None
    system_usd: float | None
    system_usd_reason: str
    call_seconds: float | None
    size_bytes: float | None

    @property
    def target_words(self) -> str:
        """The target as people say it."""
        if self.target is None:
            return "the target"
        share = f"{100 * self.target:g} %"
        if self.of == "all":
            return f"at most {100 * (1 - self.target):.4g} % wrong answers among all calls"
        whose = (
            "agreement with the teacher" if self.reference == "teacher" else "accuracy by the gold answers"
        )
        return f"{share} {whose} among answered calls"


def members_of(system: str) -> list[str]:
    """Rungs that a system's name holds: ``linear → linear+frozen`` is linear, frozen."""
    found = [name.strip() for stage in system.split("→") for name in stage.split("+")]
    return list(dict.fromkeys(name for name in found if name))


def summarise(facts: Facts) -> Summary:
    """Key figures of `facts`."""
    certificate, options, teacher = part(facts, "certificate"), part(facts, "options"), part(facts, "teacher")
    winner = next((row for row in rows(facts, "candidates") if row.get("is_chosen")), {})
    chosen = text(facts, "chosen") or text(winner, "name")
    delta = number(certificate, "delta")
    low, high = coverage_interval(certificate)
    is_certified = bool(certificate.get("is_certified"))
    coverage = number(certificate, "coverage") if is_certified else None
    teacher_usd, student_usd = number(teacher, "usd_per_call"), number(winner, "call_usd")
    system_usd, reason = _system_usd(teacher_usd, student_usd, coverage)
    return Summary(
        name=text(facts, "name") or "task",
        is_certified=is_certified,
        sentence=text(certificate, "sentence") or "Not certified: no certificate was made.",
        chosen=chosen,
        target=number(certificate, "target") or number(options, "target"),
        confidence=1 - delta if delta is not None else number(options, "confidence"),
        of=text(certificate, "of") or text(options, "of") or "answered",
        reference=text(certificate, "reference") or text(options, "reference") or "teacher",
        coverage=coverage,
        coverage_low=low if is_certified else None,
        coverage_high=high if is_certified else None,
        agreement=number(certificate, "agreement"),
        agreement_lower=number(certificate, "agreement_lower"),
        teacher_usd=teacher_usd,
        teacher_usd_reason=text(teacher, "usd_reason")
        or "the log holds neither costs nor tokens with a price",
        student_usd=student_usd,
        system_usd=system_usd,
        system_usd_reason=reason,
        call_seconds=number(winner, "call_seconds"),
        size_bytes=rung_size(facts, members_of(chosen)) if chosen else None,
    )


def coverage_interval(certificate: Facts) -> tuple[float | None, float | None]:
    """The interval of coverage, in either of the two forms in which certificates carry it."""
    pair = certificate.get("coverage_interval")
    if isinstance(pair, list | tuple) and len(pair) == 2:
        ends = {"low": pair[0], "high": pair[1]}
        return number(ends, "low"), number(ends, "high")
    return number(certificate, "coverage_low"), number(certificate, "coverage_high")


def _system_usd(
    teacher_usd: float | None, student_usd: float | None, coverage: float | None
) -> tuple[float | None, str]:
    if coverage is None:
        return None, "nothing is certified, so every call still goes to the teacher"
    if student_usd is None:
        return None, "the student's cost was not measured"
    if teacher_usd is None:
        return None, "the teacher's price is unknown"
    return student_usd + (1 - coverage) * teacher_usd, ""


def no_headline(facts: Facts, summary: Summary) -> str:
    """The headline of a useful no, in one sentence."""
    if summary.target is None:
        return "No small model is certified for this task yet."
    share = percent_at_least(summary.target, digits=2)
    if summary.chosen is None:
        return f"No small model could be fitted, so nothing is certified at {share}."
    tried = sum(row.get("status") in ("fitted", "cached") for row in rows(facts, "rungs"))
    if tried == 1:
        return (
            "Keep the teacher for now: one kind of small model was tried, and it cannot be"
            f" certified at {share}."
        )
    return (
        f"Keep the teacher for now: {tried} kinds of small model were tried, and none can be"
        f" certified at {share}."
    )


def deferred_words(facts: Facts) -> str | None:
    """What free-text fields mean for the answer, or ``None`` if there are none."""
    names = texts(facts, "deferred_fields")
    if not names:
        return None
    return f"Free text is left to the teacher: no rung writes {', '.join(names)}."
