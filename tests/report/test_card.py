"""The model card."""

from __future__ import annotations

import pytest
from report_facts import ALL_FACTS, HOSTILE, plain_label_facts

from understudy.report.card import model_card


@pytest.mark.parametrize("name", ALL_FACTS)
def test_has_its_parts(name: str) -> None:
    card = model_card(ALL_FACTS[name]())
    for part in (
        "## Certificate",
        "## Data",
        "## System",
        "## Costs",
        "## Provenance and licence",
        "## Limits",
    ):
        assert part in card
    assert ("## How to load" in card) is (name in ("plain", "record"))


def test_tables_hold_together_and_text_is_escaped() -> None:
    facts = plain_label_facts()
    facts["name"] = "a | b\n# not a heading " + HOSTILE[0]
    facts["fields"][0]["labels"][0]["label"] = "x|y\nz"
    card = model_card(facts)
    assert "<script>" not in card.replace("\\<script\\>", "")
    assert card.count("\n# ") == 0
    row = next(line for line in card.splitlines() if line.startswith("| answer"))
    assert row.replace("\\|", "").count("|") == 5
    card.encode("utf-8")


def test_gold_and_teacher_are_apart() -> None:
    assert "Against gold answers, which is another matter" in model_card(plain_label_facts())
    assert "Nothing is certified about being right" in model_card(ALL_FACTS["record"]())


def test_base_model_names_its_licence() -> None:
    assert "sentence-transformers/all-MiniLM-L6-v2 (from package), licence apache-2.0" in model_card(
        plain_label_facts()
    )


def test_a_written_field_says_what_counts_as_equal() -> None:
    facts = ALL_FACTS["record"]()
    facts["fields"].append({**facts["fields"][0], "name": "note", "kind": "text", "mode": "write",
                            "equality": "has a ROUGE-L of at least 0.6 with the reference's text"})  # fmt: skip
    card = model_card(facts)
    assert "note: two texts count as equal if the student's has a ROUGE-L of at least 0.6" in card
    assert "| note | text | written |" in card
