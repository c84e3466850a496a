import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from understudy.errors import ArtefactError, ConfigError, DataError
from understudy.lm.packing import PackedTokens
from understudy.lm.shards import TokenShards, write_shards
from understudy.lm.text import find_files, read_texts, split_files
from understudy.lm.tokeniser import END, end_id, read_tokeniser, save_tokeniser, train_tokeniser

TEXTS = [f"def f{number}(x):\n    return x + {number}\n" for number in range(30)]


@pytest.fixture(scope="module")
def tokeniser():
    return train_tokeniser(TEXTS, vocab_size=300)


def test_the_standard_library_is_found_and_split_by_file():
    files = find_files()
    assert len(files) > 300
    assert not any("site-packages" in path.parts or "test" in path.parts for path in files)
    train, valid = split_files(files, valid_share=0.1, seed=4)
    assert sorted([*train, *valid]) == files
    assert len(valid) == round(len(files) / 10)
    assert (train, valid) == split_files(files, valid_share=0.1, seed=4)
    assert valid != split_files(files, valid_share=0.1, seed=5)[1]


def test_folders_of_texts(tmp_path):
    for name, data in {
        "a.txt": b"one",
        "b.md": b"two",
        "c.bin": b"x",
        "d.txt": b"\xff\xfe\xfa",
        "e.txt": b" ",
    }.items():
        (tmp_path / name).write_bytes(data)
    files = find_files(tmp_path)
    assert [path.name for path in files] == ["a.txt", "b.md", "d.txt", "e.txt"]
    assert list(read_texts(files)) == ["one", "two"]
    with pytest.raises(DataError, match="UTF-8"):
        list(read_texts(files[2:]))
    with pytest.raises(ConfigError, match="two files"):
        find_files(tmp_path, suffixes=(".bin",))
    with pytest.raises(ConfigError, match="no such folder"):
        find_files(tmp_path / "none")
    with pytest.raises(ConfigError, match="valid_share"):
        split_files(files, valid_share=1.0)


@settings(max_examples=50)
@given(text=st.text(max_size=60))
def test_any_text_comes_back(tokeniser, text):
    ids = tokeniser.encode(text, add_special_tokens=False).ids
    assert tokeniser.decode(ids, skip_special_tokens=False) == text


def test_the_tokenizer_is_saved_as_transformers_reads_it(tokeniser, tmp_path):
    save_tokeniser(tokeniser, tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again.eos_token_id == end_id(tokeniser)
    assert again(TEXTS[3])["input_ids"] == tokeniser.encode(TEXTS[3]).ids
    read, end = read_tokeniser(tmp_path)
    assert (read.encode(TEXTS[3]).ids, end) == (tokeniser.encode(TEXTS[3]).ids, END)
    with pytest.raises(ConfigError, match="holds no tokenizer"):
        read_tokeniser(tmp_path / "none")
    with pytest.raises(ConfigError, match="has no token </s>"):
        end_id(tokeniser, "</s>")
    with pytest.raises(ConfigError, match="vocab_size"):
        train_tokeniser(TEXTS, vocab_size=256)


@pytest.mark.parametrize("shard_tokens", [1, 7, 64, 10_000])
@pytest.mark.parametrize("max_tokens", [None, 1, 100])
def test_shards_hold_every_token_in_order(tokeniser, tmp_path, shard_tokens, max_tokens):
    expected = [i for text in TEXTS for i in [*tokeniser.encode(text).ids, end_id(tokeniser)]][:max_tokens]
    shards = write_shards(TEXTS, tokeniser, tmp_path, max_tokens=max_tokens, shard_tokens=shard_tokens)
    assert shards.n_tokens == len(expected)
    assert shards.read(0, shards.n_tokens).tolist() == expected
    assert (
        shards.read(len(expected) // 3, len(expected) // 2).tolist()
        == expected[len(expected) // 3 : len(expected) // 2]
    )
    assert TokenShards(tmp_path).fingerprint == shards.fingerprint


def test_damaged_and_empty_shards_are_refused(tokeniser, tmp_path):
    assert not TokenShards.are_at(tmp_path)
    with pytest.raises(DataError, match="no text"):
        write_shards([], tokeniser, tmp_path)
    shards = write_shards(TEXTS, tokeniser, tmp_path)
    assert TokenShards.are_at(tmp_path)
    with pytest.raises(DataError, match="less text"):
        PackedTokens(shards, sequence_tokens=10**6)
    with pytest.raises(ConfigError, match="max_tokens"):
        write_shards(TEXTS, tokeniser, tmp_path, max_tokens=0)
    name = json.loads((tmp_path / "shards.json").read_text())["shards"][0]["name"]
    np.zeros(3, "<u2").tofile(tmp_path / name)
    with pytest.raises(ArtefactError, match="cannot be read"):
        TokenShards(tmp_path)
