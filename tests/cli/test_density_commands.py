"""The commands of ``density`` and ``plan forecast``, on the invented tables that the project ships."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import click
import pytest

from understudy.cli.density import density_group
from understudy.cli.main import cli, main

ROOT = Path(__file__).resolve().parents[2]
FIT = ["--loss", "bpb", "--score", "accuracy", "--chance", "0.25", "--draws", "30"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples, and a ruler fitted on them."""
    place = tmp_path_factory.mktemp("density")
    shutil.copytree(ROOT / "examples" / "density", place / "examples" / "density")
    with pytest.raises(SystemExit) as left:
        main(
            [
                "density",
                "fit-ruler",
                str(place / "examples/density/family.csv"),
                *FIT,
                "--out",
                str(place / "r.json"),
            ]
        )
    assert left.value.code == 0
    return place


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run a command in that folder; gives exit code, stdout and stderr."""
    monkeypatch.chdir(folder)

    def call(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(list(words))
        shown = capsys.readouterr()
        return int(left.value.code or 0), shown.out, shown.err

    return call


def examples_of(*path: str) -> list[list[str]]:
    """Commands in the help's example, as words after ``understudy``."""
    command: click.Command = cli
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    text = (command.epilog or "").replace("\\\n", " ")
    return [line.split()[1:] for line in text.splitlines() if line.strip().startswith("understudy")]


@pytest.mark.parametrize("name", [*density_group.list_commands(click.Context(density_group)), "forecast"])
def test_the_example_of_the_help_works_as_pasted(name, run):
    lines = examples_of("plan" if name == "forecast" else "density", name)
    assert lines
    for words in lines:
        code, out, err = run(*words)
        assert (code, err) == (0, ""), err
        assert out.strip()


def test_a_fitted_ruler_tells_law_sigmoid_and_evidence(run):
    words = ["density", "fit-ruler", "examples/density/family.csv", *FIT, "--out", "again.json"]
    code, out, _ = run(*words, "--name", "finches")
    assert code == 0
    assert "finches: 20 models" in out
    assert "with E" in out
    assert "without E" in out
    assert "self-check" in out
    code, out, _ = run(*words, "--json", "--plot", "fit.svg")
    found = json.loads(out)
    assert found["n_draws"] == 30
    assert found["law"]["e"] > 0
    assert Path("fit.svg").read_text().startswith("<svg")
    assert Path("again.json").is_file()


def test_a_published_law_needs_no_losses(run):
    words = [
        "density",
        "fit-ruler",
        "examples/density/family.csv",
        "--score",
        "accuracy",
        "--law",
        "hoffmann",
    ]
    code, out, _ = run(*words, "--chance", "0.25", "--out", "law.json", "--plot", "law.svg", "--upper", "0.9")
    assert code == 0
    assert "its uncertainty is in no interval" in " ".join(out.split())


def test_a_family_without_scores_gives_a_ruler_of_losses(run):
    words = ["density", "fit-ruler", "examples/density/family.csv", "--loss", "bpb", "--draws", "10"]
    assert run(*words, "--out", "loss.json", "--plot", "loss.svg", "--where", "model=finch-90M-x1")[0] == 3
    assert run(*words, "--out", "loss.json", "--plot", "loss.svg")[0] == 0
    code, out, _ = run(
        "density",
        "measure",
        "loss.json",
        "--loss",
        "1.1",
        "--params",
        "1e9",
        "--tokens",
        "1e11",
        "--plot",
        "m.svg",
    )
    assert code == 0
    assert "effective" in out


def test_measuring_prints_both_references_and_flags(run):
    code, out, _ = run(
        "density", "measure", "r.json", "--score", "0.41", "--params", "1.2e9", "--tokens", "5e11",
        "--active-params", "4e8", "--items", "5000", "--plot", "m.svg", "--name", "mine",
    )  # fmt: skip
    assert code == 0
    assert re.search(r"500B\s+own", out)
    assert re.search(r"1T\s+fixed", out)
    assert "per active" in out
    code, out, _ = run("density", "measure", "r.json", "--score", "0.2", "--params", "1.2e9")
    assert code == 0
    assert "unknown: a score of 0.200 is not above the score of guessing" in out
    assert "its own token count is unknown" in out
    code, out, _ = run("density", "measure", "r.json", "--score", "0.41", "--params", "1.2e9", "--json")
    assert json.loads(out)["reference"]["rho"] > 0


