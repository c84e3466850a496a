"""What is known about a task's costs: from an artefact that `learn` wrote, from a ledger, or as given.

It reads figures only, never texts of calls, and does not verify an artefact's hashes: loading it does that.
What a source does not hold stays ``None`` with a reason.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from understudy.certify.bounds import Interval, check_share, clopper_pearson_interval
from understudy.errors import ArtefactError, ConfigError
from understudy.ledger.database import Ledger
from understudy.ledger.queries import MoneySum, by_day, totals

__all__ = ["DAYS_PER_MONTH", "Counts", "Evidence", "artefact_evidence", "joined", "ledger_evidence"]

DAYS_PER_MONTH = 365 / 12
_NANO = 1e9


@dataclass(frozen=True, slots=True)
class Counts:
    """`answered` of `calls` were answered by the student."""

    answered: int
    calls: int

    def __post_init__(self) -> None:
        if not 0 <= self.answered <= self.calls or self.calls < 1:
            raise ConfigError(
                "coverage counts must be ANSWERED/CALLS with 0 <= ANSWERED <= CALLS",
                given=f"{self.answered}/{self.calls}",
            )

    @property
    def share(self) -> float:
        """Share of calls answered."""
        return self.answered / self.calls

    def interval(self, confidence: float) -> Interval:
        """Exact two-sided interval of the share (Clopper and Pearson), for independent calls."""
        check_share("confidence", confidence)
        return clopper_pearson_interval(self.answered, self.calls, 1 - confidence)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Figures for a break-even, each ``None`` where nothing tells it.

    Attributes
    ----------
    teacher_usd_per_call, student_usd_per_call
        Mean price of one call; the student's is paid on every call.
    build_usd
        Paid once.
    coverage
        Share of calls answered without the teacher.
    counts
        The counts behind `coverage`, from which its interval comes; ``None`` where it was given as a share.
    calls_per_month
        Volume.
    sources
        Where each figure comes from, or why it is unknown, by name.
    """

    teacher_usd_per_call: float | None = None
    student_usd_per_call: float | None = None
    build_usd: float | None = None
    coverage: float | None = None
    counts: Counts | None = None
    calls_per_month: float | None = None
    sources: Mapping[str, str] = field(default_factory=dict)


FIGURES = ("teacher_usd_per_call", "student_usd_per_call", "build_usd", "coverage", "calls_per_month")


def joined(*pieces: Evidence) -> Evidence:
    """Each figure from the first piece that knows it; the reasons of all where none does."""
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name in FIGURES:
        knows = next((piece for piece in pieces if getattr(piece, name) is not None), None)
        if knows is None:
            reasons = dict.fromkeys(piece.sources[name] for piece in pieces if name in piece.sources)
            sources[name] = "; ".join(reasons) or "not given"
            continue
        values[name] = getattr(knows, name)
        sources[name] = knows.sources.get(name, "given")
        if name == "coverage":
            values["counts"] = knows.counts
    return Evidence(**values, sources=sources)


def artefact_evidence(folder: str | Path, *, with_labels: bool = False) -> Evidence:
    """What an artefact's `facts.json` and `receipt.json` say.

    Coverage is the certificate's on calls that no choice has seen, and 0 where nothing is certified, since
    then every call goes to the teacher. The build is the run's machine time; the recorded calls had been
    paid for before, and count only `with_labels`.

    Raises
    ------
    ConfigError
        If there is no such folder.
    ArtefactError
        If one of the files is missing or is no JSON object.
    """
    where = Path(folder)
    if not where.is_dir():
        raise ConfigError(
            "there is no such artefact", given=str(folder), todo="give the folder that `learn --out` wrote"
        )
    facts, receipt = _read(where / "facts.json"), _read(where / "receipt.json")
    sources: dict[str, str] = {}
    teacher = facts.get("teacher") or {}
    teacher_usd = _number(teacher.get("usd_per_call"))
    sources["teacher_usd_per_call"] = str(teacher.get("usd_reason") or "the artefact does not tell")
    student_usd = _number((facts.get("measured") or {}).get("student_usd"))
    sources["student_usd_per_call"] = (
        "the artefact does not tell" if student_usd is None else "measured by learn, CPU time"
    )
    build = _number(receipt.get("machine_usd"))
    sources["build_usd"] = "receipt: machine time"
    if with_labels:
        labels = _number(receipt.get("teacher_usd"))
        build = None if build is None or labels is None else build + labels
        sources["build_usd"] = "receipt: machine time and labels"
    if build is None:
        sources["build_usd"] = "the receipt does not tell"
    coverage, counts, sources["coverage"] = _certified(facts.get("certificate"))
    return Evidence(teacher_usd, student_usd, build, coverage, counts, None, sources)


