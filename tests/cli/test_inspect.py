"""``understudy inspect``: what it prints, for people and machines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from understudy.cli.inspect import inspect_command
from understudy.cli.options import parse_mapping
from understudy.errors import ConfigError


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.jsonl"
    rows = [
        {"text": f"secretword number {at} of {at * 7919 % 1000}", "label": ["late", "lost", "[red]odd[/red]"][at % 3],
         "gold": "late", "n": at}
        for at in range(120)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "broken\n")
    return path


def run(*arguments: str) -> str:
    result = CliRunner().invoke(inspect_command, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_for_people(log: Path) -> None:
    shown = run(str(log), "--map", "input=text", "--map", "output=label", "--teacher-price", "0.01")
    assert "choice of 3" in shown
    assert "[red]odd[/red]" in shown
    assert "1 x broken JSON: log.jsonl:121" in shown
    assert "$0.01 per call" in shown
    assert "secretword" not in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_for_machines(log: Path) -> None:
    shown = run(str(log), "--map", "input=text", "--map", "output=label", "--json", "--max-calls", "100")
    report = json.loads(shown)
    assert report["rows"] == 100
    assert report["fields"][0]["learnt_as"] == "classify"
    assert report["cost"]["mean_usd"] is None
    assert report["cost"]["reason"]
    assert "secretword" not in shown


def test_with_a_task_or_a_schema(log: Path, tmp_path: Path) -> None:
    task = tmp_path / "task.toml"
    task.write_text(
        'name = "route"\n[[field]]\nname = "answer"\nkind = "choice"\nlabels = ["late", "lost"]\n'
    )
    maps = ["--map", "input=text", "--map", "output=label", "--json"]
    assert json.loads(run(str(log), "--task", str(task), *maps))["off_schema"]["rows"] == 40
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "string"}')
    found = json.loads(run(str(log), "--task", str(schema), *maps))
    assert found["fields"][0]["kind"] == "choice"


def test_mistakes() -> None:
    for pairs in (["output"], ["a=b", "a=c"]):
        with pytest.raises(ConfigError):
            parse_mapping(pairs)
    assert parse_mapping(["a = b=c"]) == {"a": "b=c"}


@pytest.mark.shared
def test_a_log_of_many_fields_fits_the_page(shared_calls: Path) -> None:
    path = str(shared_calls / "product_extract_gpt4.jsonl")
    shown = run(path, "--map", "output=teacher_label", "--map", "votes=other_teachers")
    assert max(map(len, shown.splitlines())) <= 100
    assert "noise ceiling" in shown


def test_texts_are_measured_and_a_metric_is_suggested(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    note = "The customer of ticket {} asks for {} parcels to be sent once more, and soon."
    rows = [{"input": f"t{at} {at * 31}", "output": note.format(at * 7, at * at)} for at in range(120)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    shown = " ".join(run(str(path)).split())
    assert "write a text answer" in shown
    assert "100.0 % different; equal if it is the same up to white space" in shown
    assert 'metric = "rouge_l" with at_least = 0.6' in shown
    found = json.loads(run(str(path), "--json"))
    assert found["fields"][0]["texts"]["suggested_metric"] == "rouge_l"
    (tmp_path / "task.toml").write_text(
        '[[field]]\nname = "answer"\nkind = "text"\nmetric = "rouge_l"\nat_least = 0.6\n'
    )
    shown = " ".join(run(str(path), "--task", str(tmp_path / "task.toml")).split())
    assert "equal if it has a ROUGE-L of at least 0.6" in shown
    assert "hardly ever" not in shown
