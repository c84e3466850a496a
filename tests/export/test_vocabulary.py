from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from understudy.export.bert_graph import ReadOut, draw_encoder
from understudy.export.encoder_weights import EncoderWeights, encoder_weights
from understudy.export.vocabulary import drop_unused_words
from understudy.runtime.onnx_model import OnnxModel
from understudy.runtime.tokens import Tokeniser
from understudy.training.base_encoder import resolve_base

WORDS = "embeddings.word_embeddings.weight"
TEXTS = [("the [unused0] parcel [unused3]",), ("[CLS] red shirt 订单 [MASK]",), ("north", "south east")]


def with_places(folder: Path) -> tuple[Tokeniser, EncoderWeights]:
    """The tiny encoder with places kept for later, as BERT's vocabulary has them: near the front."""
    base = resolve_base(str(folder))
    tokeniser = base.tokeniser()
    weights = encoder_weights(base.config, base.arrays())
    assert weights is not None
    spec = json.loads(tokeniser.to_json())
    first, count = 1, 4
    shift = {at: at if at < first else at + count for at in range(len(spec["model"]["vocab"]))}
    spec["model"]["vocab"] = {word: shift[at] for word, at in spec["model"]["vocab"].items()}
    spec["model"]["vocab"] |= {f"[unused{at}]": first + at for at in range(count)}
    for special in spec["post_processor"]["special_tokens"].values():
        special["ids"] = [shift[at] for at in special["ids"]]
    for added in spec["added_tokens"]:
        added["id"] = shift[added["id"]]
    rows = np.insert(weights.arrays[WORDS], [first] * count, 9.0, axis=0)
    made = Tokenizer.from_str(json.dumps(spec))
    frame = Tokeniser.load(folder / "tokenizer.json", None, 64).frame
    moved = replace(
        frame,
        before=tuple(shift[at] for at in frame.before),
        between=tuple(shift[at] for at in frame.between),
        after=tuple(shift[at] for at in frame.after),
    )
    return Tokeniser(made, moved, 64), replace(weights, arrays={**weights.arrays, WORDS: rows})


def test_unused_words_go_and_no_bit_changes(tiny_base: Path) -> None:
    tokeniser, weights = with_places(tiny_base)
    smaller, kept = drop_unused_words(tokeniser, weights)
    assert len(kept.arrays[WORDS]) == len(weights.arrays[WORDS]) - 4
    assert smaller.vocabulary_size == tokeniser.vocabulary_size - 4
    read_out = ReadOut("mean", (2,))
    before, after = (
        OnnxModel(draw_encoder(one, read_out, is_quantised=True), threads=1) for one in (weights, kept)
    )
    for parts in TEXTS:
        one, two = tokeniser(parts), smaller(parts)
        assert (one.offsets == two.offsets).all()
        assert (before.run(one)["row"] == after.run(two)["row"]).all()


def test_other_tokenizers_stay_as_they_are(tiny_base: Path) -> None:
    tokeniser, weights = with_places(tiny_base)
    spec = json.loads(tokeniser.to_json())
    spec["pre_tokenizer"] = {"type": "WhitespaceSplit"}  # "[unused0]" would be one word for this one
    other = Tokeniser(Tokenizer.from_str(json.dumps(spec)), tokeniser.frame, 64)
    assert drop_unused_words(other, weights) == (other, weights)
