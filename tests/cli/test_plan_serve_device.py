"""``plan serve`` and ``plan device`` as typed: tables, JSON, charts, errors."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from understudy.cli.plan import plan_group
from understudy.cli.plan_device import device_command
from understudy.cli.plan_serve import serve_command
from understudy.errors import ConfigError, UnderstudyError

SERVE = "serve --model llama-3.1-8b --device h100-sxm".split()
DEVICE = "device --model qwen2.5-1.5b --device raspberry-pi-5".split()


def run(*words: str) -> str:
    done = CliRunner().invoke(plan_group, list(words))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def told(*words: str) -> Any:
    return json.loads(run(*words, "--json"))


def examples(command: click.Command) -> list[list[str]]:
    """The commands after "Examples:" in the help."""
    assert command.help is not None
    lines = command.help.split("Examples:", 1)[1].splitlines()
    return [line.split()[2:] for line in lines if line.strip()]


@pytest.mark.parametrize("words", [*examples(serve_command), *examples(device_command)], ids=" ".join)
def test_examples_of_the_help_work_as_pasted(words: list[str]) -> None:
    assert run(*words)


@pytest.mark.parametrize("command", [serve_command, device_command])
def test_each_example_of_the_help_stands_on_a_line_of_its_own(command: click.Command) -> None:
    shown = {line.strip() for line in CliRunner().invoke(command, ["--help"]).output.splitlines()}
    for words in examples(command):
        assert " ".join(["understudy", "plan", *words]) in shown


@pytest.mark.parametrize(
    "words",
    [SERVE, [*SERVE, "--batch", "max"], DEVICE, ["serve", "--list-models"], ["device", "--list-devices"],
     ["device", "--device", "iphone-15-pro"], [*SERVE[:-1], "apple-m4"], ["serve", "--model", "deepseek-v3", "--device", "l4"],
     ["device", "--model", "gemma-2-2b", "--device", "browser-wasm"]],
    ids=" ".join,
)  # fmt: skip
def test_tables_stay_within_a_hundred_columns(words: list[str]) -> None:
    lines = run(*words).splitlines()
    assert max(map(len, lines)) <= 100
    # Ids are what one types: never broken over lines.
    assert not any("…" in line for line in lines)


def test_serve_prints_both_currencies_the_bound_and_what_it_rests_on() -> None:
    text = run(*SERVE)
    for words in ("first token", "arithmetic", "memory", "$", "¥", "assumed", "datasheet", "per $"):
        assert words in text
    assert "DOES NOT FIT" not in text
    assert "DOES NOT FIT" in run("serve", "--model", "llama-3.1-405b", "--device", "h100-sxm")


def test_json_of_serve_is_the_plan() -> None:
    found = told(*SERVE, "--batch", "4")
    assert found["batch"] == 4
    assert found["time"]["decode"]["bound"] == "memory"
    total = found["time"]["total_seconds"]
    assert total["low"] < total["typical"] < total["high"]


def test_lists_as_json() -> None:
    models = told("serve", "--list-models")
    assert {"id", "parameters", "licence", "source"} <= set(models[0])
    devices = told("device", "--list-devices")
    assert {one["id"] for one in devices} >= {"h100-sxm", "raspberry-pi-5", "iphone-15-pro"}
    fitting = told("device", "--device", "raspberry-pi-5", "--weights", "int4")
    assert all(one["has_room"] for one in fitting)


def test_device_takes_electricity_by_name_or_number() -> None:
    named = told(*DEVICE, "--watts", "8", "--electricity", "us-residential")
    number = told(*DEVICE, "--watts", "8", "--electricity", "0.16")
    assert named["formats"][0]["life_usd"] == number["formats"][0]["life_usd"]
    assert named["formats"][0]["life_usd"]["electricity"] > 0


@pytest.mark.parametrize("words", [SERVE, DEVICE], ids=["serve", "device"])
def test_a_chart_is_an_svg_file(words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "chart.svg"
    run(*words, "--plot", str(path))
    assert ET.parse(path).getroot().tag.endswith("svg")
    with pytest.raises(ConfigError, match=r"ends in \.svg"):
        run(*words, "--plot", str(tmp_path / "chart.png"))
    with pytest.raises(ConfigError, match="cannot be written"):
        run(*words, "--plot", str(tmp_path / "nowhere" / "chart.svg"))


def test_a_configuration_file_is_a_model(tmp_path: Path) -> None:
    config = {"model_type": "gpt2", "n_embd": 64, "n_head": 4, "n_layer": 2, "vocab_size": 100}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    found = told("serve", "--config", str(path), "--device", "t4")
    assert found["model"]["shape"]["n_layers"] == 2


def test_the_machine_is_measured_and_the_file_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from understudy.economics.inference import machine

    def small(**_: int) -> Any:
        return measured(size=64, megabytes=1, n_repeats=1)

    measured = machine.measure_machine
    monkeypatch.setattr(machine, "measure_machine", small)
    path = tmp_path / "machine.json"
    assert "GFLOP/s" in run("device", "--measure", "--out", str(path))
    found = told(*DEVICE, "--calibration", str(path))
    assert found["rates"]["is_measured"]
    assert told("device", "--measure")["format"] == 1
    with pytest.raises(ConfigError, match="cannot be written"):
        run("device", "--measure", "--out", str(tmp_path / "nowhere" / "machine.json"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("serve --device h100-sxm", "one of --model ID, --config config.json, --params N"),
        ("serve --model llama-3.1-8b", "a plan needs a device"),
        ("serve --model llama-3.1-9b --device h100-sxm", "did you mean llama-3.1-8b"),
        ("serve --model gpt2 --device h1000", "did you mean h100-sxm"),
        ("serve --model gpt2 --device t4 --batch many", "--batch must be a whole number, 1 or more, or max"),
        ("serve --model gpt2 --device t4 --input-tokens -1", "--input-tokens must be from 1"),
        ("serve --params -7e9 --device t4", "n_parameters must be from 100000"),
        ("serve --model gpt2 --device t4 --weights q4", "one of fp32, bf16"),
        ("serve --model gpt2 --device t4 --device-spec vram=4", "vram is no field of a device"),
        ("device --model gpt2 --device t4 --uptime 0", "--uptime must be above 0 and at most 1"),
        ("device --model gpt2 --device t4 --price-usd 0", "--price-usd must be above 0"),
        ("device --model gpt2 --device t4 --electricity mars", "no electricity price of that name"),
        ("device --model gpt2 --device t4 --electricity -1", "--electricity must be 0 or more per kWh"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_words_by_field(words: str, message: str) -> None:
    with pytest.raises(UnderstudyError, match=re.escape(message)) as caught:
        run(*words.split())
    assert caught.value.exit_code == 2
