"""Overlap of texts against the packages that practitioners use for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import CHRF

from understudy.text.overlap import chrf, last_number, longest_common, rouge_l, words_of

ascii_texts = st.text(st.sampled_from("abcA1_ .,-\n"), max_size=60)
any_texts = st.text(st.sampled_from("abA1é你好  .,\n"), max_size=40)
ROUGE = RougeScorer(["rougeL"], use_stemmer=False)
CHRF2 = CHRF()


@given(ascii_texts, ascii_texts)
def test_rouge_l_is_that_of_rouge_score(left: str, right: str) -> None:
    # Without a word on one side the package says 0, also for a text compared with itself.
    if words_of(left) and words_of(right):
        theirs = ROUGE.score(right, left)["rougeL"].fmeasure
        assert rouge_l(left, right) == pytest.approx(theirs, abs=1e-12)


@given(any_texts, any_texts)
def test_chrf_is_that_of_sacrebleu(said: str, meant: str) -> None:
    if said.split() and meant.split():
        assert chrf(said, meant) == pytest.approx(CHRF2.sentence_score(said, [meant]).score / 100, abs=1e-12)


@given(st.lists(st.sampled_from("abcd"), max_size=30), st.lists(st.sampled_from("abcd"), max_size=30))
def test_longest_common_is_that_of_the_table(left: list[str], right: list[str]) -> None:
    rows = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for at, one in enumerate(left):
        for to, two in enumerate(right):
            rows[at + 1][to + 1] = rows[at][to] + 1 if one == two else max(rows[at][to + 1], rows[at + 1][to])
    assert longest_common(left, right) == rows[-1][-1]


@given(any_texts)
def test_a_text_is_wholly_like_itself(text: str) -> None:
    assert rouge_l(text, text) == 1
    assert chrf(text, text) == pytest.approx(1)


def test_scripts_without_blanks_are_compared_by_characters() -> None:
    assert words_of("退款 for 订单A1") == ["退", "款", "for", "订", "单", "a1"]
    assert rouge_l("客户要求退款", "客户希望退款") == pytest.approx(4 / 6)
    assert words_of("พัสดุ") == list("พัสดุ")


def test_texts_without_words_are_alike_if_they_are_the_same() -> None:
    assert rouge_l("...", "...") == 1
    assert rouge_l("...", "!") == 0
    assert rouge_l("", "word") == 0
    assert chrf(" ", "") == 1
    assert chrf("", "word") == 0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3 + 4 = 7", 7), ("She pays $1,234.50.", 1234.5), ("so -3\n#### -3", -3), ("no number", None),
        ("答案是42。", 42),
    ],
)  # fmt: skip
def test_the_last_number_is_what_working_comes_to(text: str, value: float | None) -> None:
    assert last_number(text) == value
