from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.calls.call import ABSENT
from understudy.runtime.pointer import SpanBorders, pick_value, span_borders, span_grid
from understudy.runtime.pointer import span_scores as scores_on_grid
from understudy.runtime.tokens import Tokenised


def words(*parts: str) -> Tokenised:
    """Each white-space word is a token; one special token before each part and at the end."""
    part, offsets = [], []
    for at, text in enumerate(parts):
        part.append(-1)
        offsets.append((0, 0))
        end = 0
        for word in text.split():
            start = text.index(word, end)
            end = start + len(word)
            part.append(at)
            offsets.append((start, end))
    ids = np.arange(len(part) + 1)
    return Tokenised(ids, ids * 0, np.array([*part, -1]), np.array([*offsets, (0, 0)]), is_truncated=False)


def span_scores(token_scores: np.ndarray, borders: SpanBorders, longest: int) -> np.ndarray:
    return scores_on_grid(token_scores, span_grid(borders, longest))


def point_at(tokens: Tokenised, first: int, last: int) -> np.ndarray:
    scores = np.zeros((len(tokens.ids), 3))
    scores[first, 0] = scores[last, 1] = 6.0
    return scores


def test_the_span_is_copied_verbatim() -> None:
    parts = ("my Order  A1 is late", "thanks")
    tokens = words(*parts)
    scores = span_scores(point_at(tokens, 2, 3), span_borders(tokens, parts, is_snapped=False), 4)
    value, sure = pick_value(scores, np.array([-3.0]), (None,), tokens, parts, is_number=False)
    assert value == "Order  A1"
    assert 0.9 < sure < 1


def test_no_span_crosses_parts_or_special_tokens() -> None:
    parts = ("one two", "three")
    tokens = words(*parts)
    scores = span_scores(np.zeros((len(tokens.ids), 3)), span_borders(tokens, parts, is_snapped=False), 9)
    assert np.argwhere(np.isfinite(scores)).tolist() == [[1, 0], [1, 1], [2, 0], [4, 0]]


def test_null_and_absent_share_the_scale_with_spans() -> None:
    parts = ("one two",)
    tokens = words(*parts)
    scores = span_scores(np.zeros((4, 3)), span_borders(tokens, parts, is_snapped=False), 2)
    value, sure = pick_value(scores, np.array([0.0, 5.0]), (None, ABSENT), tokens, parts, is_number=False)
    assert value is ABSENT
    assert sure == pytest.approx(np.exp(5) / (np.exp(5) + 4))


def test_the_same_text_twice_counts_together() -> None:
    parts = ("A1 or A1",)
    tokens = words(*parts)
    token_scores = np.zeros((5, 3))
    token_scores[[1, 3], 0] = token_scores[[1, 3], 1] = 5.0
    scores = span_scores(token_scores, span_borders(tokens, parts, is_snapped=False), 1)
    value, sure = pick_value(scores, np.zeros(0), (), tokens, parts, is_number=False)
    assert value == "A1"
    assert sure > 0.99


def test_a_number_is_read_from_what_is_pointed_at() -> None:
    parts = ("refund $1,200.50 for 3 shirts",)
    tokens = words(*parts)
    scores = span_scores(point_at(tokens, 2, 2), span_borders(tokens, parts, is_snapped=False), 2)
    assert pick_value(scores, np.zeros(0), (), tokens, parts, is_number=True)[0] == 1200.5


def test_with_nothing_to_point_at_the_answer_is_unsure() -> None:
    tokens = words("")
    scores = span_scores(np.zeros((2, 3)), span_borders(tokens, ("",), is_snapped=False), 2)
    assert pick_value(scores, np.zeros(0), (), tokens, ("",), is_number=False) == (None, 0.0)


def test_snapping_keeps_words_whole() -> None:
    tokens = Tokenised(
        np.arange(3),
        np.zeros(3, int),
        np.zeros(3, int),
        np.array([(0, 2), (2, 4), (5, 6)]),
        is_truncated=False,
    )
    borders = span_borders(tokens, ("abcd 订单",), is_snapped=True)
    assert borders.may_begin.tolist() == [True, False, True]
    assert borders.may_end.tolist() == [False, True, True]


@given(st.integers(1, 8), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_scores_are_begin_plus_inside_plus_end(count: int, longest: int, seed: int) -> None:
    token = np.random.default_rng(seed).normal(size=(count, 3))
    yes = np.ones(count, dtype=bool)
    scores = span_scores(token, SpanBorders(yes, yes, np.zeros(count, int)), longest)
    for first in range(count):
        for more in range(scores.shape[1]):
            if first + more < count:
                last = first + more
                wanted = token[first, 0] + token[last, 1] + token[first : last + 1, 2].sum()
                assert scores[first, more] == pytest.approx(wanted)
            else:
                assert scores[first, more] == -np.inf
