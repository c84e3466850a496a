"""Text in pieces: live only where nothing can be deferred any more, and always the answer that is given whole."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from scripted_writer import UNSURE_WORD, RoteWriter, register_rote, write_rote_artefact, written_for
from understudy.runtime.answer import Answer, Understudy, load
from understudy.runtime.stream import WRITER_CHUNK_LINES, answer_stream, count_finished_lines

TEXTS = ["where is my parcel", f"zebra {UNSURE_WORD}", "👩‍👩‍👧 订单", "", "known question"]
Make = Callable[..., Understudy]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.syspath_prepend(register_rote(tmp_path / "site"))

    def made(**given: Any) -> Understudy:
        return load(write_rote_artefact(tmp_path / "rote", **given))

    return made


def heard(pieces: Generator[str, None, Answer]) -> tuple[list[str], Answer]:
    out = []
    while True:
        try:
            out.append(next(pieces))
        except StopIteration as end:
            answer: Answer = end.value
            return out, answer


def rote(model: Understudy) -> RoteWriter:
    found = model.cascade.components["writer"]
    assert isinstance(found, RoteWriter)
    return found


@pytest.mark.parametrize("threshold", [0.0, 0.5, None])
def test_the_pieces_are_the_text_and_the_answer_is_the_one_given_whole(
    make: Make, threshold: float | None
) -> None:
    model = make(threshold=threshold, first_answers={"known question": "by heart"})
    assert model.is_live == (threshold == 0)
    for text in TEXTS:
        pieces, answer = heard(model.stream(text))
        assert repr(answer) == repr(model.answer(text))
        assert "".join(pieces) == (answer.value if answer.is_answered else "")


def test_a_live_text_comes_as_it_is_written_and_another_in_one_piece(make: Make, tmp_path: Path) -> None:
    live = make(threshold=0.0)
    pieces = live.stream("where is my parcel")
    assert next(pieces) == "Rép"
    assert rote(live).n_tokens == 1
    sure = load(write_rote_artefact(tmp_path / "sure", threshold=0.5))
    assert heard(sure.stream("where is my parcel"))[0] == [written_for("where is my parcel")]
    assert rote(sure).n_tokens == 0


def test_what_an_earlier_rung_knows_is_not_written(make: Make) -> None:
    model = make(threshold=0.0, first_answers={"known question": "by heart"})
    pieces, answer = heard(model.stream("known question"))
    assert (pieces, answer.rung, rote(model).n_tokens) == (["by heart"], "lookup", 0)


def test_closing_ends_the_writing(make: Make) -> None:
    model = make(threshold=0.0)
    pieces = model.stream("where is my parcel")
    next(pieces)
    pieces.close()
    assert (rote(model).n_tokens, rote(model).n_closed) == (1, 1)


def test_lines_for_a_writer_are_answered_few_at_a_time(make: Make, tmp_path: Path) -> None:
    model = make(threshold=0.5)
    lines = b"".join(json.dumps(f"{text} {at}").encode() + b"\n" for at in range(20) for text in TEXTS)
    told = []
    out = tmp_path / "out.jsonl"
    with out.open("wb") as target:
        answer_stream(model, io.BytesIO(lines), target, progress=lambda counts: told.append(counts.read))
    assert max(rote(model).sizes) == WRITER_CHUNK_LINES
    assert told == [*range(WRITER_CHUNK_LINES, 100, WRITER_CHUNK_LINES), 100]
    whole = out.read_bytes()
    # Killed after the 37th line, and half of the next.
    with out.open("r+b") as target:
        kept = b"".join(whole.splitlines(keepends=True)[:37])
        target.truncate(len(kept) + 5)
        skip, end = count_finished_lines(out)
        target.truncate(end)
        target.seek(end)
        answer_stream(model, io.BytesIO(lines), target, skip=skip)
    assert out.read_bytes() == whole


def test_a_text_within_an_object_is_not_live_and_comes_as_json(make: Make) -> None:
    model = make(threshold=0.0, field_name="reply")
    assert not model.is_live
    pieces, answer = heard(model.stream("hello"))
    assert answer.value == {"reply": written_for("hello")}
    assert pieces == ['{"reply": "' + written_for("hello") + '"}']
