"""``tasks``, ``learn --request-kind``, ``learn --from-ledger`` and ``ledger``: from a log or ledger to a task."""

from __future__ import annotations

import json
import stat
import tempfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mixed_log import fill_ledger, mixed_records, write_log
from understudy.calls.readers import read_calls
from understudy.cli.main import cli
from understudy.errors import ConfigError, DataError


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write_log(tmp_path / "log.jsonl", mixed_records(1000))


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return fill_ledger(tmp_path / "ledger.db", mixed_records(1000))


def run(*words: str | Path) -> Result:
    result = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def tasks_in(*words: str | Path) -> dict[str, Any]:
    return dict(json.loads(run("tasks", *words, "--json").stdout))


def name_of(words: str, found: dict[str, Any]) -> str:
    return next(str(one["name"]) for one in found["kinds"] if one["name"].startswith(words))


def test_for_people(log: Path) -> None:
    shown = run("tasks", log).stdout
    assert "1,000 calls, 3 kinds of request" in shown
    assert "up to $" in shown
    assert "choice of 3" in shown
    assert "other" in shown
    assert not any(word in shown for word in ("lovely", "courier", "euros"))
    assert max(map(len, shown.split("Next: ")[0].splitlines())) <= 100
    assert "--request-kind" in shown


def test_for_machines(log: Path) -> None:
    found = tasks_in(log)
    assert found["calls"] == found["read"]["calls"] == 1000
    assert [one["is_learnable"] for one in found["kinds"]] == [True] * 3
    most = found["kinds"][0]["would_save_at_most"]
    assert most["usd_per_30_days"] == pytest.approx(1.5 * most["usd_in_log"])
    assert found["other"]["name"] is None


def test_a_ledger_holds_the_same_kinds(log: Path, ledger: Path) -> None:
    names = {one["name"] for one in tasks_in(log)["kinds"]}
    for place in (ledger, f"sqlite:///{ledger}"):
        found = tasks_in(place)
        assert {one["name"] for one in found["kinds"]} == names
        assert found["spend"]["source"] == "recorded"
        assert found["spend"]["known_usd"] == pytest.approx(1e-3)
    assert tasks_in(log, ledger)["calls"] == 2000


def test_plain_records_have_no_requests(tmp_path: Path, log: Path) -> None:
    plain = tmp_path / "plain.jsonl"
    plain.write_text('{"input": "a", "output": "b"}\n' * 30)
    with pytest.raises(DataError, match="no request templates") as caught:
        run("tasks", plain)
    assert "understudy inspect" in str(caught.value)
    with pytest.raises(DataError, match="no kinds of request"):
        run("learn", plain, "--request-kind", "x", "--dry-run")
    assert tasks_in(plain, log)["read"]["notes"] == {"files without requests (left out)": 1}


def test_a_ledger_without_texts(tmp_path: Path) -> None:
    bare = fill_ledger(tmp_path / "bare.db", mixed_records(30), keeps_texts=False)
    for words in (["tasks", bare], ["learn", "--from-ledger", bare]):
        with pytest.raises(DataError, match="keeps no texts") as caught:
            run(*words)
        assert "--store-texts" in str(caught.value)
        assert "keeps_texts = true" in str(caught.value)
    with pytest.raises(ConfigError, match="no ledger"):
        run("tasks", tmp_path / "nowhere.db")
    assert not (tmp_path / "nowhere.db").exists()


def test_learn_one_kind_of_a_mixed_log(log: Path, tmp_path: Path) -> None:
    found = tasks_in(log)
    name = name_of("name-the-queue", found)
    result = run("learn", log, "--request-kind", name, "--rungs", "linear", "--out", tmp_path / "model",
                 "--cache", tmp_path / "cache", "--target", "0.9", "--json")  # fmt: skip
    n_calls = next(one["calls"] for one in found["kinds"] if one["name"] == name)
    assert f"{n_calls:,} calls kept; {1000 - n_calls:,} calls of other request kinds" in result.stderr
    manifest = json.loads((tmp_path / "model" / "manifest.json").read_text())
    assert manifest["task"]["name"] == name
    from understudy import load

    assert load(tmp_path / "model").answer("my parcel is late again").value == "delivery"