def _certified(certificate: Any) -> tuple[float | None, Counts | None, str]:
    if not isinstance(certificate, Mapping):
        return None, None, "the artefact holds no certificate"
    if not certificate.get("is_certified"):
        return 0.0, None, "nothing is certified: every call goes to the teacher"
    answered, n = certificate.get("n_answered"), certificate.get("n")
    if not isinstance(answered, int) or not isinstance(n, int) or n < 1:
        return None, None, "the certificate has no counts"
    return answered / n, Counts(answered, n), f"certificate: {answered:,} of {n:,} calls"


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtefactError(
            f"the artefact's {path.name} cannot be read", given=str(path), todo="learn it again"
        ) from error
    if not isinstance(found, dict):
        raise ArtefactError(f"the artefact's {path.name} is no JSON object", given=str(path))
    return found


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def ledger_evidence(url: str, *, task: str | None = None, since_ms: int | None = None) -> Evidence:
    """What a ledger has measured: volume per day, mean costs, coverage.

    Volume is calls over the days from the first to the last with calls, both counted whole. Means are over
    the calls whose cost is known. Coverage counts what a student answered, with a certificate or without one,
    among all calls that were answered; calls in shadow or record mode count as the teacher's. A ledger in which
    no student answered tells no coverage.

    Raises
    ------
    ConfigError
        If there is no such ledger.
    LedgerError
        If the database does not answer.
    """
    ledger = Ledger.open(url, may_create=False)
    try:
        everything = totals(ledger, since_ms=since_ms, task=task)
        by_student = totals(ledger, since_ms=since_ms, task=task, answered_by=["student", "uncertified"])
        days = list(by_day(ledger, since_ms=since_ms, task=task))
    finally:
        ledger.close()
    n_calls = everything.n_calls
    if not n_calls:
        return Evidence(sources=dict.fromkeys(FIGURES, "the ledger holds no such calls"))
    span = _days_between(days[0], days[-1])
    sources = {
        "build_usd": "a ledger does not tell what a build cost",
        "calls_per_month": f"ledger: {n_calls:,} calls in {span:,} day{'s' if span > 1 else ''}",
    }
    answered = n_calls - everything.answered["failed"]
    counts = None
    if by_student.n_calls and answered:
        counts = Counts(by_student.n_calls, answered)
        sources["coverage"] = f"ledger: {counts.answered:,} of {counts.calls:,} calls"
    else:
        sources["coverage"] = "the student answered no call of this ledger"
    teacher_usd = _mean(everything.teacher_cost, "teacher_usd_per_call", sources)
    student_usd = _mean(by_student.cost, "student_usd_per_call", sources)
    return Evidence(
        teacher_usd,
        student_usd,
        None,
        None if counts is None else counts.share,
        counts,
        n_calls / span * DAYS_PER_MONTH,
        sources,
    )


def _mean(money: MoneySum, name: str, sources: dict[str, str]) -> float | None:
    if not money.n_known:
        sources[name] = "no call of this ledger has a known cost"
        return None
    unknown = f", {money.n_unknown:,} unknown left out" if money.n_unknown else ""
    sources[name] = f"ledger: mean of {money.n_known:,} calls{unknown}"
    return money.known_nanousd / money.n_known / _NANO


def _days_between(first: str, last: str) -> int:
    from datetime import date

    return (date.fromisoformat(last) - date.fromisoformat(first)).days + 1
