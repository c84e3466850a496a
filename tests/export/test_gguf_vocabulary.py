"""A tokenizer in a GGUF file cuts texts as the original does, or is left out."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from tiny_gguf import tiny_causal, tiny_tokeniser
from understudy.errors import ConfigError
from understudy.export.gguf_file import export_gguf
from understudy.export.gguf_vocabulary import gguf_vocabulary
from understudy.lm.tokeniser import end_id

HARD_TEXTS = (
    "",
    " ",
    "a  b   c\n\n\n  d \t e  ",
    "they've said it'd come, I'M sure; isn't it? 'tis",
    "def add(first, second):\r\n\treturn first+second  # 1234567.89e-3\n",
    "naïve café résumé — “quoted” … ½ ²",
    "你好,世界!こんにちは 안녕하세요 שלום مرحبا",
    "😀👩‍👩‍👧‍👦 é é \u00a0\u3000\u200b x\u0000y",
    "a" * 300 + " " * 70 + "1" * 50,
    "\n \n\t\n",
)


def test_tokens_types_and_merges_are_the_tokenizers() -> None:
    tokeniser = tiny_tokeniser()
    count = tokeniser.get_vocab_size()
    found = gguf_vocabulary(tokeniser, count + 2, end_id(tokeniser))
    keys = found.keys
    assert found.pre_tokenizer == "gpt-2"
    assert keys["tokenizer.ggml.tokens"][:count] == [tokeniser.id_to_token(at) for at in range(count)]
    assert keys["tokenizer.ggml.token_type"][-2:] == [5, 5]
    assert keys["tokenizer.ggml.token_type"][end_id(tokeniser)] == 3
    assert keys["tokenizer.ggml.eos_token_id"] == end_id(tokeniser)
    assert keys["tokenizer.ggml.add_bos_token"] is False
    assert len(keys["tokenizer.ggml.merges"]) == count - 257


def test_llama_cuts_texts_as_the_tokenizer_does(tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed (the extra gguf)")
    from understudy.runtime.llama_context import LlamaModel
    from understudy.runtime.llama_library import llama_library

    tokeniser = tiny_tokeniser()
    export_gguf(tiny_causal(), tokeniser, tmp_path, end_id=end_id(tokeniser), quantisation="f16")
    model = LlamaModel(tmp_path / "model.gguf")
    library = llama_library()
    vocabulary = library.llama_model_get_vocab(model.handle)
    assert library.llama_vocab_eos(vocabulary) == end_id(tokeniser)
    for text in HARD_TEXTS:
        room = (ctypes.c_int32 * 1024)()
        given = text.encode()
        count = library.llama_tokenize(vocabulary, given, len(given), room, 1024, True, False)
        assert list(room[:count]) == tokeniser.encode(text, add_special_tokens=False).ids, repr(text)


def test_other_kinds_are_left_out() -> None:
    words = Tokenizer(models.WordLevel({"a": 0, "b": 1, "<end>": 2}, unk_token="a"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    found = gguf_vocabulary(words, 3, 2)
    assert found.pre_tokenizer is None
    assert found.keys == {"tokenizer.ggml.model": "no_vocab"}


def test_a_file_without_a_tokenizer_still_runs(tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed (the extra gguf)")
    from understudy.runtime.gguf_decoder import GgufDecoder

    words = Tokenizer(models.WordLevel({"a": 0, "b": 1, "<end>": 2}, unk_token="a"))
    settings = export_gguf(tiny_causal(), words, tmp_path, end_id=2, quantisation="f16")
    assert settings["tokenizer"] is None
    assert GgufDecoder.load(tmp_path, settings).start([[1, 2]]).logits.shape == (1, 320)


def test_mistakes_are_named() -> None:
    tokeniser = tiny_tokeniser()
    with pytest.raises(ConfigError, match="more tokens than the model"):
        gguf_vocabulary(tokeniser, 300, 0)
    with pytest.raises(ConfigError, match="no token with the end's id"):
        gguf_vocabulary(tokeniser, 400, 399)
