"""Whether a certificate still holds, by what was seen since: exact binomial limits of the comparisons in shadow mode.

A look proves nothing on its own: where a certificate is true, the chance that one look calls it in doubt is at most
the certificate's delta (each look has that chance, whoever looks every day sees it come true some day).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from understudy.certify.bounds import Interval, clopper_pearson_interval, clopper_pearson_lower
from understudy.certify.certification import percent, percent_at_least, percent_at_most
from understudy.ledger.disagreements import Compared

__all__ = ["CertificateState", "StateName", "certificate_state"]

StateName = Literal["holds", "doubt", "unseen", "uncertified"]


@dataclass(frozen=True, slots=True)
class CertificateState:
    """What is to be thought of a certificate.

    Attributes
    ----------
    name
        ``holds`` (nothing speaks against it), ``doubt``, ``unseen`` (nothing was compared), ``uncertified``.
    title, detail
        For people: in few words, and with the counts.
    agreement
        Comparisons that agree and comparisons, among calls that the student (would have) answered.
    agreement_interval
        Clopper-Pearson, two-sided, at 95 %; ``None`` without comparisons.
    """

    name: StateName
    title: str
    detail: str
    agreement: tuple[int, int] = (0, 0)
    agreement_interval: Interval | None = None


def certificate_state(certificate: Mapping[str, Any] | None, seen: Compared) -> CertificateState:
    """Compare a certificate's promise with what was seen.

    Parameters
    ----------
    certificate
        As the manifest has it; ``None`` where there is none.
    seen
        Comparisons of this very artefact.

    Notes
    -----
    The promise is a limit on the rate of disagreement: ``1 - agreement_lower``, among the answers it gives
    (``of = "answered"``) or among all calls (``of = "all"``: answered and different). In shadow mode every call of
    the task is compared, so either rate is a plain binomial share. The certificate is in doubt where the exact
    one-sided lower limit of the rate (Clopper and Pearson 1934) at the certificate's own delta lies above the promise.
    """
    n, differing = seen.n_answered, seen.n_answered_differing
    interval = clopper_pearson_interval(n - differing, n) if n else None
    agreement = (n - differing, n)
    if not certificate or not certificate.get("is_certified") or certificate.get("agreement_lower") is None:
        return CertificateState(
            "uncertified",
            "not certified",
            "Nothing is promised; the student defers every call.",
            agreement,
            interval,
        )
    if certificate.get("reference", "teacher") != "teacher":
        detail = "It is about gold answers, and those of upstream say nothing of it."
        return CertificateState("unseen", "no evidence yet", detail, agreement, interval)
    promise, delta = 1.0 - float(certificate["agreement_lower"]), float(certificate["delta"])
    is_of_all = certificate.get("of") == "all"
    trials = seen.n if is_of_all else n
    if not trials:
        return CertificateState(
            "unseen",
            "no evidence yet",
            "No call of this artefact was compared; shadow mode compares.",
            agreement,
            interval,
        )
    lower = clopper_pearson_lower(differing, trials, delta)
    among = "compared calls" if is_of_all else "compared answers"
    counts = f"{differing:,} of {trials:,} {among} differ ({percent(differing, trials)})"
    limit = f"the promise is at most {percent_at_most(promise)}"
    if lower > promise:
        least = percent_at_least(lower)
        detail = f"{counts}: with {percent_at_least(1 - delta)} confidence at least {least}; {limit}."
        return CertificateState("doubt", "in doubt", detail, agreement, interval)
    return CertificateState("holds", "holds so far", f"{counts}; {limit}.", agreement, interval)
