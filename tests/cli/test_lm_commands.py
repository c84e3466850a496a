"""``understudy lm``, as a user types it; in this process, because torch takes seconds to import."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from understudy.cli.main import cli
from understudy.errors import ConfigError
from understudy.lm import presets
from understudy.lm.config import DecoderConfig, ExpertsConfig

MINI = DecoderConfig(270, 16, 2, 2, 1, 24, 32, experts=ExpertsConfig(3, 1, 8))


@pytest.fixture(autouse=True)
def mini(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(presets.PRESETS, "tiny", MINI)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    for number in range(30):
        (folder / f"{number}.txt").write_text(f"file {number} says what file {number} says\n" * 4)
    return folder


def invoke(*words: object) -> Result:
    threads = torch.get_num_threads()
    try:
        return CliRunner().invoke(cli, ["lm", *map(str, words)])
    finally:
        torch.set_num_threads(threads)


def words_for(texts: Path, out: Path, *more: object) -> list[object]:
    return ["--texts", texts, "--out", out, "--steps", 4, "--batch", 2, "--sequence", 16, *more]


def test_train_prints_what_it_came_to_and_goes_on_where_it_was(texts: Path, tmp_path: Path) -> None:
    words = words_for(texts, tmp_path, "--hour-usd", 0.5, "--peak-tflops", 0.1)
    done = invoke("train", *words)
    assert done.exit_code == 0, done.output
    for word in ("held-out loss", "tokens/s", "MFU", "experts, layer 2", "$"):
        assert word in done.stdout
    assert "step 4 of 4" in done.stderr
    facts = json.loads(invoke("train", *words, "--json").stdout)
    assert facts["steps"] == 4
    assert f"{facts['valid_loss']:.3f}" in done.stdout
    assert (tmp_path / "model" / "model.safetensors").is_file()


def test_dense_trains_the_twin(texts: Path, tmp_path: Path) -> None:
    facts = json.loads(invoke("train", *words_for(texts, tmp_path, "--dense", "--json", "--quiet")).stdout)
    assert facts["shape"]["experts"] is None
    assert facts["parameters"] == facts["active_parameters"]
    assert facts["loads"] == []


def test_compare_puts_the_three_side_by_side(texts: Path, tmp_path: Path) -> None:
    done = invoke("compare", *words_for(texts, tmp_path, "--quiet"))
    assert done.exit_code == 0, done.output
    assert "At equal active parameters" in done.stdout
    assert "At equal total parameters" in done.stdout
    found = json.loads(invoke("compare", *words_for(texts, tmp_path, "--json", "--quiet")).stdout)
    assert list(found) == ["mixture", "dense, equal active", "dense, equal total"]
    assert len({facts["tokens"] for facts in found.values()}) == 1


def test_a_dense_model_is_upcycled_and_trained_on(texts: Path, tmp_path: Path) -> None:
    dense, out = tmp_path / "dense", tmp_path / "upcycled"
    invoke("train", *words_for(texts, dense, "--dense", "--quiet"))
    words = ["upcycle", dense / "model", "--scheme", "granular", "--experts", 4, "--active", 2, "--out", out]
    facts = json.loads(invoke(*words, "--json").stdout)
    assert facts["largest_change"] < 1e-5 * max(facts["largest_logit"], 1)
    assert facts["parameters"] > facts["active_parameters"] > facts["dense_parameters"]
    assert "is there already" in str(invoke(*words).exception)

    trained = invoke("train", *words_for(texts, tmp_path / "on", "--from", out, "--json", "--quiet"))
    found = json.loads(trained.stdout)
    assert found["shape"]["experts"]["n_experts"] == 4
    # Where the dense model ended, its mixture begins.
    last = json.loads((dense / "steps.jsonl").read_text().splitlines()[-1])["valid_loss"]
    assert abs(found["valid_loss"] - last) < 0.5
    # A resumed run must start from the same weights.
    other = invoke("train", *words_for(texts, tmp_path / "on", "--from", dense / "model"))
    assert isinstance(other.exception, ConfigError)
    assert "--gate cannot be given with --from" in str(
        invoke("train", *words_for(texts, tmp_path / "x", "--from", out, "--gate", "sigmoid")).exception
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "holds no model"),
        (["--scheme", "paste"], "scheme must be"),
        (["--scheme", "granular", "--active", 7], "n_active must divide"),
        (["--active", 9], "n_active must be"),
    ],
)
def test_wrong_upcycling_is_one_clear_error(
    texts: Path, tmp_path: Path, words: list[object], message: str
) -> None:
    from understudy.lm.decoder import build_decoder
    from understudy.lm.tokeniser import save_tokeniser, train_tokeniser

    model = tmp_path / "dense"
    build_decoder(MINI.dense_twin(), seed=0).save_pretrained(model)
    save_tokeniser(train_tokeniser(["text"], vocab_size=270), model)
    given = words if words == ["nowhere"] else [model, *words]
    done = invoke("upcycle", *given, "--out", tmp_path / "out")
    assert isinstance(done.exception, ConfigError)
    assert message in str(done.exception)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--preset", "huge"], "preset must be"),
        (["--steps", 0], "n_steps must be"),
        (["--sequence", 33], "--sequence must be"),
        (["--gate", "tanh"], "gate must be"),
        (["--balance", "even"], "kind must be"),
        (["--threads", 0], "--threads must be"),
        (["--warm-up", 2], "--warm-up must be"),
        (["--texts", "nowhere"], "no such folder"),
    ],
)
def test_wrong_options_are_one_clear_error(tmp_path: Path, words: list[object], message: str) -> None:
    done = invoke("train", "--out", tmp_path, "--sequence", 16, *words)
    assert isinstance(done.exception, ConfigError)
    assert message in str(done.exception)


@pytest.mark.slow
def test_a_killed_process_goes_on_to_the_same_losses(texts: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "understudy", "lm", "train", "--checkpoint-every", "5", "--quiet"]
    command += ["--texts", str(texts), "--steps", "40", "--batch", "2", "--sequence", "32", "--json"]
    whole = subprocess.run([*command, "--out", str(tmp_path / "whole")], capture_output=True, check=True)
    cut = subprocess.Popen([*command, "--out", str(tmp_path / "cut")], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (tmp_path / "cut" / "checkpoints" / "step-00000010").is_dir() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(cut.pid, signal.SIGKILL)
    assert cut.wait() == -signal.SIGKILL
    again = subprocess.run([*command, "--out", str(tmp_path / "cut")], capture_output=True, check=True)
    names = ("last_loss", "valid_loss", "first_loss", "loads")
    facts = [{name: json.loads(done.stdout)[name] for name in names} for done in (whole, again)]
    assert facts[0] == facts[1]
    lines = [(tmp_path / name / "steps.jsonl").read_text() for name in ("whole", "cut")]
    assert lines[0] == lines[1]
