import json

import pytest

from understudy.certify.bounds import clopper_pearson_interval
from understudy.errors import ArtefactError, ConfigError
from understudy.ledger.database import Ledger
from understudy.ledger.record import CallRecord, new_call_id
from understudy.planning.evidence import (
    DAYS_PER_MONTH,
    Counts,
    Evidence,
    artefact_evidence,
    joined,
    ledger_evidence,
)

DAY_MS = 86_400_000


@pytest.fixture
def artefact(tmp_path):
    facts = {
        "teacher": {"usd_per_call": 0.002, "usd_reason": "given price"},
        "measured": {"student_usd": 1.5e-8},
        "certificate": {"is_certified": True, "n": 280, "n_answered": 128},
    }
    (tmp_path / "facts.json").write_text(json.dumps(facts))
    (tmp_path / "receipt.json").write_text(json.dumps({"machine_usd": 0.5, "teacher_usd": 2.8}))
    return tmp_path


def edit(folder, **changes):
    path = folder / "facts.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.fixture
def ledger(tmp_path):
    """Ten days: 60 calls by the student, 20 by the teacher, 4 uncertified, 16 failed."""
    url = str(tmp_path / "ledger.db")
    with_ledger = Ledger.open(url)
    records = []
    for at in range(100):
        by = "student" if at < 60 else "upstream" if at < 80 else "uncertified" if at < 84 else "failed"
        records.append(
            CallRecord(
                id=new_call_id(),
                time_ms=1_767_225_600_000 + (at % 10) * DAY_MS,
                answered_by=by,
                mode="serve",
                status=502 if by == "failed" else 200,
                latency_us=10,
                task="triage",
                cost_nanousd=2_000_000 if by == "upstream" else None if by == "failed" else 1_000,
                teacher_cost_nanousd=None if at % 2 else 2_000_000,
            )
        )
    with_ledger.insert(records)
    with_ledger.close()
    return url


def test_an_artefact_tells_costs_and_coverage(artefact):
    found = artefact_evidence(artefact)
    assert (found.teacher_usd_per_call, found.student_usd_per_call, found.build_usd) == (0.002, 1.5e-8, 0.5)
    assert found.coverage == pytest.approx(128 / 280)
    assert found.counts.interval(0.95) == pytest.approx(clopper_pearson_interval(128, 280, 0.05))
    assert found.calls_per_month is None
    assert artefact_evidence(artefact, with_labels=True).build_usd == pytest.approx(3.3)


def test_nothing_certified_is_a_coverage_of_0(artefact):
    edit(artefact, certificate={"is_certified": False, "n": 280, "n_answered": 100})
    found = artefact_evidence(artefact)
    assert found.coverage == 0
    assert found.counts is None
    assert "nothing is certified" in found.sources["coverage"]


def test_what_an_artefact_lacks_is_unknown_with_a_reason(artefact):
    edit(
        artefact,
        teacher={"usd_per_call": None, "usd_reason": "no token counts"},
        measured={},
        certificate=None,
    )
    (artefact / "receipt.json").write_text("{}")
    found = artefact_evidence(artefact)
    assert (found.teacher_usd_per_call, found.student_usd_per_call, found.build_usd, found.coverage) == (
        None,
    ) * 4
    assert found.sources["teacher_usd_per_call"] == "no token counts"
    assert all(found.sources[name] for name in ("student_usd_per_call", "build_usd", "coverage"))


def test_a_damaged_or_missing_artefact_is_told(artefact, tmp_path):
    with pytest.raises(ConfigError, match="no such artefact"):
        artefact_evidence(tmp_path / "nowhere")
    (artefact / "facts.json").write_text("[]")
    with pytest.raises(ArtefactError, match=r"facts\.json"):
        artefact_evidence(artefact)
    (artefact / "facts.json").unlink()
    with pytest.raises(ArtefactError, match=r"facts\.json"):
        artefact_evidence(artefact)


def test_a_ledger_tells_volume_means_and_coverage(ledger):
    found = ledger_evidence(ledger)
    assert found.calls_per_month == pytest.approx(10 * DAYS_PER_MONTH)
    assert found.counts == Counts(64, 84)
    assert found.teacher_usd_per_call == pytest.approx(0.002)
    assert found.student_usd_per_call == pytest.approx(1e-6)
    assert "unknown left out" in found.sources["teacher_usd_per_call"]
    assert found.build_usd is None
    assert "no such calls" in ledger_evidence(ledger, task="other").sources["coverage"]


def test_the_first_that_knows_a_figure_gives_it(artefact, ledger):
    by_hand = Evidence(teacher_usd_per_call=0.01)
    found = joined(by_hand, ledger_evidence(ledger), artefact_evidence(artefact))
    assert found.teacher_usd_per_call == 0.01
    assert found.counts == Counts(64, 84)
    assert found.build_usd == 0.5
    nothing = joined(Evidence(), Evidence(sources={"coverage": "because"}))
    assert nothing.sources["coverage"] == "because"
    assert nothing.sources["build_usd"] == "not given"


@pytest.mark.parametrize("counts", [(3, 2), (-1, 2), (0, 0)])
def test_impossible_counts_are_refused(counts):
    with pytest.raises(ConfigError, match="ANSWERED/CALLS"):
        Counts(*counts)
