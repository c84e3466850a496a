"""``understudy lm distil``, as a user types it; in this process, because torch takes seconds to import."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from understudy.cli.main import cli
from understudy.errors import ConfigError, DataError
from understudy.lm import presets
from understudy.lm.config import DecoderConfig
from understudy.lm.decoder import build_decoder
from understudy.lm.tokeniser import END, end_id, read_tokeniser, save_tokeniser, train_tokeniser

MINI = DecoderConfig(270, 16, 2, 2, 1, 24, 64)
SENTENCE = "what {0} is, and that {0} is not another"


@pytest.fixture(autouse=True)
def mini(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(presets.PRESETS, "tiny", MINI)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    tokeniser = train_tokeniser([SENTENCE] * 9, vocab_size=270)
    model = build_decoder(MINI, seed=5, end_token=end_id(tokeniser))
    model.save_pretrained(folder)
    save_tokeniser(tokeniser, folder, END)
    return folder


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("calls") / "calls.jsonl"
    lines = [json.dumps({"input": f"say {at}", "output": f"this is {at}"}) for at in range(24)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def invoke(*words: object) -> Result:
    threads = torch.get_num_threads()
    try:
        return CliRunner().invoke(cli, ["lm", "distil", *map(str, words)])
    finally:
        torch.set_num_threads(threads)


def small(out: Path, *more: object) -> list[object]:
    return ["--out", out, "--steps", 3, "--batch", 2, "--sequence", 48, "--quiet", *more]


@pytest.mark.parametrize("loss", ["forward_kl", "skewed_kl", "on_policy", "sequence"])
def test_a_log_is_distilled_and_a_finished_run_is_not_begun_again(
    teacher: Path, calls: Path, tmp_path: Path, loss: str
) -> None:
    words = small(tmp_path / "out", "--teacher", teacher, "--calls", calls, "--loss", loss)
    done = invoke(*words)
    assert done.exit_code == 0, done.output
    for word in ("student", "teacher's", "nats per token", "3 steps"):
        assert word in done.stdout
    facts = json.loads(invoke(*words, "--json").stdout)
    assert facts["steps"] == 3
    assert facts["valid_loss"] > 0
    assert f"{facts['valid_loss']:.3f}" in done.stdout
    assert read_tokeniser(Path(facts["model"]))[0].get_vocab() == read_tokeniser(teacher)[0].get_vocab()


@pytest.mark.parametrize("loss", ["chunk_likelihood", "shared_vocabulary", "rank_sorted"])
def test_a_student_may_have_tokens_of_its_own(teacher: Path, calls: Path, tmp_path: Path, loss: str) -> None:
    words = small(tmp_path, "--teacher", teacher, "--calls", calls, "--loss", loss, "--tokenizer", "own")
    facts = json.loads(invoke(*words, "--json").stdout)
    assert facts["teacher_valid_loss"] is None
    assert read_tokeniser(tmp_path / "model")[0].get_vocab() != read_tokeniser(teacher)[0].get_vocab()


def test_running_text_is_distilled(teacher: Path, tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number}.txt").write_text(f"file {number} says what file {number} says\n" * 4)
    done = invoke(*small(tmp_path / "out", "--teacher", teacher, "--texts", tmp_path, "--json"))
    assert json.loads(done.stdout)["steps"] == 3


def test_a_log_with_log_probabilities_is_teacher_enough(teacher: Path, tmp_path: Path) -> None:
    content = [{"token": sign, "logprob": -0.1, "top_logprobs": []} for sign in "okay"]
    lines = [
        json.dumps(
            {
                "request": {"messages": [{"role": "user", "content": f"say {at}"}]},
                "response": {"choices": [{"message": {"content": "okay"}, "logprobs": {"content": content}}]},
            }
        )
        for at in range(6)
    ]
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(lines), encoding="utf-8")
    words = small(tmp_path / "out", "--calls", log, "--loss", "top_k", "--tokenizer", teacher, "--json")
    facts = json.loads(invoke(*words).stdout)
    assert facts["teacher_parameters"] is None
    assert facts["steps"] == 3


def test_a_run_is_not_gone_on_with_under_another_loss(teacher: Path, calls: Path, tmp_path: Path) -> None:
    words = small(tmp_path, "--teacher", teacher, "--calls", calls)
    assert invoke(*words).exit_code == 0
    done = invoke(*words, "--loss", "reverse_kl")
    assert isinstance(done.exception, ConfigError)
    assert done.exit_code != 0


def test_what_does_not_fit_together_is_refused(teacher: Path, calls: Path, tmp_path: Path) -> None:
    taught = ["--teacher", teacher]
    for words, message in (
        (["--calls", calls], "asks a teacher"),
        ([*taught, "--loss", "on_policy"], "needs prompts and answers"),
        ([*taught, "--calls", calls, "--tokenizer", "own"], "other tokens"),
        ([*taught, "--calls", calls, "--loss", "kl"], "loss must be one of"),
        ([*taught, "--calls", calls, "--texts", tmp_path], "exclude each other"),
        (["--teacher", tmp_path, "--calls", calls], "holds no teacher"),
        ([*taught, "--calls", calls, "--sequence", 100], "--sequence must be at most 64"),
        ([*taught, "--tokenizer", "own"], "learnt from answers"),
        (["--loss", "sequence"], "neither a teacher nor a log"),
    ):
        done = invoke(*small(tmp_path / "none", *words))
        assert isinstance(done.exception, ConfigError), words
        assert message in str(done.exception)


def test_a_student_that_does_not_fit_the_teacher_is_refused(
    teacher: Path, calls: Path, tmp_path: Path
) -> None:
    tokeniser, end = read_tokeniser(teacher)
    larger = train_tokeniser([f"{SENTENCE} {at}" for at in range(90)], vocab_size=300)
    save_tokeniser(larger, tmp_path / "larger")
    for name, shape in (("wide", replace(MINI, vocab_size=280)), ("short", replace(MINI, context_tokens=32))):
        build_decoder(shape, seed=5, end_token=end_id(tokeniser)).save_pretrained(tmp_path / name)
        save_tokeniser(tokeniser, tmp_path / name, end)
    own = ["--loss", "sequence", "--tokenizer", str(tmp_path / "larger")]
    for name, words, message in (
        ("wide", ["--loss", "forward_kl"], "more rows of scores"),
        ("wide", ["--loss", "on_policy"], "more rows of scores"),
        ("short", ["--loss", "forward_kl"], "--sequence must be at most 32"),
        ("short", own, "more tokens than the student"),
    ):
        given = ["--teacher", teacher, "--calls", calls, "--student", tmp_path / name]
        done = invoke(*small(tmp_path / "none", *given, *words))
        assert isinstance(done.exception, ConfigError), (name, words)
        assert message in str(done.exception)


def test_a_log_without_log_probabilities_says_what_to_do(teacher: Path, calls: Path, tmp_path: Path) -> None:
    done = invoke(*small(tmp_path, "--calls", calls, "--loss", "top_k", "--tokenizer", teacher))
    assert isinstance(done.exception, DataError)
    assert "top_logprobs" in str(done.exception)
