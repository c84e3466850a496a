"""Whether a certificate still holds, by what was seen since: exact binomial limits of what shadow mode and audits
compared.

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


def certificate_state(
    certificate: Mapping[str, Any] | None, seen: Compared, answered_share: tuple[int, int] = (0, 0)
) -> CertificateState:
    """Compare a certificate's promise with what was seen.

    Parameters
    ----------
    certificate
        As the manifest has it; ``None`` where there is none.
    seen
        Comparisons of this very artefact.
    answered_share
        Calls in serve mode that the student answered, and all of them: what audits need where the promise is about
        all calls.

    Notes
    -----
    The promise is a limit on the rate of disagreement: ``1 - agreement_lower``, among the answers it gives
    (``of = "answered"``) or among all calls (``of = "all"``: answered and different). The certificate is in doubt
    where an exact one-sided lower limit of that rate (Clopper and Pearson 1934) lies above the promise, at the
    certificate's own delta.

    Among answers, shadow mode and audits are draws from one kind of call, and are counted together. Among all calls,
    shadow mode compares every call of the task, so the rate is a plain share; audits see answers only, so the lower
    limit of their rate times that of the share of calls that are answered limits the product (each at half the
    level). Where there are both, each gets half of delta (Bonferroni).
    """
    n = seen.n_answered + seen.n_audited
    differing = seen.n_answered_differing + seen.n_audited_differing
    agreement = (n - differing, n)
    interval = clopper_pearson_interval(n - differing, n) if n else None

    def state(name: StateName, title: str, detail: str) -> CertificateState:
        return CertificateState(name, title, detail, agreement, interval)

    if not certificate or not certificate.get("is_certified") or certificate.get("agreement_lower") is None:
        return state("uncertified", "not certified", "Nothing is promised; the student defers every call.")
    if certificate.get("reference", "teacher") != "teacher":
        return state(
            "unseen", "no evidence yet", "It is about gold answers, and those of upstream say nothing of it."
        )
    promise, delta = 1.0 - float(certificate["agreement_lower"]), float(certificate["delta"])
    found = (
        _of_all(seen, answered_share, delta)
        if certificate.get("of") == "all"
        else _evidence(differing, n, delta, "compared answers")
    )
    if not found:
        return state(
            "unseen", "no evidence yet", "No answer of this artefact was compared; shadow mode and audits do."
        )
    whole = "all calls" if certificate.get("of") == "all" else "its answers"
    limit = f"the promise is at most {percent_at_most(promise)} of {whole}"
    worst = max(found, key=lambda one: one.lower)
    if worst.lower > promise:
        least = f"with {percent_at_least(1 - delta)} confidence at least {percent_at_least(worst.lower)} of {whole}"
        return state("doubt", "in doubt", f"{worst.words}: {least}; {limit}.")
    return state("holds", "holds so far", f"{' and '.join(one.words for one in found)}; {limit}.")


@dataclass(frozen=True, slots=True)
class _Evidence:
    """A lower limit of the rate in question, and the counts that it comes from."""

    lower: float
    words: str


def _evidence(differing: int, n: int, delta: float, among: str) -> list[_Evidence]:
    if not n:
        return []
    words = f"{differing:,} of {n:,} {among} differ ({percent(differing, n)})"
    return [_Evidence(clopper_pearson_lower(differing, n, delta), words)]


def _of_all(seen: Compared, answered_share: tuple[int, int], delta: float) -> list[_Evidence]:
    n_answered, n_calls = answered_share
    has_audits = seen.n_audited > 0 and n_calls > 0
    level = delta / 2 if seen.n and has_audits else delta
    # In shadow mode what it would have deferred is compared too, and is not wrong: it would not have been given.
    found = _evidence(seen.n_answered_differing, seen.n, level, "compared calls")
    if has_audits:
        (audits,) = _evidence(seen.n_audited_differing, seen.n_audited, level / 2, "audited answers")
        share = clopper_pearson_lower(n_answered, n_calls, level / 2)
        found.append(_Evidence(audits.lower * share, audits.words))
    return found
