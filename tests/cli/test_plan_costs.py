"""The commands of `understudy plan` that count money: what they print, and how they refuse."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from understudy.cli.plan import plan_group
from understudy.errors import ConfigError
from understudy.ledger.database import Ledger
from understudy.ledger.record import CallRecord, new_call_id

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "plan"
RUNS = str(EXAMPLES / "runs.csv")
BREAKEVEN = ["breakeven", "--teacher-price", "0.002", "--student-usd", "1e-6", "--coverage", "128/280"]


def run(*words):
    return CliRunner().invoke(plan_group, [str(word) for word in words])


def answer(*words):
    done = run(*words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", ["breakeven", "fleet", "train", "figures"])
def test_help_has_an_example_that_works(name):
    done = run(name, "--help")
    assert done.exit_code == 0
    examples = [
        line.strip() for line in done.stdout.splitlines() if line.strip().startswith("understudy plan")
    ]
    assert examples
    for line in examples:
        pasted = run(*line.split()[2:])
        assert pasted.exit_code == 0, (line, pasted.output, pasted.exception)
        assert all(len(row) <= 100 for row in pasted.stdout.splitlines())


def test_breakeven_prints_an_interval_and_the_options(tmp_path):
    words = [*BREAKEVEN, "--build-usd", 50, "--calls-per-month", 2e6, "--options", EXAMPLES / "options.toml"]
    done = run(*words, "--plot", tmp_path / "a.svg", "--plot-time", tmp_path / "b.svg")
    assert done.exit_code == 0, done.output
    assert "95 % interval" in done.stdout
    assert "on the counter's tablet" in done.stdout
    assert (tmp_path / "a.svg").read_text().startswith("<svg ")
    found = answer(*words)
    assert len(found["options"]) == 6
    assert found["options"][0]["cny_per_call"] == pytest.approx(0.002 * found["exchange"]["cny_per_usd"])
    assert {one["months"] for one in found["totals"]} == {1, 12, 36}
    assert all(one["total_cny"] > one["total_usd"] for one in found["totals"])
    assert "¥" in done.stdout
    assert found["volume_interval"][0] < found["student"]["volume"] < found["volume_interval"][1]


def test_breakeven_reads_an_artefact_and_a_ledger(tmp_path):
    facts = {
        "teacher": {"usd_per_call": 0.002, "usd_reason": "given price"},
        "measured": {"student_usd": 1.5e-8},
        "certificate": {"is_certified": True, "n": 280, "n_answered": 128},
    }
    (tmp_path / "facts.json").write_text(json.dumps(facts))
    (tmp_path / "receipt.json").write_text(json.dumps({"machine_usd": 0.5}))
    url = str(tmp_path / "ledger.db")
    ledger = Ledger.open(url)
    ledger.insert(
        [
            CallRecord(
                id=new_call_id(), time_ms=1_767_225_600_000, answered_by="student" if at < 6 else "upstream",
                mode="serve", status=200, latency_us=10, cost_nanousd=1_000, teacher_cost_nanousd=3_000_000,
            )
            for at in range(10)
        ]
    )  # fmt: skip
    ledger.close()
    found = answer("breakeven", "--artefact", tmp_path, "--ledger", url, "--since", "2026-01-01")
    assert found["evidence"]["teacher_usd_per_call"] == pytest.approx(0.003)
    assert found["evidence"]["build_usd"] == 0.5
    assert found["evidence"]["coverage"] == pytest.approx(0.6)
    assert found["volume_interval"] is not None
    nothing = answer("breakeven", "--artefact", tmp_path, "--ledger", url, "--since", "2030-01-01")
    assert nothing["evidence"]["coverage"] == pytest.approx(128 / 280)


def test_breakeven_reads_prices_by_the_token():
    found = answer(
        "breakeven", "--teacher-model", "gpt-4o-mini", "--read-tokens", 1000, "--written-tokens", 0
    )
    assert found["evidence"]["teacher_usd_per_call"] > 0
    unknown = answer(
        "breakeven", "--teacher-model", "no-such-model", "--read-tokens", 1, "--written-tokens", 1
    )
    assert unknown["evidence"]["teacher_usd_per_call"] is None
    assert "no list price" in unknown["sources"]["teacher_usd_per_call"]


def test_breakeven_says_why_there_is_no_interval():
    words = [
        "breakeven",
        "--teacher-price",
        "0.002",
        "--student-usd",
        "1e-6",
        "--build-usd",
        "50",
        "--coverage",
    ]
    assert "no interval: coverage is a share without counts" in run(*words, "0.5").stdout
    assert answer(*words, "0.5")["volume_interval"] is None
    assert answer(*words, "5/10")["interval_reason"] is None


def test_breakeven_says_what_is_unknown():
    done = run("breakeven", "--student-usd", "1e-6", "--coverage", "0.5")
    assert done.exit_code == 0
    assert "unknown" in done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([*BREAKEVEN[:3], "--coverage", "most"], "--coverage is not understood"),
        (["breakeven", "--teacher-price", "1", "--teacher-model", "x"], "give one"),
        ([*BREAKEVEN, "--options", "nowhere.toml"], "cannot be read"),
        ([*BREAKEVEN, "--plot", "nowhere/at/all.svg"], "cannot be written"),
        (["breakeven"], "--teacher-price, --student-usd, --coverage and --build-usd"),
        (["breakeven", "--calls-per-month", "5"], "--options FILE"),
        (["fleet"], "--users with --calls-per-user-day"),
        (
            ["fleet", "--users", "3", "--service-seconds", "1"],
            "--calls-per-second, --calls-per-month, or --users",
        ),
        (["fleet", "--calls-per-second", "3", "--tokens-per-call", "9"], "given: --tokens-per-call"),
        (["fleet", "--calls-per-second", "3", "--service-seconds", "1", "--cny-per-usd", "0"], "CNY per USD"),
        (["fleet", "--users", "3", "--calls-per-second", "1"], "one way"),
        (["fleet", "--calls-per-second", "3"], "how fast"),
        (["fleet", "--calls-per-second", "3", "--service-seconds", "1", "--percentile", "100"], "percentile"),
        (["train", "--flop", "1e21", "--device", "toaster"], "no device"),
        (["train", "--flop", "-1"], "flops must be"),
        (["train", "--hours", "24"], "--devices"),
        (["train"], "--flop"),
        (["train", "--flop", "1e21", "--constants", "mine"], "no scaling-law constants"),
        (["train", "--flop", "1e21", "--runs", "runs.csv", "--constants", "hoffmann2022"], "not both"),
        (["train", "--flop", "1e21", "--outliers", "highest-loss:5"], "give --runs FILE"),
        (["train", "--flop", "1e21", "--runs", RUNS, "--column", "size"], "NAME=HEADER"),
        (
            ["train", "--flop", "1e21", "--runs", RUNS, "--column", "size=N"],
            "name parameters, tokens, flops, loss",
        ),
        (["train", "--flop", "1e21", "--runs", RUNS, "--column", "flops=C"], "no column 'C'"),
        (["train", "--flop", "1e21", "--runs", RUNS, "--outliers", "bad"], "no such outlier rule"),
        (["train", "--flop", "1e21", "--runs", RUNS, "--confidence", "2"], "confidence must be"),
        (["figures", "99"], "no such entry"),
        (["figures", "--data", "nowhere"], "no such folder"),
    ],
)
def test_mistakes_are_told_in_words(words, told):
    done = run(*words)
    assert isinstance(done.exception, ConfigError), (done.output, done.exception)
    assert told in str(done.exception)


def test_fleet_counts_in_two_currencies():
    found = answer(
        "fleet", "--calls-per-month", 2e6, "--tokens-per-call", 60, "--tokens-per-second", 900, "--slots", 16
    )
    assert found["devices"] == found["working"] + found["spares"]
    assert found["cny_per_month"] > found["usd_per_month"]
    given = answer("fleet", "--calls-per-second", 3, "--service-seconds", 1, "--cny-per-usd", 8)
    assert given["cny_per_call"] == pytest.approx(8 * given["usd_per_call"])
    assert given["exchange"] == {"cny_per_usd": 8.0, "source": "given"}
    owned = run(
        "fleet", "--calls-per-second", 3, "--service-seconds", 1, "--device", "custom", "--service-cv", 0
    )
    assert "cost unknown" in owned.stdout
    assert "Allen and Cunneen" in owned.stdout
    assert "no interval: load and service time are taken as given" in owned.stdout


def test_fleet_takes_the_speed_of_a_model():
    words = ["fleet", "--calls-per-second", 20, "--device", "l4", "--slots", 16, "--weights", "int8"]
    small = answer(*words, "--model", "qwen2.5-0.5b")
    large = answer(*words, "--params", "7e9")
    assert small["devices"] < large["devices"]
    assert small["unit"]["slots"] == 16
    low, high = large["service_ends"]
    assert low["devices"] <= large["devices"] <= high["devices"]
    assert low["service_s"] < large["unit"]["service_s"] < high["service_s"]
    assert high["cny_per_month"] > high["usd_per_month"]
    assert "devices, $" in run(*words, "--params", "7e9").stdout
    lost = run(*words, "--model", "llama-3.1-70b")
    assert "does not fit" in str(lost.exception)
    both = run(*words, "--params", 7e9, "--service-seconds", 1)
    assert "one way" in str(both.exception)


def test_train_answers_from_each_start(tmp_path):
    for words in (
        ["--usd", 1000],
        ["--hours", 24, "--devices", 8],
        ["--loss", 2.2],
        ["--params", 1e9, "--inference-tokens", 1e12],
        ["--flop", 1e21, "--unique-tokens", 1e9, "--experts", 8, "--recompute", "full"],
    ):
        found = answer("train", *words)
        assert found["cost"]["usd"] > 0
        assert len(found["sensitivity"]) >= 5
        assert found["cost"]["cny"] == pytest.approx(found["cost"]["usd"] * found["exchange"]["cny_per_usd"])
        assert found["fit"] is None
        assert found["constants"]["interval_reason"] == "constants carry no covariance"
    done = run("train", "--flop", 1e21, "--experts", 8, "--plot", tmp_path / "t.svg")
    assert "A mixture of experts" in done.stdout
    assert (tmp_path / "t.svg").is_file()


def test_figures_print_a_verdict_per_claim(tmp_path):
    found = answer("figures", 3, "s1")
    assert [one["number"] for one in found["figures"]] == ["3", "S1"]
    done = run("figures", 9, "-v", "--plot", tmp_path / "f.svg")
    assert "inconsistent: because" in done.stdout
    assert "assumes" in done.stdout


def test_report_writes_one_page(tmp_path):
    page = tmp_path / "plan.html"
    done = run("report", EXAMPLES / "scenario.toml", "--out", page)
    assert done.exit_code == 0, done.output
    assert "pays back" in done.stdout
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    found = answer("report", EXAMPLES / "scenario.toml")
    assert found["fleet"]["devices"] >= 2
    lost = run("report", EXAMPLES / "scenario.toml", "--out", tmp_path / "no" / "plan.html")
    assert "cannot be written" in str(lost.exception)
