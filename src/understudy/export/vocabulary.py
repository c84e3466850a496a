"""Leaves words out of an encoder that its tokenizer can never say.

Vocabularies of the BERT family hold about a thousand places kept for later, ``[unused0]`` and on. A WordPiece
tokenizer splits such a text at its brackets, so their rows are never looked up. Answers do not change by a bit.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from understudy.export.encoder_weights import EncoderWeights
from understudy.runtime.tokens import TokenFrame, Tokeniser

__all__ = ["drop_unused_words"]

_UNUSED = re.compile(r"\[unused\d+\]")
_WORDS = "embeddings.word_embeddings.weight"
_SPLITTING = ("BertPreTokenizer",)


def drop_unused_words(tokeniser: Tokeniser, weights: EncoderWeights) -> tuple[Tokeniser, EncoderWeights]:
    """Tokeniser and encoder without unreachable words; as they are where that cannot be told."""
    spec = json.loads(tokeniser.to_json())
    kept = _kept_ids(spec, len(weights.arrays[_WORDS]))
    if kept is None:
        return tokeniser, weights
    place = {int(old): new for new, old in enumerate(kept)}
    spec["model"]["vocab"] = {word: place[at] for word, at in spec["model"]["vocab"].items() if at in place}
    for added in spec["added_tokens"]:
        added["id"] = place[added["id"]]
    for special in spec["post_processor"]["special_tokens"].values():
        special["ids"] = [place[at] for at in special["ids"]]
    frame = tokeniser.frame
    before, between, after = (
        tuple(place[at] for at in ids) for ids in (frame.before, frame.between, frame.after)
    )
    moved = TokenFrame(before, between, after, frame.types)
    smaller = Tokeniser(Tokenizer.from_str(json.dumps(spec)), moved, tokeniser.max_tokens)
    return smaller, replace(weights, arrays={**weights.arrays, _WORDS: weights.arrays[_WORDS][kept]})


def _kept_ids(spec: dict[str, Any], n_rows: int) -> npt.NDArray[np.int64] | None:
    """Ids that stay, ascending; ``None`` if the tokenizer is of a kind whose reach is not known, or all stay."""
    model, splitter, after = (spec.get(key) or {} for key in ("model", "pre_tokenizer", "post_processor"))
    if model.get("type") != "WordPiece" or splitter.get("type") not in _SPLITTING:
        return None
    if after.get("type") != "TemplateProcessing":
        return None
    added = {one["id"] for one in spec["added_tokens"]}
    unused = {at for word, at in model["vocab"].items() if _UNUSED.fullmatch(word)} - added
    known = set(model["vocab"].values()) | added
    # Rows without a word (tables are padded to round sizes) go too.
    kept = np.array(sorted(at for at in known - unused if at < n_rows), dtype=np.int64)
    return kept if len(kept) < n_rows else None
