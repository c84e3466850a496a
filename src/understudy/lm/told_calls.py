"""Reads what a log of chat completions tells of each token: the likeliest tokens and their log-probabilities.

Ids are the student's: a told token is found by its bytes, or, where the log has none, by its text. So the teacher must
have the student's tokeniser; an answer whose tokens are others is left out and counted, and has its text alone. Knows no
model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from understudy.errors import DataError
from understudy.lm.distil import Told

__all__ = ["ToldAnswer", "byte_forms", "read_told", "told_of"]


@dataclass(frozen=True, slots=True)
class ToldAnswer:
    """One answer of the log: its last user message, its text, and what was told of its tokens."""

    input: str
    text: str
    content: tuple[Mapping[str, Any], ...]


def read_told(path: Path) -> Iterator[ToldAnswer]:
    """Read the records of a JSONL file that carry ``choices[0].logprobs.content``.

    A record is a response with its request beside it (``{"request": ..., "response": ...}``), or both in one object.

    Raises
    ------
    DataError
        If a line is not JSON, or the file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("the log cannot be read", given=f"{path}: {error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise DataError("a line is not JSON", given=f"{path}, line {number}: {error}") from error
        found = _told_answer(record) if isinstance(record, Mapping) else None
        if found is not None:
            yield found


def _told_answer(record: Mapping[str, Any]) -> ToldAnswer | None:
    request, response = record.get("request", record), record.get("response", record)
    try:
        choice = response["choices"][0]
        content, text = choice["logprobs"]["content"], choice["message"]["content"]
        given = [one["content"] for one in request["messages"] if one["role"] == "user"][-1]
    except (LookupError, TypeError):
        return None
    if not content or not isinstance(text, str) or not isinstance(given, str):
        return None
    return ToldAnswer(given, text, tuple(content))


def byte_forms(tokeniser: Tokenizer) -> dict[bytes, int]:
    """Id of each token by the bytes that it stands for; the first id where two stand for the same.

    Byte-level vocabularies (GPT-2's table, Radford et al. 2019) and those of SentencePiece (``▁`` for a blank,
    ``<0x0A>`` for a byte) are understood; special tokens stand for their own name.
    """
    vocabulary = tokeniser.get_vocab(with_added_tokens=True)
    added = {one.content for one in tokeniser.get_added_tokens_decoder().values()}
    is_byte_level = "ByteLevel" in f"{tokeniser.pre_tokenizer}{tokeniser.decoder}"
    table = _gpt2_bytes()
    found: dict[bytes, int] = {}
    for token, number in sorted(vocabulary.items(), key=lambda item: item[1]):
        if token in added:
            form = token.encode()
        elif is_byte_level:
            form = (
                bytes(table[sign] for sign in token)
                if all(sign in table for sign in token)
                else token.encode()
            )
        elif len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
            form = bytes([int(token[3:5], 16)])
        else:
            form = token.replace("▁", " ").encode()
        found.setdefault(form, number)
    return found


def told_of(
    answer: ToldAnswer, forms: Mapping[bytes, int], answer_ids: Sequence[int], end_id: int
) -> Told | None:
    """What was told, for the student's tokens of the answer, the end token last.

    ``None`` where the teacher's tokens are not the student's. Providers leave the end token out or name it as they
    please: where the told tokens are one short, nothing is told of the end.
    """
    ids = [_id_of(one, forms) for one in answer.content]
    *written, last = answer_ids
    if len(ids) == len(answer_ids) and last == end_id:
        ids[-1] = end_id if ids[-1] is None else ids[-1]
    if ids not in (list(answer_ids), written):
        return None
    width = max(len(one.get("top_logprobs") or ()) for one in answer.content) + 1
    tokens = torch.full((len(answer_ids), width), -1, dtype=torch.long)
    logs = torch.zeros((len(answer_ids), width))
    for at, one in enumerate(answer.content):
        told: dict[int, float] = {}
        for other in (one, *(one.get("top_logprobs") or ())):
            number = _id_of(other, forms)
            if number is not None:
                told.setdefault(number, min(0.0, float(other["logprob"])))
        tokens[at, : len(told)] = torch.tensor(list(told))
        logs[at, : len(told)] = torch.tensor(list(told.values()))
    return Told(tokens, logs)


def _id_of(told: Mapping[str, Any], forms: Mapping[bytes, int]) -> int | None:
    given = told.get("bytes")
    form = bytes(given) if given else str(told.get("token", "")).encode()
    return forms.get(form)


def _gpt2_bytes() -> dict[str, int]:
    """GPT-2's names of bytes: printable ones stand for themselves, the others for signs from 256 on."""
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + at): byte for at, byte in enumerate(others)}
