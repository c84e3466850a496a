from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiny_encoder import tiny_tokenizer
from understudy.errors import ArtefactError
from understudy.runtime.tokens import TokenFrame, Tokeniser, portion_lengths


@pytest.fixture(scope="module")
def tokeniser(tmp_path_factory: pytest.TempPathFactory) -> Tokeniser:
    path = tmp_path_factory.mktemp("tokens") / "tokenizer.json"
    tiny_tokenizer().save(str(path))
    return Tokeniser.load(path, None, 24)


def test_one_text_and_a_pair_get_the_special_tokens_of_the_encoder(tokeniser: Tokeniser) -> None:
    plain = tiny_tokenizer()
    plain.no_padding()
    plain.no_truncation()
    for parts in (("the dog runs",), ("the dog runs", "a man sleeps")):
        wanted = plain.encode(*parts)
        made = tokeniser(parts)
        assert made.ids.tolist() == wanted.ids
        assert made.types.tolist() == wanted.type_ids
        assert not made.is_truncated


def test_three_parts_are_told_apart(tokeniser: Tokeniser) -> None:
    made = tokeniser(("dog", "man", "shirt"))
    assert made.part.tolist() == [-1, 0, -1, 1, -1, 2, -1]
    assert made.types.tolist() == [0, 0, 0, 1, 1, 1, 1]


def test_offsets_copy_the_text(tokeniser: Tokeniser) -> None:
    parts = ("Where is ORDER 订单 a1?", "The Dog")
    made = tokeniser(parts)
    copied = [
        parts[part][start:end]
        for part, (start, end) in zip(made.part, made.offsets, strict=True)
        if part >= 0
    ]
    assert copied == ["Where", "is", "ORDER", "订", "单", "a", "1", "?", "The", "Dog"]


def test_the_longest_part_is_cut_first(tokeniser: Tokeniser) -> None:
    made = tokeniser(("dog " * 50, "man sleeps"))
    assert len(made.ids) == 24
    assert made.is_truncated
    assert (made.part == 1).sum() == 2


def test_two_megabytes_cost_no_more_than_a_long_text(tokeniser: Tokeniser) -> None:
    made = tokeniser(("x" * 2_000_000, "\x00" * 1000))
    assert made.is_truncated
    assert len(made.ids) <= 24


@pytest.mark.parametrize("text", ["", " ", "\ud800 dog", "🙂", "مرحبا", "a\x00b"])
def test_odd_texts_are_taken(tokeniser: Tokeniser, text: str) -> None:
    made = tokeniser((text,))
    assert made.ids[0] == 2
    assert made.ids[-1] == 3


@given(st.lists(st.integers(0, 40), min_size=1, max_size=5), st.integers(0, 60))
def test_portions_fit_and_waste_nothing(lengths: list[int], room: int) -> None:
    kept = portion_lengths(lengths, room)
    assert sum(kept) == min(sum(lengths), room)
    assert all(0 <= have <= full for have, full in zip(kept, lengths, strict=True))
    cut = [have for have, full in zip(kept, lengths, strict=True) if have < full]
    assert not cut or max(cut) - min(cut) <= 1
    assert not cut or max(kept) <= max(cut) + 1


def test_the_frame_survives_json(tokeniser: Tokeniser) -> None:
    assert TokenFrame.from_dict(tokeniser.frame.to_dict()) == tokeniser.frame


def test_a_damaged_tokenizer_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{", encoding="utf-8")
    with pytest.raises(ArtefactError, match="tokenizer"):
        Tokeniser.load(tmp_path / "tokenizer.json", None, 24)
