"""Whether a certificate holds, from counts: exact limits, and what is not known."""

from __future__ import annotations

import random
from typing import Any

import pytest

from understudy.certify.bounds import clopper_pearson_interval
from understudy.ledger.disagreements import Compared
from understudy.serving.dashboard.state import certificate_state


def a_certificate(**changes: Any) -> dict[str, Any]:
    return {
        "is_certified": True, "agreement_lower": 0.9, "delta": 0.05, "of": "answered", "reference": "teacher", **changes
    }  # fmt: skip


@pytest.mark.parametrize(
    ("certificate", "seen", "name", "words"),
    [
        (None, Compared(9, 9, 9, 9), "uncertified", "defers every call"),
        (a_certificate(is_certified=False), Compared(), "uncertified", "defers"),
        (a_certificate(agreement_lower=None), Compared(), "uncertified", "defers"),
        (a_certificate(), Compared(), "unseen", "shadow mode and audits do"),
        # Compared, but none that it would have answered: says nothing of its answers.
        (a_certificate(), Compared(50, 20), "unseen", "shadow mode and audits do"),
        (a_certificate(reference="gold"), Compared(9, 9, 9, 9), "unseen", "gold"),
        (a_certificate(), Compared(100, 40, 60, 6), "holds", "6 of 60 compared answers differ (10 %)"),
        # .0905 is the one-sided 95 % limit of 15 in 100: not above .1. Of 16 it is .1029 (Clopper and Pearson).
        (a_certificate(), Compared(100, 15, 100, 15), "holds", "15 of 100"),
        (a_certificate(), Compared(100, 17, 100, 17), "doubt", "with 95 % confidence at least 11"),
        # Of all calls, those that it defers count as not wrong.
        (a_certificate(of="all"), Compared(100, 60, 40, 9), "holds", "9 of 100 compared calls differ"),
        (a_certificate(of="all"), Compared(100, 60, 40, 25), "doubt", "25 of 100 compared calls"),
    ],
)
def test_states(certificate: dict[str, Any] | None, seen: Compared, name: str, words: str) -> None:
    state = certificate_state(certificate, seen)
    assert state.name == name
    assert words in state.detail


@pytest.mark.parametrize(
    ("of", "seen", "share", "name", "words"),
    [
        ("answered", Compared(0, 0, 0, 0, 60, 3), (0, 0), "holds", "3 of 60 compared answers differ"),
        # Shadow mode and audits are counted together: neither 8 of 50 is enough alone.
        ("answered", Compared(50, 8, 50, 8), (0, 0), "holds", "8 of 50"),
        ("answered", Compared(50, 8, 50, 8, 50, 9), (0, 0), "doubt", "17 of 100"),
        # 30 % of the answers, but only a tenth of all calls is answered: 3 % of all.
        ("all", Compared(0, 0, 0, 0, 100, 30), (100, 1000), "holds", "30 of 100 audited answers differ"),
        ("all", Compared(0, 0, 0, 0, 100, 30), (900, 1000), "doubt", "of all calls; the promise"),
        ("all", Compared(0, 0, 0, 0, 100, 30), (0, 0), "unseen", "audits do"),
        ("all", Compared(80, 4, 60, 4, 100, 5), (500, 1000), "holds", "4 of 80 compared calls"),
    ],
)
def test_audits_are_evidence_too(
    of: str, seen: Compared, share: tuple[int, int], name: str, words: str
) -> None:
    state = certificate_state(a_certificate(of=of), seen, share)
    assert state.name == name
    assert words in state.detail


def test_agreement_is_of_what_it_answers_with_its_exact_interval() -> None:
    state = certificate_state(a_certificate(), Compared(500, 90, 200, 8))
    assert state.agreement == (192, 200)
    assert state.agreement_interval == clopper_pearson_interval(192, 200)
    assert certificate_state(a_certificate(), Compared(5, 5)).agreement_interval is None


@pytest.mark.parametrize("n", [5, 60, 400])
def test_a_true_certificate_is_seldom_called_in_doubt(n: int) -> None:
    """At the limit of the promise, a look calls it in doubt at most with the certificate's delta."""
    draw = random.Random(n)
    looks = 3000
    alarms = 0
    for _ in range(looks):
        differing = sum(draw.random() < 0.1 for _ in range(n))
        alarms += certificate_state(a_certificate(), Compared(n, differing, n, differing)).name == "doubt"
    # Three standard errors of the count of alarms above delta.
    assert alarms <= looks * 0.05 + 3 * (looks * 0.05 * 0.95) ** 0.5


def test_a_broken_certificate_is_found_out() -> None:
    assert certificate_state(a_certificate(), Compared(300, 60, 300, 60)).name == "doubt"
