"""Alignment of two tokenisations: it covers the text, is monotone, and is as fine as can be."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from understudy.errors import DataError
from understudy.lm.losses.span_alignment import Alignment, Span, align_spans

TEXTS = [
    "The parcel LK-204417 was due on Monday.",
    "  two blanks,  a tab\tand\n\nlines  ",
    "订单LK-771204少发了一只杯子，退我39元吧",
    "naïve café \u00e9 e\u0301 ﬁne 👩\u200d👩\u200d👧 🇩🇪!",
    "नमस्ते दुनिया مرحبا بالعالم",
    "a",
    " ",
    "",
]


def trained(kind: str) -> Tokenizer:
    if kind == "bytes":
        tokeniser = Tokenizer(models.BPE())
        tokeniser.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokeniser.post_processor = processors.ByteLevel(trim_offsets=False)
        trainer = trainers.BpeTrainer(
            vocab_size=400, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
        )
    elif kind == "trimmed bytes with a prefix":
        tokeniser = Tokenizer(models.BPE())
        tokeniser.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        tokeniser.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0), trim_offsets=True)
        trainer = trainers.BpeTrainer(
            vocab_size=300,
            show_progress=False,
            special_tokens=["<s>", "</s>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        )
    elif kind == "words":
        tokeniser = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokeniser.normalizer = normalizers.BertNormalizer()
        tokeniser.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(
            vocab_size=200, show_progress=False, special_tokens=["[UNK]", "[CLS]", "[SEP]"]
        )
        tokeniser.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    else:
        tokeniser = Tokenizer(models.Unigram())
        tokeniser.normalizer = normalizers.NFKC()
        tokeniser.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=120, show_progress=False, special_tokens=["<unk>"], unk_token="<unk>"
        )
    tokeniser.train_from_iterator(TEXTS * 3, trainer)
    return tokeniser


KINDS = ["bytes", "trimmed bytes with a prefix", "words", "pieces"]


@pytest.fixture(scope="module")
def tokenisers() -> dict[str, Tokenizer]:
    return {kind: trained(kind) for kind in KINDS}


def check(length: int, student: list[Span], teacher: list[Span]) -> Alignment:
    """Everything that an alignment promises but that it is the finest."""
    alignment = align_spans(length, student, teacher)
    has_text = [[at for at, (begin, end) in enumerate(spans) if begin < end] for spans in (student, teacher)]
    if not has_text[0] or not has_text[1]:
        assert alignment.chunks == ()
        return alignment
    borders = [0, *(chunk.span[1] for chunk in alignment.chunks)]
    assert [chunk.span for chunk in alignment.chunks] == list(itertools.pairwise(borders))
    assert borders[-1] == length
    assert borders == sorted(set(borders))
    for side, spans, all_tokens in (("student", student, has_text[0]), ("teacher", teacher, has_text[1])):
        named = [getattr(chunk, side) for chunk in alignment.chunks]
        assert [token for tokens in named for token in tokens] == all_tokens
        for chunk, tokens in zip(alignment.chunks, named, strict=True):
            assert tokens
            for token in tokens:
                assert chunk.span[0] <= spans[token][0]
                assert spans[token][1] <= chunk.span[1]
        assert alignment.chunk_of_tokens(side) == {
            token: at for at, tokens in enumerate(named) for token in tokens
        }
    return alignment


def common_cuts(length: int, student: list[Span], teacher: list[Span]) -> int:
    """Most chunks that any set of borders could give, by trying every border from left to right."""

    def is_border(at: int, spans: list[Span]) -> bool:
        return all(begin == end or end <= at or begin >= at for begin, end in spans)

    count, last = 0, 0
    for at in range(1, length + 1):
        inside = [
            any(begin < end and last <= begin and end <= at for begin, end in spans)
            for spans in (student, teacher)
        ]
        beyond = [any(begin < end and begin >= at for begin, end in spans) for spans in (student, teacher)]
        if (
            all(inside)
            and (all(beyond) or at == length)
            and is_border(at, student)
            and is_border(at, teacher)
        ):
            count, last = count + 1, at
    return count


@st.composite
def spans_of(draw: st.DrawFn, length: int) -> list[Span]:
    """A tokenisation as real ones are: gaps, characters split over tokens, tokens without text."""
    borders = sorted({0, length, *draw(st.lists(st.integers(0, length), max_size=8))})
    out: list[Span] = []
    for begin, end in itertools.pairwise(borders):
        fate = draw(st.sampled_from(["token"] * 6 + ["gap", "split", "special"]))
        if fate == "gap":
            continue
        out += [(begin, end)] * (3 if fate == "split" else 1)
        if fate == "special":
            out.append(draw(st.sampled_from([(0, 0), (end, end)])))
    return out


@given(st.data(), st.integers(0, 14))
def test_promises_hold_for_any_tokenisation(data: st.DataObject, length: int) -> None:
    student, teacher = data.draw(spans_of(length)), data.draw(spans_of(length))
    alignment = check(length, student, teacher)
    if alignment.chunks:
        assert len(alignment.chunks) == common_cuts(length, student, teacher)
    mirrored = align_spans(length, teacher, student)
    assert [(one.span, one.teacher, one.student) for one in mirrored.chunks] == [
        (one.span, one.student, one.teacher) for one in alignment.chunks
    ]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("teacher", KINDS)
@pytest.mark.parametrize("student", KINDS)
def test_promises_hold_for_real_tokenisers(
    tokenisers: dict[str, Tokenizer], student: str, teacher: str, text: str
) -> None:
    offsets = [tokenisers[kind].encode(text).offsets for kind in (student, teacher)]
    alignment = check(len(text), *offsets)
    if student == teacher:
        # Every token by itself, but for those that share a character.
        distinct = {span for span in offsets[0] if span[0] < span[1]}
        assert len(alignment.chunks) <= len(distinct)
        if text.isascii():
            assert len(alignment.chunks) == len(distinct)


def test_any_text_can_be_aligned(tokenisers: dict[str, Tokenizer]) -> None:
    @given(st.text(max_size=30), st.sampled_from(KINDS), st.sampled_from(KINDS))
    def any_text(text: str, student: str, teacher: str) -> None:
        check(len(text), *(tokenisers[kind].encode(text).offsets for kind in (student, teacher)))

    any_text()


def test_an_example() -> None:
    #       0123456789
    text = "un café 你好"
    student = [(0, 2), (2, 7), (7, 8), (8, 9), (9, 10)]
    teacher = [(0, 0), (0, 1), (1, 2), (3, 6), (6, 7), (8, 9), (8, 9), (9, 10), (10, 10)]
    chunks = align_spans(len(text), student, teacher).chunks
    assert [(text[slice(*one.span)], one.student, one.teacher) for one in chunks] == [
        ("un", (0,), (1, 2)),
        (" café", (1,), (3, 4)),
        (" 你", (2, 3), (5, 6)),
        ("好", (4,), (7,)),
    ]


def test_bad_offsets_are_refused() -> None:
    with pytest.raises(DataError, match="inside the text"):
        align_spans(3, [(0, 4)], [(0, 3)])
    with pytest.raises(DataError, match="backwards"):
        align_spans(4, [(2, 4), (0, 3)], [(0, 4)])
