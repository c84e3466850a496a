"""``understudy lm family``: the table, the forecast, and the commands that read the table."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from understudy.cli.main import cli
from understudy.errors import ConfigError

GRID = ["--sizes", "6e3,8e3,12e3", "--multiples", "0.02,0.06", "--held-out", "16e3", "--vocabulary", "260"]
QUICK = [*GRID, "--sequence", "16", "--batch", "2", "--quiet"]


def invoke(*words: object) -> Result:
    threads = torch.get_num_threads()
    try:
        return CliRunner().invoke(cli, [str(word) for word in words])
    finally:
        torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    for number in range(30):
        (folder / f"{number}.txt").write_text(f"file {number} says what file {number} says\n" * 12)
    return folder


@pytest.fixture(scope="module")
def done(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("family")
    words = ["lm", "family", *QUICK, "--texts", texts, "--out", out, "--plot", out / "f.svg", "--hour-usd", 1]
    return out, invoke(*words)


def test_it_foretells_the_larger_one_and_says_how_far_off_it_was(done: tuple[Path, Result]) -> None:
    out, result = done
    assert result.exit_code == 0, result.output
    assert "forecast" in result.stdout
    assert "inside" in result.stdout.lower()
    with (out / "family.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 7
    assert [row["held_out"] for row in rows] == ["no"] * 6 + ["yes"]
    assert [json.loads(line)["loss"] for line in (out / "family.jsonl").read_text().splitlines()] == [
        float(row["loss"]) for row in rows
    ]
    forecast = json.loads((out / "forecast.json").read_text())
    assert forecast["low"] < forecast["loss"] < forecast["high"]
    assert forecast["model"] == rows[-1]["model"]
    # It was written down before the member was trained.
    member = out / "members" / rows[-1]["model"] / "checkpoints"
    assert (out / "forecast.json").stat().st_mtime_ns < min(
        one.stat().st_mtime_ns for one in member.iterdir()
    )
    assert (out / "f.svg").read_text().startswith("<svg")


def test_it_is_not_trained_again(done: tuple[Path, Result], texts: Path) -> None:
    out, first = done
    again = invoke("lm", "family", *QUICK, "--texts", texts, "--out", out, "--hour-usd", 1, "--json")
    found = json.loads(again.stdout)
    assert f"measured {found['measured']:.3f}" in first.stdout
    assert found["miss"] == pytest.approx(found["measured"] - found["forecast"]["loss"])
    assert found["is_inside"] == ("inside" in first.stdout)


def test_a_ruler_reads_its_table(done: tuple[Path, Result]) -> None:
    out, first = done
    (command,) = (line for line in first.stdout.splitlines() if "density fit-ruler" in line)
    words = " ".join(first.stdout[first.stdout.index("density fit-ruler") :].split()).split(" ")
    assert command
    fitted = invoke(*words[: words.index("--out") + 2])
    assert fitted.exit_code == 0, fitted.output
    assert (out / "ruler.json").is_file()


def test_a_dry_run_says_all_that_follows_and_trains_nothing(tmp_path: Path) -> None:
    words = [
        "lm",
        "family",
        *GRID,
        "--sequence",
        16,
        "--out",
        tmp_path / "none",
        "--dry-run",
        "--hour-usd",
        1,
    ]
    plan = json.loads(invoke(*words, "--json").stdout)
    assert len(plan) == 7
    for one in plan:
        assert one["flops"] == pytest.approx(6 * one["parameters"] * one["tokens"])
        assert one["expected_usd"] == pytest.approx(one["expected_seconds"] / 3600)
    assert "expected time" in invoke(*words).stdout
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sizes", "1e4"], "sizes must be two or more"),
        (["--sizes", "a,b"], "--sizes takes numbers"),
        (["--multiples", "5,10", "--sizes", "1e4,2e4"], "six members or more"),
        (["--held-out", "1e4"], "larger than all others"),
        (["--sizes", "2e3,3e3,4e3"], "no decoder of this size"),
        (["--confidence", "1"], "--confidence must be"),
        (["--warm-up", "2"], "--warm-up must be"),
        (["--batch", "3", "--processes", "2"], "cannot be shared evenly"),
    ],
)
def test_wrong_options_are_one_clear_error(tmp_path: Path, words: list[str], message: str) -> None:
    result = invoke("lm", "family", "--out", tmp_path, *words)
    assert isinstance(result.exception, ConfigError)
    assert message in str(result.exception)
    assert not list(tmp_path.iterdir())
