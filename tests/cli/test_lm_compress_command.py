"""``understudy lm compress``, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from understudy.cli.main import cli
from understudy.errors import ConfigError
from understudy.lm import presets
from understudy.lm.config import DecoderConfig


def invoke(*words: object) -> Result:
    threads = torch.get_num_threads()
    try:
        return CliRunner().invoke(cli, ["lm", *map(str, words)])
    finally:
        torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts, out = tmp_path_factory.mktemp("texts"), tmp_path_factory.mktemp("trained")
    for number in range(40):
        (texts / f"{number}.txt").write_text(f"file {number} says what file {number} says\n" * 6)
    shape = DecoderConfig(270, 32, 2, 2, 1, 64, 32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(presets.PRESETS, "tiny", shape)
        words = ("--texts", texts, "--out", out, "--steps", 6, "--batch", 2, "--sequence", 16, "--quiet")
        assert invoke("train", *words).exit_code == 0
    return out


WORDS = ("--distil-steps", 3, "--batch", 2, "--sequence", 16, "--measure", 4)


def test_compress_prints_every_step(trained: Path, tmp_path: Path) -> None:
    done = invoke("compress", trained / "model", "--steps", "prune,distil,int8", *WORDS, "--out", tmp_path)
    assert done.exit_code == 0, done.output
    for word in (
        "original",
        "prune",
        "distil",
        "int8",
        "x original",
        "unknown, because no ruler",
        "lm family",
    ):
        assert word in done.stdout
    assert "step 3 of 3" in done.stderr
    facts = json.loads((tmp_path / "compression.json").read_text(encoding="utf-8"))
    assert f"{facts[3]['loss']['value']:.3f}" in done.stdout
    assert not (tmp_path / "text").exists()  # the text beside the model was used: what was held out still is


def test_compress_measures_density_with_a_ruler(trained: Path, tmp_path: Path) -> None:
    rows = [
        f"{size},{tokens},{20 * size**-0.3 + 20 * tokens**-0.3 + 0.1:.6f}"
        for size in (5_000, 20_000, 80_000)
        for tokens in (20_000, 100_000, 500_000)
    ]
    (tmp_path / "family.csv").write_text("\n".join(["params,tokens,loss", *rows]))
    columns = "--params params --tokens tokens --loss loss".split()
    files = [str(tmp_path / "family.csv"), "--out", str(tmp_path / "ruler.json")]
    fitted = CliRunner().invoke(cli, ["density", "fit-ruler", *files, *columns])
    assert fitted.exit_code == 0, fitted.output
    words = (
        "--steps",
        "prune",
        *WORDS,
        "--ruler",
        tmp_path / "ruler.json",
        "--out",
        tmp_path / "out",
        "--json",
    )
    done = invoke("compress", trained / "model", *words)
    assert done.exit_code == 0, done.output
    original, pruned = json.loads(done.stdout)
    assert original["density"]["rho"] > 0
    assert pruned["density"]["rho_before"] == pytest.approx(original["density"]["rho"])
    shown = invoke("compress", trained / "model", *words[:-1])
    assert "rho before" in shown.stdout


def test_other_texts_can_be_given(trained: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    for number in range(40):
        (texts / f"{number}.txt").write_text(f"text {number} is about text {number}\n" * 6)
    words = ("--steps", "prune", *WORDS, "--texts", texts, "--out", tmp_path / "out", "--quiet", "--json")
    done = invoke("compress", trained / "model", *words)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out" / "text" / "corpus.json").is_file()
    assert done.stderr == ""


def test_a_model_that_is_not_there_is_one_clear_error(trained: Path, tmp_path: Path) -> None:
    del trained
    done = invoke("compress", tmp_path / "nothing", *WORDS, "--out", tmp_path)
    assert isinstance(done.exception, ConfigError)