def test_the_trend_tells_its_subset_and_its_ruler(run):
    words = ["density", "trend", "examples/density/models.csv", "--date", "released"]
    ruler = ["--ruler", "r.json", "--score", "accuracy"]
    code, out, _ = run(*words, *ruler, "--max-params", "4e9", "--plot", "t.svg")
    assert code == 0
    assert "up to 4e+09 parameters" in out
    assert "1 x larger than" in out
    assert "doubles in" in out
    code, out, _ = run(*words, *ruler, "--json", "--family-column", "family", "--without", "cedar")
    found = json.loads(out)
    assert found["doubling_months"] > 0
    assert len(found["left_out"]) == 2
    assert "before" in found


def test_several_rulers_span_a_band(run):
    law = ["density", "fit-ruler", "examples/density/family.csv", "--score", "accuracy", "--law", "epoch"]
    assert run(*law, "--chance", "0.25", "--name", "by law", "--draws", "20", "--out", "law.json")[0] == 0
    words = ["density", "trend", "examples/density/models.csv", "--date", "released", "--score", "accuracy"]
    words += ["--ruler", "r.json", "--ruler", "law.json"]
    code, out, _ = run(*words, "--plot", "band.svg")
    assert code == 0
    assert "by law" in out
    assert "months over 2 rulers" in out
    found = json.loads(run(*words, "--json")[1])
    months = [one["doubling_months"] for one in found["trends"]]
    assert found["band_months"] == [min(months), max(months)]


def test_densities_measured_before_do_as_well(run, tmp_path):
    table = tmp_path / "rho.csv"
    table.write_text(
        "model,N,rho,day\n" + "".join(f"m{at},1e9,{2**at},2023-0{at + 1}-01\n" for at in range(6))
    )
    code, out, _ = run("density", "trend", str(table), "--rho", "rho", "--date", "day", "--json")
    assert code == 0
    assert json.loads(out)["doubling_months"] == pytest.approx(1, abs=0.05)


def test_compression_is_judged_per_parameter_and_per_byte(run):
    words = ["density", "compress-check", "r.json", "--before-params", "1.2e9", "--before-score", "0.41"]
    code, out, _ = run(*words, "--after-params", "1.2e9", "--after-score", "0.40", "--after-bytes", "0.66e9")
    assert code == 0
    assert re.search(r"density per parameter .* fallen", out)
    assert re.search(r"density per 2 bytes .* risen", out)
    code, out, _ = run(*words, "--after-params", "1e9", "--after-score", "0.2", "--plot", "c.svg")
    assert "unknown: after" in out
    code, out, _ = run(*words, "--after-params", "1e9", "--after-score", "0.40", "--json", "--items", "1000")
    assert json.loads(out)["per_parameter"]["verdict"] in ("risen", "fallen", "not distinguishable")