def test_learn_from_a_ledger(
    ledger: Path, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = name_of("extract-the-order", tasks_in(ledger))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    alone = run("learn", "--from-ledger", ledger, "--request-kind", name, "--dry-run", "--json")
    both = run("learn", log, "--from-ledger", ledger, "--request-kind", name, "--dry-run", "--json")
    kept = [int(one.stderr.split()[0].replace(",", "")) for one in (alone, both)]
    assert kept[1] == 2 * kept[0]
    assert "linear" in alone.stdout
    assert not list(scratch.iterdir())
    with pytest.raises(DataError):
        run("learn", "--from-ledger", ledger, "--served-task", "nothing", "--dry-run")
    assert not list(scratch.iterdir())


def test_the_temporary_log_is_its_owners_and_goes(ledger: Path) -> None:
    from understudy.dataset.ledger_log import ledger_log

    with ledger_log(ledger, "support") as (path, counts):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert path.name == "support.jsonl"
        assert counts.exported == 500
    assert not path.parent.exists()
    with pytest.raises(ValueError, match="inside"), ledger_log(ledger) as (path, _):
        raise ValueError("inside")
    assert not path.parent.exists()


def test_mistakes(log: Path) -> None:
    assert CliRunner().invoke(cli, ["learn"]).exit_code == 2
    for words in (["--served-task", "x"], ["--request-kind", "nothing-0000"]):
        with pytest.raises(ConfigError):
            run("learn", log, *words)


def test_export_is_what_learn_reads(ledger: Path, tmp_path: Path) -> None:
    out = tmp_path / "calls.jsonl"
    counts = json.loads(run("ledger", "export", ledger, "--out", out, "--json").stdout)
    assert counts["exported"] == 1000
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert len(list(read_calls([out]))) == 1000
    some = run("ledger", "export", ledger, "--task", "support", "--since", "2027-01-20", "--out", "-")
    lines = [json.loads(line) for line in some.stdout.splitlines()]
    assert 0 < len(lines) < 500
    assert f"{len(lines):,} calls written" in some.stderr
    assert [path.name for path in tmp_path.glob("calls*")] == ["calls.jsonl"]


def test_forget_and_summary(ledger: Path) -> None:
    words = ["ledger", "forget", ledger, "--older-than-days", "100000", "--json"]
    assert json.loads(run(*words).stdout) == {"forgotten": 0, "older_than_ms": 0}
    found = json.loads(run("ledger", "summary", ledger, "--json").stdout)
    assert found["answered"]["upstream"] == 1000
    assert found["cost"]["total_nanousd"] == 1_000_000
    shown = run("ledger", "summary", ledger).stdout
    assert "support" in shown
    assert "$0.001" in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_forgotten_texts_are_gone_and_unknown_costs_are_shown(tmp_path: Path) -> None:
    from understudy.ledger.database import Ledger
    from understudy.ledger.record import CallRecord

    old = Ledger.open(tmp_path / "old.db")
    old.insert([
        CallRecord(id=str(at), time_ms=1_700_000_000_000, answered_by="upstream", mode="serve", status=200,
                   latency_us=1, request="{}", response="{}", cost_nanousd=None if at else 5)
        for at in range(3)
    ])  # fmt: skip
    old.close()
    shown = run("ledger", "summary", tmp_path / "old.db").stdout
    assert "+ 2 unknown" in shown
    assert "unknown" in shown.split("+ 2 unknown", 1)[1]
    told = run("ledger", "forget", tmp_path / "old.db", "--older-than-days", "1").stdout
    assert "forgot the texts of 3 calls" in told
    counts = json.loads(
        run("ledger", "export", tmp_path / "old.db", "--out", tmp_path / "x", "--json").stdout
    )
    assert (counts["exported"], counts["without_texts"]) == (0, 3)


@pytest.mark.parametrize("words", [["tasks"], ["ledger", "export"], ["ledger", "forget"], ["ledger", "summary"]])  # fmt: skip
def test_help_has_an_example(words: list[str]) -> None:
    assert f"understudy {' '.join(words)}" in run(*words, "--help").stdout.split("Example", 1)[1]


def test_the_next_command_is_one_that_works_and_shows_no_password(log: Path, ledger: Path) -> None:
    spaced = log.rename(log.with_name("my log.jsonl"))
    shown = run("tasks", spaced).stdout.split("Next: ")[1]
    assert shown.startswith(f"understudy learn '{spaced}' --request-kind ")
    shown = run("tasks", f"sqlite:///{ledger}").stdout.split("Next: ")[1]
    assert shown.startswith("understudy learn --from-ledger URL --request-kind ")
