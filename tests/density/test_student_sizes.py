import copy
import json
import sys
from pathlib import Path

import pytest

from understudy.density.students import student_sizes

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "report"))
from report_facts import bare_facts, plain_label_facts, record_facts, useful_no_facts


def by_name(facts):
    found = student_sizes(facts)
    return found, {row.name: row for row in found.rows}


def test_the_reference_is_worth_its_own_calls():
    found, rows = by_name(plain_label_facts())
    assert found.reference == "linear"
    assert rows["linear"].effective_calls == rows["linear"].n_calls == 8000
    assert rows["linear"].data_leverage == 1


def test_a_better_rung_is_worth_more_calls_of_the_reference():
    _, rows = by_name(plain_label_facts())
    order = sorted(rows.values(), key=lambda row: -row.error)
    worth = [row.effective_calls for row in order]
    assert worth == sorted(worth)
    for row in order[1:]:
        assert row.effective_calls_lower <= row.effective_calls <= row.effective_calls_upper
        assert row.data_leverage == pytest.approx(row.effective_calls / row.n_calls)


def test_sizes_need_three_other_rungs():
    _, rows = by_name(record_facts())
    assert rows["frozen"].effective_bytes is None
    assert "needs 3 other rungs" in rows["frozen"].size_reason
    _, rows = by_name(plain_label_facts())
    assert rows["tuned"].density == pytest.approx(rows["tuned"].effective_bytes / rows["tuned"].size_bytes)


def test_a_rung_on_the_ladders_own_line_has_density_1():
    facts = {
        "rungs": [
            {
                "name": f"r{at}",
                "status": "fitted",
                "size_bytes": 1e6 * 4**at,
                "curve": {
                    "points": [
                        {
                            "n_calls": n,
                            "n_eval": 10**7,
                            "n_errors": round(10**7 * 0.4 / 2**at * (n / 1000) ** -0.4),
                        }
                        for n in (1000, 2000, 4000)
                    ]
                },
            }
            for at in range(4)
        ]
    }
    found, rows = by_name(facts)
    assert [row.density for row in found.rows] == pytest.approx([1] * 4, rel=1e-3)
    # Half the error at a law of n ** -0.4 takes 2 ** 2.5 times the calls.
    assert rows["r1"].data_leverage == pytest.approx(2**2.5, rel=0.05)
    facts["rungs"][3]["curve"]["points"] = facts["rungs"][3]["curve"]["points"][:1]
    facts["rungs"][3]["curve"]["points"][0]["n_calls"] = 100
    assert "about as many calls" in by_name(facts)[1]["r0"].size_reason


def test_without_a_falling_curve_there_is_a_reason():
    found, rows = by_name(useful_no_facts())
    assert found.reference is None
    assert "no rung has a learning curve that falls" in found.reason
    assert rows["linear"].effective_calls is None
    assert rows["frozen"].calls_reason == "no learning curve was measured for this rung"


@pytest.mark.parametrize("make", [plain_label_facts, record_facts, useful_no_facts, bare_facts])
def test_it_is_plain_json(make):
    json.dumps(student_sizes(make()).to_dict(), allow_nan=False)


@pytest.mark.parametrize("broken", [None, "x", {}, [1], float("nan"), -3, True])
def test_malformed_facts_are_unknown(broken):
    for key in ("n_calls", "n_eval", "n_errors"):
        facts = copy.deepcopy(record_facts())
        for rung in facts["rungs"]:
            if rung.get("curve"):
                for point in rung["curve"]["points"]:
                    point[key] = broken
        found = student_sizes(facts)
        assert all(row.effective_calls is None for row in found.rows)
    facts = record_facts()
    for rung in facts["rungs"]:
        rung["size_bytes"] = rung["curve"] = broken
    assert all(row.size_bytes is None for row in student_sizes(facts).rows)
    assert student_sizes({"rungs": broken}).rows == ()
