"""The table of effective sizes in the report."""

from __future__ import annotations

import re

import pytest
from report_facts import ALL_FACTS, plain_label_facts, record_facts, useful_no_facts

from understudy.density.students import student_sizes
from understudy.report.section_students import students_section
from understudy.units import format_count


def shown(facts) -> str:
    return re.sub(r"<[^>]+>", " ", str(students_section(facts).body))


def test_each_fitted_rung_has_a_row_with_what_it_is_worth() -> None:
    facts = plain_label_facts()
    words = shown(facts)
    assert "how many calls the linear rung would have to learn from" in words
    for one in student_sizes(facts).rows:
        assert one.name in words
        assert one.effective_calls is not None
        assert format_count(one.effective_calls) in words


def test_unknown_sizes_say_why() -> None:
    assert "needs 3 other rungs with size and error" in shown(record_facts())
    assert "no rung has a learning curve that falls" in shown(useful_no_facts())
    assert "no rung was fitted" in shown({})


@pytest.mark.parametrize("name", ALL_FACTS)
def test_no_figure_is_made_up(name: str) -> None:
    words = shown(ALL_FACTS[name]())
    assert not re.search(r"\b(nan|inf|None)\b", words)
