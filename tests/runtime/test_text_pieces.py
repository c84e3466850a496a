from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from understudy.runtime.text_pieces import TextPieces


def cut(data: bytes) -> list[str]:
    """Pieces where each byte is a token."""

    def decode(tokens: object) -> str:
        return bytes(tokens).decode("utf-8", "replace")  # type: ignore[call-overload, no-any-return]

    pieces = TextPieces(decode)
    out = [pieces.more(data[:end]) for end in range(1, len(data) + 1)]
    return [*out, pieces.rest(decode(data))]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_characters_come_whole_and_as_soon_as_they_are_there(text: str) -> None:
    text = text.replace("\ufffd", "?")
    assert [piece for piece in cut(text.encode()) if piece] == list(text)


@given(st.binary())
def test_the_pieces_are_the_text_whatever_the_bytes(data: bytes) -> None:
    assert "".join(cut(data)) == data.decode("utf-8", "replace")
