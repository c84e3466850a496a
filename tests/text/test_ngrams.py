from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.text.ngrams import NgramCounts, count_ngrams, fold_text

texts = st.text(max_size=60)


def rows_of(counts: NgramCounts, text: int) -> list[tuple[int, int]]:
    own = counts.texts == text
    return list(zip(counts.buckets[own].tolist(), counts.counts[own].tolist(), strict=True))


@given(st.lists(texts, min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_a_text_has_the_same_features_in_every_batch(batch: list[str]) -> None:
    together = count_ngrams([(text,) for text in batch])
    for at, text in enumerate(batch):
        assert rows_of(together, at) == rows_of(count_ngrams([(text,)]), 0)


@given(texts, texts)
@settings(max_examples=60, deadline=None)
def test_a_pair_has_the_same_features_in_every_batch(left: str, right: str) -> None:
    alone = count_ngrams([(left, right)])
    together = count_ngrams([("other words", "stand here"), (left, right)])
    assert rows_of(alone, 0) == rows_of(together, 1)


def test_words_and_characters_are_counted() -> None:
    assert len(rows_of(count_ngrams([("ab",)]), 0)) == len({"ab", " ab", "ab ", " ab "})
    repeated = count_ngrams([("ab ab",)])
    assert max(repeated.counts) == 2


def test_folding_makes_variants_equal() -> None:
    assert fold_text("  Ｗhere\tIS\nit ") == "where is it"
    assert rows_of(count_ngrams([("WHERE is",)]), 0) == rows_of(count_ngrams([("where  IS",)]), 0)


def test_unspaced_scripts_share_characters_and_pairs() -> None:
    def shared(left: str, right: str) -> int:
        counts = count_ngrams([(left,), (right,)])
        return len(set(counts.buckets[counts.texts == 0]) & set(counts.buckets[counts.texts == 1]))

    assert shared("我的包裹在哪里", "包裹丢了") >= 3  # two characters and their pair at least
    assert shared("我的包裹在哪里", "退款没到账") == 0


def test_order_of_a_pair_matters() -> None:
    assert rows_of(count_ngrams([("a man", "a dog")]), 0) != rows_of(count_ngrams([("a dog", "a man")]), 0)


@pytest.mark.parametrize("text", ["", " ", "\x00", "\ud800", "🙂", "م" * 50_000])
def test_odd_texts_are_counted_without_error(text: str) -> None:
    counts = count_ngrams([(text,)])
    assert counts.n_texts == 1
    assert np.all(counts.counts > 0)
