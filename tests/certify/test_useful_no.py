import json

import numpy as np
import pytest

from understudy.certify.ceiling import measure_ceiling
from understudy.certify.sequence import certify_selective
from understudy.certify.useful_no import explain_failure
from understudy.economics.curve import fit_learning_curve


def failed(n=200, n_errors=12, **changes):
    right = np.arange(n) >= n_errors
    return certify_selective(
        np.full(n, 0.9), right, thresholds=[0.9, 0.5], **{"target": 0.95, "delta": 0.05, **changes}
    )


def test_too_few_calls_names_how_many_and_their_price():
    found = explain_failure(
        failed(40, 0), select_errors=1, select_answered=100, select_n=125, teacher_usd_per_call=0.001
    )
    assert [reason.kind for reason in found.reasons] == ["too few calls"]
    more = next(remedy for remedy in found.remedies if remedy.kind == "certify on more calls")
    assert more.n_calls > 59
    assert more.cost_usd == pytest.approx(more.n_calls * 0.001)
    assert more.is_forecast


def test_remedies_are_sorted_by_price_with_the_unpriced_last():
    curve = fit_learning_curve([(n, int(2000 * (2 * n**-0.5 + 0.01)), 2000) for n in (250, 500, 1000, 2000)])
    found = explain_failure(
        failed(),
        select_errors=30,
        select_answered=1000,
        select_n=1000,
        curve=curve,
        n_train=2000,
        teacher_usd_per_call=0.002,
        other_rungs=("tuned",),
        n_off_schema=100,
        n_calls=1000,
        chance_error=0.5,
        student_error=0.48,
    )
    kinds = [remedy.kind for remedy in found.remedies]
    assert kinds[0] == "lower target"
    assert set(kinds[-2:]) == {"another rung", "fix the schema"}
    assert {"certify on more calls", "label more"} <= set(kinds)
    prices = [remedy.cost_usd for remedy in found.remedies if remedy.cost_usd is not None]
    assert prices == sorted(prices)
    assert all(remedy.cost_reason for remedy in found.remedies if remedy.cost_usd is None)
    assert [reason.kind for reason in found.reasons] == ["not learnable", "off-schema", "too many errors"]
    json.dumps(found.to_dict())
    assert found.lines()[0] == "Nothing meets the target 0.95."


def test_the_lower_target_is_the_certified_bound_rounded_down():
    verdict = failed()
    lower = explain_failure(verdict).remedies[0]
    assert lower.kind == "lower target"
    assert not lower.is_forecast
    assert verdict.agreement_lower == pytest.approx(0.9046, abs=1e-4)
    assert "at least 90.4 %" in lower.text


def test_no_promise_where_errors_are_above_the_target():
    found = explain_failure(failed(200, 30), teacher_usd_per_call=0.001)
    assert "certify on more calls" not in [remedy.kind for remedy in found.remedies]


def test_an_unknown_price_is_unknown():
    found = explain_failure(failed(40, 0), select_errors=0, select_answered=100, select_n=100)
    more = next(remedy for remedy in found.remedies if remedy.kind == "certify on more calls")
    assert more.cost_usd is None
    assert more.cost_reason == "unknown: the teacher's price is not known"
    assert any("unknown" in line for line in found.lines())


def test_the_noise_ceiling_comes_first():
    ceiling = measure_ceiling([["a", "a"]] * 300 + [["a", "b"]] * 700)
    assert explain_failure(failed(), ceiling=ceiling).reasons[0].kind == "noise ceiling"


def test_a_success_is_not_explained():
    with pytest.raises(ValueError, match="needs no explanation"):
        explain_failure(failed(200, 0))
