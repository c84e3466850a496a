"""A GGUF file's scores: those of the model, the same bits alone and in company, from any thread."""

from __future__ import annotations

import gc
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed (the extra gguf)")

from tiny_gguf import tiny_causal, tiny_tokeniser
from understudy.errors import ArtefactError, ConfigError
from understudy.export.gguf_file import export_gguf
from understudy.lm.tokeniser import end_id
from understudy.runtime.gguf_decoder import GgufDecoder

QUANTISATIONS = ("f16", "q8_0", "q4_0", "q4_k_m")
LENGTHS = (5, 300, 1, 17, 253, 64, 9, 40, 3, 120)
Files = dict[str, tuple[Path, dict[str, Any]]]


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny_causal()


@pytest.fixture(scope="module")
def files(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Files:
    tokeniser = tiny_tokeniser()
    made = {}
    for quantisation in QUANTISATIONS:
        folder = tmp_path_factory.mktemp(quantisation)
        settings = export_gguf(model, tokeniser, folder, end_id=end_id(tokeniser), quantisation=quantisation)
        made[quantisation] = (folder, settings)
    return made


def some_tokens(count: int, seed: int) -> list[int]:
    return [int(token) for token in np.random.default_rng(seed).integers(0, 320, size=count)]


PROMPTS = [some_tokens(length, seed) for seed, length in enumerate(LENGTHS)]


def written(decoder: GgufDecoder, rows: Sequence[int], steps: int = 6) -> dict[int, list[bytes]]:
    """Scores of some of PROMPTS as bytes: each row takes part in two steps of three, out of order."""
    decoding = decoder.start([PROMPTS[row] for row in rows])
    scores = {row: [decoding.logits[at].tobytes()] for at, row in enumerate(rows)}
    for turn in range(steps):
        places = [at for at, row in enumerate(rows) if (turn + row) % 3][::-1]
        tokens = [some_tokens(steps, 100 + rows[at])[turn] for at in places]
        if places:
            for at, one in zip(places, decoding.step(places, tokens), strict=True):
                scores[rows[at]].append(one.tobytes())
    decoding.close()
    return scores


@pytest.mark.parametrize(("quantisation", "most"), [("f16", 3e-3), ("q8_0", 0.05)])
def test_scores_are_transformers_at_every_step(
    quantisation: str, most: float, model: Any, files: Files
) -> None:
    text = some_tokens(14, 8)
    with torch.no_grad():
        expected = model(torch.tensor([text])).logits[0].numpy()
    decoding = GgufDecoder.load(*files[quantisation]).start([text[:10]])
    found = [decoding.logits[0], *(decoding.step([0], [token])[0] for token in text[10:])]
    assert np.abs(np.stack(found) - expected[9:]).max() < most * np.abs(expected).max()


@pytest.mark.parametrize("quantisation", QUANTISATIONS)
def test_bits_are_the_same_alone_and_in_company(quantisation: str, files: Files) -> None:
    decoder = GgufDecoder.load(*files[quantisation])
    together = written(decoder, range(len(PROMPTS)))
    for row in range(len(PROMPTS)):
        assert written(decoder, [row])[row] == together[row], row
    assert written(decoder, [7, 2, 4]) == {row: together[row] for row in (7, 2, 4)}


def test_bits_do_not_depend_on_threads(files: Files) -> None:
    folder, settings = files["q8_0"]
    decoder = GgufDecoder.load(folder, settings)
    expected = written(decoder, range(4))
    two = GgufDecoder.load(folder, {**settings, "threads": 2})
    assert two.start([PROMPTS[0]]).logits.tobytes() == expected[0][0]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: written(decoder, range(4)), range(8)))
    assert found == [expected] * 8


def test_more_rows_than_a_context_holds(files: Files) -> None:
    decoder = GgufDecoder.load(*files["q8_0"])
    prompts = [some_tokens(3, seed) for seed in range(40)]
    decoding = decoder.start(prompts)
    found = decoding.step([39, 0, 33], [1, 2, 3])
    alone = decoder.start([prompts[39]])
    assert np.array_equal(alone.logits[0], decoding.logits[39])
    assert np.array_equal(alone.step([0], [1])[0], found[0])


def test_rows_outgrow_their_first_memory_unchanged(files: Files) -> None:
    decoder = GgufDecoder.load(*files["q8_0"])
    text = some_tokens(300, 5)
    growing = decoder.start([text[:4], text[:7]])
    grown = [growing.step([0], [token])[0] for token in text[4:]]
    roomy = GgufDecoder.load(*files["q8_0"])
    roomy.lend(2, 1024).clear()
    roomy.take_back(roomy.lend(2, 1024))
    fixed = roomy.start([text[:4], text[:7]])
    kept = [fixed.step([0], [token])[0] for token in text[4:]]
    assert np.array_equal(grown, kept)
    assert np.array_equal(growing.step([1], [5]), fixed.step([1], [5]))


def test_eight_bit_rows_are_computed_together(files: Files) -> None:
    assert GgufDecoder.load(*files["f16"]).rows_together == 1
    assert GgufDecoder.load(*files["q8_0"]).rows_together in (1, 2, 4, 8)


def test_too_much_and_unknown_is_refused(files: Files) -> None:
    folder, settings = files["q8_0"]
    decoder = GgufDecoder.load(folder, {**settings, "context_tokens": 20})
    with pytest.raises(ConfigError, match="longer than the model's context"):
        decoder.start([some_tokens(21, 0)])
    decoding = decoder.start([some_tokens(20, 0)])
    with pytest.raises(ConfigError, match="longer than the model's context"):
        decoding.step([0], [1])
    with pytest.raises(ConfigError, match="token that the model does not know"):
        decoder.start([[1, 320]])


def test_damaged_files_are_named_in_silence(
    files: Files, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, settings = files["q8_0"]
    with pytest.raises(ArtefactError, match="missing"):
        GgufDecoder.load(tmp_path, settings)
    whole = (folder / "model.gguf").read_bytes()
    (tmp_path / "model.gguf").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArtefactError, match="cannot be loaded"):
        GgufDecoder.load(tmp_path, settings)
    with pytest.raises(ArtefactError, match="not the one"):
        GgufDecoder.load(folder, {**settings, "vocab_size": 9})
    with pytest.raises(ArtefactError, match="incomplete"):
        GgufDecoder.load(folder, {"file": "model.gguf"})
    written(GgufDecoder.load(folder, settings), [0, 1])
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_memory_is_given_back(files: Files) -> None:
    folder, settings = files["q8_0"]

    def resident_bytes() -> int:
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def use_once() -> None:
        decoder = GgufDecoder.load(folder, settings)
        for _ in range(2):  # one only dropped, one closed; each has caches of about 8 MB
            decoding = decoder.start([[1, 2]] * 32)
        decoding.close()

    use_once()
    before = resident_bytes()
    for _ in range(6):
        use_once()
    assert resident_bytes() - before < 50e6