def test_a_forecast_from_a_size_and_from_a_score(run):
    words = ["plan", "forecast", "--on", "2023-07-18", "--memory-bytes", "8e9"]
    code, out, _ = run(*words, "--params", "70e9", "--density-doubling", "100", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["capacity_parameters"] == pytest.approx(0.7 * 8e9 * 8 / 4.5)
    assert found["fits"]["n_doublings"] == pytest.approx(2.81, abs=0.01)
    assert found["half_the_size"]["day"] == "2023-10-26"
    code, out, _ = run(
        "plan", "forecast", "--on", "2024-01-01", "--memory-bytes", "1e9", "--bandwidth", "50e9", "--least-speed", "30",
        "--ruler", "r.json", "--score", "0.45", "--best-density", "2", "--device-doubling", "767", "--plot", "f.svg",
    )  # fmt: skip
    assert code == 0
    assert "both in 88.5" in out
    assert Path("f.svg").read_text().startswith("<svg")
    code, out, _ = run(*words, "--params", "1e9")
    assert "already" in out


def test_a_forecast_names_a_device_as_plan_device_does(run):
    words = [
        "plan",
        "forecast",
        "--params",
        "70e9",
        "--on",
        "2023-07-18",
        "--device",
        "iphone-15-pro",
        "--json",
    ]
    code, out, _ = run(*words)
    assert code == 0
    # A phone of 8 GB: half of it for weights of 4.5 bits.
    assert json.loads(out)["capacity_parameters"] == pytest.approx(0.5 * 8e9 * 8 / 4.5, rel=0.08)
    code, out, _ = run("plan", "device", "--device", "iphone-15-pro", "--params", "7e9", "--json")
    usable = json.loads(out)["formats"][0]["memory"]["usable_bytes"]
    code, out, _ = run(*words, "--weights", "int8-g0")
    assert json.loads(out)["capacity_parameters"] == pytest.approx(usable)
    code, out, _ = run(*words, "--weights", "int8-g0", "--least-speed", "1000")
    assert json.loads(out)["capacity_parameters"] < usable / 10


def test_a_forecast_reads_a_table_of_leading_runs(run, tmp_path):
    table = tmp_path / "runs.csv"
    head = "Model,Publication date,Domain,Frontier model,Training compute cost (2023 USD)\n"
    table.write_text(head + "".join(f"m,20{12 + at}-01-01,Language,True,{1e5 * 2**at}\n" for at in range(8)))
    words = ["plan", "forecast", "--params", "70e9", "--on", "2023-07-18", "--memory-bytes", "8e9"]
    code, out, _ = run(*words, "--epoch-csv", str(table))
    assert code == 0
    assert "cost doubles in 12.0 months" in out
    code, out, _ = run(*words, "--epoch-csv", str(table), "--json")
    assert json.loads(out)["leading_run"]["reaches"]["day"] > "2019"


MEASURE = ["density", "measure", "r.json", "--params", "1e9"]
TREND = ["density", "trend", "examples/density/models.csv", "--date", "released"]
FORECAST = ["plan", "forecast", "--on", "2023-07-18", "--memory-bytes", "8e9"]
FAMILY = ["density", "fit-ruler", "examples/density/family.csv", "--out", "x.json"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (FAMILY, 2, "a loss column or a published law"),
        ([*FAMILY, "--loss", "bpb", "--law", "hoffmann"], 2, "not both"),
        ([*FAMILY, "--score", "accuracy", "--law", "mine"], 2, "one of epoch, hoffmann"),
        ([*FAMILY, "--loss", "nats"], 2, "no column 'nats'"),
        ([*FAMILY, "--loss", "bpb", "--where", "model"], 2, "COLUMN=TEXT"),
        ([*FAMILY, "--loss", "bpb", "--upper", "most"], 2, "a share or the word fit"),
        ([*FAMILY, "--loss", "bpb", "--draws", "-1"], 2, "n_draws"),
        ([*FAMILY[:3], "--loss", "bpb", "--draws", "0", "--out", "no/where.json"], 2, "cannot be written"),
        ([*MEASURE, "--score", "41"], 3, "share from 0 to 1"),
        ([*MEASURE], 2, "give a score or a loss"),
        ([*MEASURE, "--score", "0.4", "--plot", "no/where.svg"], 2, "chart cannot be written"),
        (["density", "measure", "none.json", "--params", "1", "--score", "0.4"], 2, "cannot be read"),
        ([*TREND], 2, "--ruler with --score, or --rho"),
        ([*TREND, "--rho", "N", "--family", "x"], 2, "need --family-column"),
        ([*TREND, "--rho", "released"], 3, "released is no number"),
        ([*FORECAST], 2, "--params, or --ruler with --score"),
        ([*FORECAST, "--params", "7e9", "--density-range", "90", "110"], 2, "goes with --density-doubling"),
        ([*FORECAST, "--params", "7e9", "--density-doubling", "0"], 2, "must be above 0"),
        ([*FORECAST, "--params", "7e9", "--params-range", "9e9", "8e9"], 3, "low <= value <= high"),
        ([*FORECAST, "--ruler", "r.json", "--score", "0.2"], 3, "reads no size"),
        ([*FORECAST, "--params", "7e9", "--bandwidth", "1e9"], 2, "both or none"),
        ([*FORECAST, "--params", "7e9", "--device", "iphone-15-pro"], 2, "--device or --memory-bytes"),
        ([*FORECAST[:4], "--params", "7e9"], 2, "--device or --memory-bytes"),
        ([*FORECAST[:4], "--params", "7e9", "--device", "iphon"], 2, "iphon"),
        ([*FORECAST[:4], "--params", "7e9", "--memory-bytes", "8"], 2, "too few parameters"),
        ([*FORECAST, "--params", "7e9", "--weights", "int1"], 2, "number format is not known"),
        ([*FORECAST, "--params", "7e9", "--weights", "int4", "--bits", "4"], 2, "one format"),
    ],
)
def test_mistakes_are_one_clear_error(words, code, said, run):
    found, _, err = run(*words)
    assert found == code
    assert said in " ".join(err.split())
    assert "Traceback" not in err
